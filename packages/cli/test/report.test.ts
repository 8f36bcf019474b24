import { createRequire } from 'node:module';
import { homedir, hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Backend, BackendProvider, HostArray } from '@softgrad/core';
import type { Mismatch, TracedCall } from '@softgrad/core/conformance';
import { afterAll, expect, test } from 'vitest';
import { ownBackends } from '../src/backend.js';
import type { Apart } from '../src/context.js';
import { type Machine, thisMachine } from '../src/machine.js';
import { formatCalls, formatMismatch } from '../src/trace.js';
import { fakeBackends, softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}-backend.mjs`, import.meta.url));
const machine: Machine = { runtime: 'Node 1', system: 'Plan 9', processor: 'a | b', memory: '1.0 GiB' };
const cpuProvider = await ownBackends.load('cpu');
const absent: BackendProvider = { ...cpuProvider, unavailable: async () => 'no such chip;\nbuy one' };
const backends = fakeBackends({ cpu: cpuProvider, webgpu: absent });
const report = (...args: readonly string[]) => softgrad(['report', ...args], { backends, machine: () => machine });

const values = (input: string) => `softmax/values:shape=7x5;axis=1;input=${input}`;

test('versions, machine and engines as tables of Markdown', async () => {
  const { status, stdout, stderr } = await report();
  const { version } = createRequire(import.meta.url)('../package.json');
  const lines = stdout.split('\n');
  expect(lines.slice(0, 4)).toEqual(['### softgrad report', '', '|  |  |', '| --- | --- |']);
  expect(lines[4]).toContain(
    `| packages | softgrad ${version}, @softgrad/cli ${version}, @softgrad/core ${version}, @softgrad/doctor ${version}, @softgrad/formats ${version}, @softgrad/bench ${version}, @softgrad/distributed ${version}, @softgrad/backend-cpu ${version}, `,
  );
  expect(lines[4]).toMatch(/@softgrad\/backend-webgpu \S+ \(webgpu \d+\.\d+\.\d+\) \|$/);
  expect(lines.slice(5)).toEqual([
    '| runtime | Node 1 |',
    '| system | Plan 9 |',
    '| processor | a \\| b |',
    '| memory | 1.0 GiB |',
    '',
    '| engine | device | dtypes |',
    '| --- | --- | --- |',
    '| cpu | JavaScript typed arrays, 1 thread | float32, float64 |',
    '| webgpu | cannot run: no such chip; buy one |  |',
    '',
  ]);
  expect([status, stderr]).toEqual([0, '']);
});

test('a failing case is quoted: the calls with their input, the expected and the actual result', async () => {
  const id = 'vjp/values:shape=7x5;axis=1;input=ramp;cotangent=uniform;dtype=float64';
  const { status, stdout } = await report('--module', fixture('faulty'), '--id', id);
  const text = stdout.slice(stdout.indexOf('**faulty'));
  expect(text).toMatch(/^\*\*faulty: vjp\/values:\S+\*\* fails: .*: element \d+ is 0, expected /);
  expect(text).toMatch(/```text\nb1 ← float64\[35\] [\d., e-]+\nb2 ← float64\[35\] [\d., e-]+\n/);
  expect(text).toMatch(/\nvjp\(b3, b1, b2, \{ outer: 7, classes: 5, inner: 1 \}, \{ temperature: 1, mask: null \}\)\n/);
  expect(text).toMatch(/\nb3 → float64\[35\] 35 × 0\n```\n/);
  const [worst, around] = text
    .slice(text.indexOf('vjp of 7x5: 35 of 35 elements are wrong; the worst 8:\n'))
    .split('\n\n');
  expect(worst.split('\n')[1]).toMatch(/^ +expected +got +error +bound +error \/ bound +b1 +b2$/);
  const rows = worst.split('\n').slice(2);
  expect(rows).toHaveLength(8);
  for (const row of rows) expect(row).toMatch(/^ *\d+ +-?0\.\d+ +0 +0\.\d+ +\d\.\d\de-\d+ +\d\.\d\de\+\d+ +\S+ +\S+$/);
  expect(around).toMatch(/^elements \d+ to \d+ of 35:\n +expected {2}got\n(?: *\d+ +\S+ +0 {2}← wrong\n){32}```/);
  expect(stdout).toMatch(/\n\| faulty \(--module\) \| the test \| float64 \|\n\| cpu /);
  expect(status).toBe(0);
});

test('a backend of a module is described without a case, too, and if it does not open or cannot run', async () => {
  const described = async (name: string, members: string) => {
    const file = folder.write(`${name}.mjs`, `export default { name: '${name}', ${members} }`);
    const { status, stdout } = await report('--module', file);
    expect(status).toBe(0);
    return stdout.split('\n').filter((line) => line.startsWith(`| ${name} `) || line.startsWith('| of --module '));
  };
  expect(
    await described('closed', "unavailable: async () => null, open() { throw new Error('no /home/me/key') }"),
  ).toEqual(['| closed (--module) | cannot run: no …/key |  |']);
  const [absent] = await described('absent', "unavailable: async () => 'no chip', open: async () => null");
  expect(absent).toMatch(/^\| of --module \| cannot run: --module \S+: absent cannot run here: no chip \|/);
  expect(absent).not.toContain(folder.at(''));
});

test('a case that passes or does not apply says so, and the backend is closed', async () => {
  const closed: string[] = [];
  const open = async () => {
    const cpu = await cpuProvider.open();
    const close = () => {
      closed.push('cpu');
      return cpu.close();
    };
    return new Proxy<Backend>(cpu, {
      get: (target, name) => (name === 'close' ? close : Reflect.get(target, name, target)),
    });
  };
  const watched = fakeBackends({ cpu: { ...cpuProvider, unavailable: async () => null, open } });
  const { stdout } = await softgrad(['report', '--backend', 'cpu', '--id', values('ramp')], { backends: watched });
  expect(stdout).toMatch(/\*\*cpu: softmax\/values:\S+\*\* passes here\n\n```text\nb1 ← float32\[35\] /);
  expect(closed.length).toBe(2); // Once for the list of engines, once for the case.
  const half = await report('--module', fixture('right'), '--id', values('ramp'));
  expect(half.stdout).toMatch(/\*\*right: \S+\*\* does not apply: it has no float32\n$/);
});

test('without --backend the case runs on the default', async () => {
  const defaults = fakeBackends({ wasm: absent, cpu: cpuProvider });
  const { stdout } = await softgrad(['report', '--id', values('ramp')], { backends: defaults });
  expect(stdout).toMatch(/\*\*cpu: softmax\/values:\S+\*\* passes here\n/);
});

test('with a basis, the case without fused kernels is a second one', async () => {
  const { stdout } = await report('--backend', 'cpu', '--id', 'row-groups/short:operation=logSoftmax');
  expect(stdout).toMatch(
    /\*\*cpu: row-groups\S+\*\* passes here[\s\S]*\*\*cpu \(composed\): row-groups\S+\*\* passes here/,
  );
  const [, fused, composed] = stdout.split('**cpu');
  expect(fused).toContain('\nlogSoftmax(');
  expect(composed).toMatch(/\nreduce\(/);
  expect(composed).not.toContain('\nlogSoftmax(');
  // The calls of the first are not repeated.
  expect(composed).toMatch(/text\nb\d+ ← float32/);
});

test('invalid options are one-line errors with exit code 2', async () => {
  for (const [args, message] of [
    [
      ['--backend', 'cpu', '--id', 'softmax/nothing'],
      /unknown case 'softmax\/nothing' of the conformance suite; `softgrad conformance --list` prints/,
    ],
    [
      ['--backend', 'cpu', '--id', values('')],
      /case '.*input=' of the conformance suite; did you mean 'softmax\/values:\S+ramp', '\S+', '\S+'\?$/,
    ],
    [['--backend', 'cpu', '--id', 'values:shape=7x5'], /; did you mean 'softmax\/values:/],
    [['--backend', 'cpu'], /expected --id CASE to run on --backend cpu; `softgrad conformance --backend cpu` lists/],
    [['--module', 'a.mjs'], /--module a\.mjs: no such file or directory$/],
    [['--module', 'a.mjs', '--backend', 'cpu', '--id', 'x'], /--backend and --module cannot both be given/],
    [['--module', folder.at('no.mjs'), '--id', values('ramp')], /no such file or directory$/],
    [['--backend', 'webgpu', '--id', values('ramp')], /webgpu cannot run here: no such chip; buy one$/],
  ] as const) {
    const { status, stdout, stderr } = await report(...args);
    expect(stderr.trimEnd()).toMatch(message);
    expect([status, stdout]).toEqual([2, '']);
  }
});

test('an engine that ends its process does not end the report', async () => {
  const apart = async (): Promise<Apart> => ({ status: 70, cause: 'SIGSEGV', stderr: 'Segmentation fault\n' });
  const { status, stdout, stderr } = await softgrad(['report'], { backends, apart, machine: () => machine });
  expect(stdout).toContain('| runtime | Node 1 |');
  for (const name of backends.names())
    expect(stdout).toContain(
      `| ${name} | cannot run: the process that opened it ended by SIGSEGV; see standard error |`,
    );
  expect([status, stderr]).toEqual([0, 'Segmentation fault\n'.repeat(backends.names().length)]);
});

test('the machine is described by runtime, system, processor and memory, without anything about the person', async () => {
  const shown = thisMachine(process);
  expect(shown.runtime).toContain(`Node ${process.versions.node}, V8 ${process.versions.v8}`);
  expect(shown.system).toMatch(/^\S+ \S+ \S+$/);
  expect(shown.processor).toMatch(/, \d+ logical$/);
  const as = (versions: Partial<NodeJS.ProcessVersions>, constrained = 0) =>
    thisMachine({ ...process, constrainedMemory: () => constrained, versions: { ...process.versions, ...versions } });
  expect(as({ node: '24.3.0', bun: '1.3.0' }).runtime).toMatch(/^Bun 1\.3\.0 \(as Node 24\.3\.0\)/);
  expect(as({ node: '24.3.0', deno: '2.9.0' }).runtime).toMatch(/^Deno 2\.9\.0 \(as Node 24\.3\.0\)/);
  expect(as({}).memory).toMatch(/^\d+\.\d GiB, \d+\.\d GiB free$/);
  expect(as({}, 2 ** 29).memory).toMatch(/ free, of which this process may use 0\.5 GiB$/);
  const { stdout } = await softgrad(['report'], { backends });
  expect(stdout).not.toContain(homedir());
  expect(stdout).not.toContain(hostname());
  expect(stdout).not.toContain(fileURLToPath(new URL('..', import.meta.url)));
});

/** One wrong element unless others are given. */
const mismatch = (parts: Partial<Mismatch>): Mismatch => {
  return { what: 'x', got: [1, 2], expected: [-0, 2], element: 0, bound: [0.25, 1], timesBound: [4, 0], ...parts };
};

test('the worst elements are listed with error, bound and the inputs at their index; all others around the worst', () => {
  expect(formatMismatch(mismatch({}))).toBe(
    [
      'x: 1 of 2 elements are wrong:',
      '   expected  got  error  bound  error / bound',
      '0        -0    1   1.00  0.250           4.00',
      '',
      'elements 0 to 1 of 2:',
      '   expected  got',
      '0        -0    1  ← wrong',
      '1         2    2',
    ].join('\n'),
  );
  const transfer =
    (kind: 'write' | 'read') =>
    (buffer: string, ...values: readonly number[]): TracedCall => {
      return { kind, buffer, values: Float64Array.from(values) };
    };
  const [write, read] = [transfer('write'), transfer('read')];
  const kernel = (name: string, args: string, declined = false): TracedCall => {
    return { kind: 'kernel', name, arguments: args, declined };
  };
  // b6 has the wrong values. It is computed from b1, and through b5 from b2, but not from the operands of another result or of a declined call.
  const calls = [
    ...[write('b1', 5, 6), write('b2', 7, 8), write('b3', 9, 9), write('b4', 1, 2, 3), write('b6', -7.25, -7.25)],
    kernel('crossEntropy', '{ loss: b9, gradient: b5 }, b2, { outer: 1, classes: 2 }, { target: b4 }'),
    kernel('vjp', 'b6, b3, b3, { outer: 1 }', true),
    ...[kernel('vjp', 'b6, b5, b1, { outer: 1 }'), kernel('softmax', 'b7, b3, { outer: 1 }')],
    ...[read('b7', 0, 1), read('b6', 1, 2)],
  ];
  const infinite = Number.POSITIVE_INFINITY;
  const both = mismatch({ expected: [3, Number.NaN], bound: [2, 1], timesBound: [1.5, infinite] });
  expect(formatMismatch(both, calls)).toBe(
    [
      'x: 2 of 2 elements are wrong:',
      '   expected  got  error  bound  error / bound  b1  b2',
      '1       NaN    2    NaN   1.00       Infinity   6   8',
      '0         3    1   2.00   2.00           1.50   5   7',
    ].join('\n'),
  );
  const long = Float64Array.from({ length: 40 }, (_, k) => k);
  const text = formatMismatch(
    mismatch({ got: long, expected: long, bound: long, timesBound: long.map((k) => k / 20) }),
  );
  const listed = text.split('\n').slice(0, 10);
  expect(listed[0]).toBe('x: 19 of 40 elements are wrong; the worst 8:');
  expect(listed.slice(2).map((line) => Number.parseInt(line, 10))).toEqual([39, 38, 37, 36, 35, 34, 33, 32]);
});

test('a number has as many digits as identify it in its dtype', () => {
  const written = (values: HostArray) => formatCalls([{ kind: 'write', buffer: 'b1', values }]).split('] ')[1];
  const third = 1 / 3;
  expect(written(Float64Array.of(third))).toBe('0.3333333333333333');
  const one = mismatch({ got: [third], expected: [1e-300], bound: [0], timesBound: [Number.POSITIVE_INFINITY] });
  expect(formatMismatch(one)).toMatch(/\n0 {4}1e-300 {2}0\.3333333333333333 {2}0\.333 {6}0 {7}Infinity$/);
  expect(written(Float32Array.of(third))).toBe('0.33333334');
  for (const value of [0.1, 1234567, 16777215, 8.589973e9, 0.75, 1e-40]) {
    const single = Math.fround(value);
    const text = written(Float32Array.of(single));
    expect(Math.fround(Number(text)), text).toBe(single);
    expect(text.replace(/e.*|[.-]/g, '').replace(/^0+|0+$/g, '').length, text).toBeLessThanOrEqual(9);
  }
  expect(written(Float32Array.of(0.1))).toBe('0.1');
  for (const text of ['8500070000', '8500035000', '8500011500']) {
    expect(written(Float32Array.of(Number(text)))).toBe(text);
  }
});

test('long arrays are quoted from their start, or around the wrong element', () => {
  const ramp = Float32Array.from({ length: 100 }, (_, k) => k / 10);
  const write = formatCalls([{ kind: 'write', buffer: 'b1', values: ramp }]);
  expect(write).toMatch(/^b1 ← float32\[100\] 0, 0\.1, 0\.2, .*, 6\.3, … 36 more$/);
  const got = Float64Array.from({ length: 1000 }, (_, k) => k);
  const lines = (element: number) => {
    const timesBound = Float64Array.from(got, (k) => (k === element ? 2 : 0.5));
    const text = formatMismatch(mismatch({ got, expected: got, bound: got, element, timesBound }));
    return text.slice(text.indexOf('\n\n') + 2).split('\n');
  };
  expect(lines(500)[0]).toBe('elements 484 to 515 of 1000:');
  expect(lines(500).filter((line) => line.includes('←'))).toEqual(['500       500  500  ← wrong']);
  expect(lines(500)).toHaveLength(34);
  expect(lines(3)[0]).toBe('elements 0 to 31 of 1000:');
  expect(lines(999)[0]).toBe('elements 968 to 999 of 1000:');
  expect(lines(999).at(-1)).toBe('999       999  999  ← wrong');
  const written = (values: HostArray) => formatCalls([{ kind: 'write', buffer: 'b1', values }]);
  expect(written(Float64Array.of())).toBe('b1 ← float64[0] ');
  expect(written(Float64Array.of(5))).toBe('b1 ← float64[1] 5');
  expect(written(Float64Array.of(5, 5))).toBe('b1 ← float64[2] 2 × 5');
  expect(written(Float64Array.of(0, -0))).toBe('b1 ← float64[2] 0, -0');
  expect(written(new Float32Array(64).map((_, k) => k))).toMatch(/, 62, 63$/);
  expect(written(new Float32Array(65).map((_, k) => k))).toMatch(/, 62, 63, … 1 more$/);
  const declined = { kind: 'kernel', name: 'softmax', arguments: 'b2, b1', declined: true } as const;
  expect(formatCalls([declined])).toBe('softmax(b2, b1) → declined');
});
