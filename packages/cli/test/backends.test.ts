import { readdirSync } from 'node:fs';
import { type Backend, type BackendProvider, operationsOf, SoftgradError } from '@softgrad/core';
import { expect, test } from 'vitest';
import { ownBackends } from '../src/backend.js';
import { fakeBackends, softgrad } from './command.js';

const cpu = await (await ownBackends.load('cpu')).open();

function provider(name: string, changes: Partial<Backend>): BackendProvider {
  return { ...idle, name, open: async () => ({ ...cpu, supports: cpu.supports, closed: false, ...changes }) };
}

const idle = { unavailable: async () => null, check: undefined };

const withoutKernels: Partial<Backend> = { kernels: undefined };
const backends = fakeBackends({
  fused: provider('fused', { close: () => {} }),
  composed: provider('composed', withoutKernels),
  bare: provider('bare', { ...withoutKernels, basis: undefined, supports: { ...cpu.supports, dtypes: ['float32'] } }),
  absent: { ...provider('absent', {}), unavailable: async () => 'no such chip; buy one' },
  missing: new SoftgradError('ERR_BACKEND_UNAVAILABLE', "backend 'missing' did not load: it is not installed"),
});

test('every backend is listed, with its features on this machine or the reason why it cannot run', async () => {
  const { status, stdout } = await softgrad(['backends', '--json'], { backends });
  expect(status).toBe(0);
  const { device, dtypes } = cpu.supports;
  const none = { device: null, dtypes: [], operations: {} };
  expect(JSON.parse(stdout)).toEqual([
    { name: 'fused', unavailable: null, device, dtypes, operations: operationsOf(cpu) },
    { name: 'composed', unavailable: null, device, dtypes, operations: operationsOf({ ...cpu, kernels: undefined }) },
    {
      name: 'bare',
      unavailable: null,
      device,
      dtypes: ['float32'],
      operations: operationsOf({ ...cpu, kernels: undefined, basis: undefined }),
    },
    { name: 'absent', unavailable: 'no such chip; buy one', ...none },
    { name: 'missing', unavailable: "backend 'missing' did not load: it is not installed", ...none },
  ]);
});

test('as a table', async () => {
  const table = async (columns: number) =>
    (await softgrad(['backends'], { backends, terminal: { columns } })).stdout.trimEnd().split('\n');
  const lines = await table(120);
  expect(lines.map((line) => line.length)).toEqual(lines.map(() => 120));
  const text = lines.join('\n');
  expect(text).toMatch(/│ backend +│ runs here +│ dtypes +│ device and operations, or what is missing +│/);
  expect(text).toMatch(
    /│ fused +│ yes +│ float32 +│ .*\n│ +│ +│ float64 +│ kernels: softmax \(value, vjp, jvp, hvp, jacobian\), softmin /,
  );
  expect(text).toMatch(
    /│ kernels: softmax \(.*\), softmin \(value, vjp, jvp, jacobian\) +│\n.*│ composed: softmax \(hvp, doubleBackward\), softmin \(hvp, doubleBackward\), /,
  );
  expect(text).toMatch(
    /│ kernels: softmax \(.*\), softmin \(value, vjp, jvp, jacobian\) +│\n.*│ not there: softmax \(hvp, doubleBackward\), softmin \(hvp, doubleBackward\), /,
  );
  expect(text).toMatch(/│ absent +│ no +│ +│ no such chip; buy one +│/);
  // Neither too narrow nor too wide to read.
  expect((await table(20))[0]).toHaveLength(80);
  expect((await table(500))[0]).toHaveLength(140);
  const { stdout } = await softgrad(['backends'], { backends });
  expect(stdout.split('\n')[0]).toHaveLength(120);
});

test('each backend is closed again, and any other error is a defect', async () => {
  let closed = 0;
  const counting = provider('counting', {
    close() {
      closed++;
    },
  });
  await softgrad(['backends'], { backends: fakeBackends({ counting }) });
  expect(closed).toBe(1);
  const { status } = await softgrad(['backends'], { backends: fakeBackends({ broken: new TypeError('kaboom') }) });
  expect(status).toBe(70);
});

test('they are inspected in another process, whose standard error is shown if it fails', async () => {
  const { stdout: inspected } = await softgrad(['backends', '--json'], { backends });
  const run = (status: number, env = {}) => {
    const calls: (readonly string[])[] = [];
    const apart = async (args: readonly string[]) => {
      calls.push(args);
      return { status, stdout: status === 0 ? inspected : 'half of', stderr: 'Warning: no driver\n' };
    };
    return softgrad(['backends', '--json'], { backends: fakeBackends({}), apart, env }).then((result) => ({
      ...result,
      calls,
    }));
  };
  const calls = [['backends', '--json', '--in-process']];
  expect(await run(0)).toEqual({ status: 0, stdout: inspected, stderr: '', calls });
  expect((await run(0, { SOFTGRAD_DEBUG: '1' })).stderr).toBe('Warning: no driver\n');
  expect(await run(70)).toEqual({ status: 70, stdout: '', stderr: 'Warning: no driver\n', calls });
  const apart = () => Promise.reject(new Error('not to be called'));
  expect(await softgrad(['backends', '--json', '--in-process'], { backends, apart })).toEqual({
    status: 0,
    stdout: inspected,
    stderr: '',
  });
});

test("softgrad's own are those of its packages", () => {
  const names = readdirSync(new URL('../..', import.meta.url))
    .filter((folder) => folder.startsWith('backend-'))
    .map((folder) => folder.slice('backend-'.length));
  expect([...ownBackends.names()].sort()).toEqual(names.sort());
});
