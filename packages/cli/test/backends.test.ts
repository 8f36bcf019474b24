import { readdirSync } from 'node:fs';
import { type Backend, type BackendProvider, operationsOf, SoftgradError } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { ownBackends } from '../src/backend.js';
import type { Apart, Context } from '../src/context.js';
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

test('as a table of what chooses one, with functions that are not there', async () => {
  const { stdout } = await softgrad(['backends'], { backends });
  const { device } = cpu.supports;
  expect(stdout).toMatch(/│ backend +│ runs here +│ dtypes +│ device, or what is missing +│/);
  expect(stdout).toContain(device);
  expect(stdout).toMatch(new RegExp(`│ fused +│ yes +│ float32 +│ ${device} +│\n│ +│ +│ float64 +│ +│\n├`));
  expect(stdout).toMatch(/│ bare .*\n.*│ not there: softmax \(hvp, doubleBackward\), /);
  expect(stdout).toMatch(/│ absent +│ no +│ +│ no such chip; buy one +│/);
  expect(stdout).not.toMatch(/kernels:|composed:/);
  expect(stdout).toMatch(
    /┘\n\nWith their operations: softgrad backends --details, or names, as softgrad backends cpu\n$/,
  );
});

test('those that are named, with their operations, in the usual order', async () => {
  const { stdout } = await softgrad(['backends', 'composed', 'fused'], { backends });
  expect([...stdout.matchAll(/^│ (\w+) +│ (?:yes|no) /gm)].map(([, name]) => name)).toEqual(['fused', 'composed']);
  expect(stdout).toContain('kernels: softmax (value');
  const json = await softgrad(['backends', 'bare', '--json'], { backends });
  const all = await softgrad(['backends', '--json'], { backends });
  expect(JSON.parse(json.stdout)).toEqual([JSON.parse(all.stdout)[2]]);
  expect(await softgrad(['backends', 'fused', 'fuse'], { backends })).toEqual({
    status: 2,
    stdout: '',
    stderr: "softgrad: no backend is named 'fuse'; expected fused, composed, bare, absent, missing\n",
  });
});

test('as a table with their operations', async () => {
  const table = async (columns: number) =>
    (await softgrad(['backends', '--details'], { backends, terminal: { columns } })).stdout.trimEnd().split('\n');
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
  const { stdout } = await softgrad(['backends', '--details'], { backends });
  expect(stdout.split('\n')[0]).toHaveLength(120);
});

test('each backend is closed again', async () => {
  let closed = 0;
  const counting = provider('counting', {
    close() {
      closed++;
    },
  });
  await softgrad(['backends'], { backends: fakeBackends({ counting }) });
  expect(closed).toBe(1);
});

test('any other error of a backend is the reason why it cannot run, and the exit code that of a defect; the next ones are listed', async () => {
  const throwing = async () => {
    throw new TypeError('kaboom');
  };
  const mixed = fakeBackends({
    broken: new TypeError('kaboom'),
    unaware: { ...provider('unaware', {}), unavailable: throwing },
    unopened: { ...provider('unopened', {}), open: throwing },
    whole: provider('whole', {}),
  });
  const { status, stdout, stderr } = await softgrad(['backends', '--json'], { backends: mixed });
  const reason = 'it could not be opened: TypeError: kaboom';
  expect(JSON.parse(stdout).map((report: Readonly<Record<string, unknown>>) => report.unavailable)).toEqual([
    reason,
    reason,
    reason,
    null,
  ]);
  expect([status, stderr]).toEqual([70, '']);
  const debugged = await softgrad(['backends', 'unaware'], { backends: mixed, env: { SOFTGRAD_DEBUG: '1' } });
  expect(debugged.stderr).toMatch(/^TypeError: kaboom\n +at .*throwing /);
});

describe('they are inspected in another process', () => {
  const command = (names: readonly string[]) => ['backends', '--inspect', ...names];

  /** The command with processes that end after this many backends, and are then run once more. */
  async function run(ends: readonly (Apart & { readonly after: number })[], env = {}, terminal = false) {
    const calls: (readonly string[])[] = [];
    const apart: Context['apart'] = async (args, onLine) => {
      calls.push(args);
      const { stdout } = await softgrad(args, { backends });
      const { after = Number.POSITIVE_INFINITY, ...ended } = ends[calls.length - 1] ?? fine;
      for (const line of stdout.trimEnd().split('\n').slice(0, after)) onLine(line);
      return ended;
    };
    let at = 0;
    const now = () => at++ * 600;
    return { ...(await softgrad(['backends', '--json'], { backends, apart, env, now, terminal })), calls };
  }
  const fine = { status: 0, cause: 'exit status 0', stderr: 'Warning: no driver\n' };
  const names = backends.names();

  test('whose standard error is shown for debugging only', async () => {
    const { stdout } = await softgrad(['backends', '--json'], { backends });
    expect(await run([])).toEqual({ status: 0, stdout, stderr: '', calls: [command(names)] });
    expect((await run([], { SOFTGRAD_DEBUG: '1' })).stderr).toBe('Warning: no driver\n');
  });

  test('with a bar after a second, which names the one in hand', async () => {
    const { stderr } = await run([], {}, true);
    expect(stderr).toMatch(/inspecting fused \S{30} 0% /);
    expect(stderr).toMatch(new RegExp(`inspecting ${names.at(-1)} \\S{30} 100% `));
  });

  test('and one that ends the process cannot run: it is named, and the next ones are inspected in a new process', async () => {
    const all = JSON.parse((await run([])).stdout);
    const crash = { status: 70, cause: 'SIGSEGV', stderr: 'Segmentation fault\n', after: 1 };
    const { status, stdout, stderr, calls } = await run([crash]);
    const reports = JSON.parse(stdout);
    const reason = 'the process that opened it ended by SIGSEGV; see standard error';
    expect(reports[1]).toEqual({ name: names[1], unavailable: reason, device: null, dtypes: [], operations: {} });
    expect(reports.toSpliced(1, 1)).toEqual(all.toSpliced(1, 1));
    expect([status, stderr]).toEqual([70, 'Segmentation fault\n']);
    expect(calls).toEqual([command(names), command(names.slice(2))]);
  });

  test('its exit code is that of the command, also where it has inspected all of them', async () => {
    const broken = { status: 70, cause: 'exit status 70', stderr: '' };
    expect(await run([{ ...broken, after: names.length }])).toEqual({ ...(await run([])), status: 70 });
  });

  test('unless Node may not start processes: then in this one, with a notice that names the permission', async () => {
    const denied = Object.assign(new Error('Access to this API has been restricted'), {
      code: 'ERR_ACCESS_DENIED',
      permission: 'ChildProcess',
      resource: '',
    });
    const { stdout } = await softgrad(['backends', '--json'], { backends });
    expect(await softgrad(['backends', '--json'], { backends, apart: () => Promise.reject(denied) })).toEqual({
      status: 0,
      stdout,
      stderr: `softgrad: the backends were opened in this process: Node's permission model denies starting a process; the option --allow-child-process of node allows it\n`,
    });
    const failing = { apart: () => Promise.reject(new Error('spawn EAGAIN')) };
    expect(await softgrad(['backends'], { backends, ...failing })).toMatchObject({ status: 70, stdout: '' });
  });

  test('unless the command itself is that process', async () => {
    const apart = () => Promise.reject(new Error('not to be called'));
    const { status, stdout, stderr } = await softgrad(command(names), { backends, apart });
    expect([status, stderr]).toEqual([0, '']);
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).name),
    ).toEqual(names);
  });
});

test("softgrad's own are those of its packages", () => {
  const names = readdirSync(new URL('../..', import.meta.url))
    .filter((folder) => folder.startsWith('backend-'))
    .map((folder) => folder.slice('backend-'.length));
  expect([...ownBackends.names()].sort()).toEqual(names.sort());
});
