import { fileURLToPath } from 'node:url';
import { type BackendProvider, SoftgradError } from '@softgrad/core';
import { afterAll, expect, test } from 'vitest';
import { ownBackends } from '../src/backend.js';
import { loadRedis } from '../src/redis.js';
import { fakeBackends, softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

const x = folder.write('x.csv', '1,2\n3,4\n');
const wide = folder.write('wide.json', '[[1, 2, 3], [1, 2, 3]]');
const short = folder.write('short.csv', '1,2\n');
const empty = folder.write('empty.json', '[[], []]');
const scalar = folder.write('scalar.json', '1');
const nan = folder.write('nan.csv', '1,nan\n3,4\n');
const module = folder.write('empty.mjs', 'export default null;');
const broken = folder.write('broken.mjs', "throw new Error('kaboom');");
const cpuProvider = await ownBackends.load('cpu');
const absent: BackendProvider = { ...cpuProvider, name: 'absent', unavailable: async () => 'no such chip' };
const backends = fakeBackends({
  ...{ cpu: cpuProvider, wasm: cpuProvider, absent },
  gpujs: await ownBackends.load('gpujs'),
});
const throwing = folder.write(
  'throwing.mjs',
  "export default { name: 'x', unavailable() { throw 'kaboom'; }, open() {} };",
);
const right = fileURLToPath(new URL('fixtures/right-backend.mjs', import.meta.url));
const unavailable = folder.write(
  'unavailable.mjs',
  `import provider from ${JSON.stringify(right)}; export default { ...provider, unavailable: async () => 'no' };`,
);

async function debugged(args: readonly string[]): Promise<string> {
  const { status, stderr } = await softgrad(args, { backends, env: { SOFTGRAD_DEBUG: '1' } });
  expect(status, stderr).toBe(2);
  return stderr;
}

const target = ['cross-entropy', x, '--target', '0,1'];
const run = ['run', '--root', folder.path];

test.each<[string, readonly (readonly string[])[]]>([
  [
    'ERR_VALUE',
    [
      ['vjp', '-', '--upstream', '-'],
      ['softmax', x, '--mask', x],
      ['softmax', folder.at('nowhere.npy')],
      ['softmax', folder.path],
      ['softmax', x, '--out', folder.at('x.txt')],
      ['softmax', x, '--out', folder.at('nowhere/x.npy')],
      ['softmax', x, '--out', `${folder.path}/.`],
      ['softmax', folder.write('quote.csv', '1,2\n"3,4\n')],
      [...target, '--weight', folder.write('infinite.json', '[1, "Infinity"]')],
      [...target.slice(0, 3), nan],
      [...target.slice(0, 3), '0,2'],
      ['conformance', '--module', folder.at('nowhere.mjs')],
      ['conformance', '--module', module],
      ['conformance', '--module', broken],
      ['conformance', '--module', throwing],
      ['conformance', '--backend', 'cpu', '--module', module],
      ['report', '--backend', 'cpu', '--module', module],
      ['report', '--backend', 'cpu'],
      ['report', '--backend', 'cpu', '--id', 'x'],
      ['accuracy', '--json', '-', '--md', '-'],
      ['bench', '--json', '-', '--md', '-'],
      ['bench', '--compare', folder.at('nowhere.json')],
      ['doctor', '--logits', x],
      ['doctor', '--grad', x, '--did', 's - y'],
      ['doctor', x],
      ['doctor', '--logits', '-', '--grad', '-'],
      ['doctor', '--logits', x, '--probs', x, '--did', 's - y'],
      run,
      [...run, 'sigmoid', 'x.npy'],
      [...run, 'softmax'],
      [...run, 'softmax', 'x.npy'],
      [...run, 'softmax', folder.writeNpy('x.npy', [[1, 2]]), '--out', 'out', '--backend', 'cpu', '--detach'],
      [...run, 'log-sum-exp', 'x.npy', '--out', 'out', '--backend', 'cpu', '--shard-classes', '--shard', '0/2'],
      [...run, '--status', '0'.repeat(32)],
      [...run, '--cancel', 'out'],
      ['run', '--store', 'gs://bucket/x', '--status', 'out'],
      ['worker'],
    ],
  ],
  [
    'ERR_SHAPE',
    [
      ['softmax', scalar],
      ['vjp', x, '--upstream', wide],
      ['vjp', x, '--upstream', short],
      ['softmax', x, '--mask', wide],
      ['jacobian', x, '--out', folder.at('j.tsv')],
      ['cross-entropy', x, '--target', '0,1,0'],
      [...target, '--weight', '1,2,3'],
      ['demo', scalar],
      ['demo', empty],
      ['demo', x, '--upstream', wide],
    ],
  ],
  ['ERR_AXIS', [['softmax', x, '--axis', '2']]],
  ['ERR_DTYPE', [['softmax', x, '--backend', 'gpujs', '--dtype', 'float64']]],
  [
    'ERR_BACKEND_UNAVAILABLE',
    [
      ['softmax', x, '--backend', 'absent'],
      ['conformance', '--backend', 'absent'],
      ['conformance', '--module', unavailable],
    ],
  ],
])('SOFTGRAD_DEBUG shows the code of an error: %s', async (code, commands) => {
  for (const args of commands) expect(await debugged(args), args.join(' ')).toContain(`\n  code: '${code}'`);
});

test('it shows what does not fit into memory, and that no default runs, by their codes too', async () => {
  const env = { SOFTGRAD_DEBUG: '1' };
  // 2⁴⁰ bytes in a row, which take no disk space.
  const widest = folder.zeros('widest.npy', 1, 2 ** 38);
  for (const [args, memory, message] of [
    [['softmax', wide], 5, 'wide.json: 22 bytes have to be read at once, but at most 5 bytes can be'],
    [['jacobian', '1,2,3'], 100, 'its Jacobian of shape (3, 3) takes 72 bytes'],
    [['softmax', widest], 2 ** 50, 'widest.npy: cannot hold 1.1 TB of it at once'],
  ] as const) {
    const { status, stderr } = await softgrad([...args, '--backend', 'cpu'], { env, backends, limits: { memory } });
    expect(stderr).toContain(message);
    expect(stderr).toContain("\n  code: 'ERR_OUT_OF_MEMORY'");
    expect(stderr.includes('[cause]: RangeError')).toBe(args[1] === widest);
    expect(status).toBe(2);
  }
  const none = await softgrad(['softmax', x], { env, backends: fakeBackends({ wasm: absent, cpu: absent }) });
  expect(none.stderr).toContain("\n  code: 'ERR_BACKEND_UNAVAILABLE'");
});

test('it shows what caused an error', async () => {
  for (const [args, cause] of [
    [['softmax', folder.at('nowhere.npy')], 'ENOENT'],
    [['softmax', x, '--out', folder.at('nowhere/x.npy')], 'ENOENT'],
    [['softmax', folder.at('quote.csv')], 'CSV_QUOTE_NOT_CLOSED'],
    [['vjp', x, '--upstream', folder.at('nowhere.npy')], `SoftgradError: ${folder.at('nowhere.npy')}: no such file`],
    [['conformance', '--module', broken], 'Error: kaboom'],
    [['bench', '--compare', folder.at('nowhere.json')], 'ENOENT'],
    [['doctor', '--logits', x, '--probs', x, '--did', 's - y'], 'SoftgradError: diagnose: both logits'],
  ] as const) {
    const [, shown] = (await debugged(args)).split('[cause]: ');
    expect(shown, args.join(' ')).toContain(cause);
  }
  expect(await debugged(['conformance', '--module', throwing])).toContain("[cause]: 'kaboom'");
});

test('packages that Redis needs and that are not installed are an error that says how to install them', async () => {
  for (const [name, told] of [
    ['bullmq', "Cannot find package 'bullmq' imported from /x.js"],
    ['ioredis', "Cannot find module 'ioredis'\nRequire stack:\n- /x.js"],
  ] as const) {
    const cause = new Error(told);
    const error = await loadRedis(() => Promise.reject(cause)).catch((caught: unknown) => caught);
    const message = `--redis needs ${name}: npm install bullmq ioredis, where softgrad is installed`;
    expect(error).toEqual(new SoftgradError('ERR_VALUE', message, { cause }));
    expect(error).toMatchObject({ code: 'ERR_VALUE', cause });
  }
  for (const other of [new Error("Cannot find package 'x'"), 'kaboom']) {
    await expect(loadRedis(() => Promise.reject(other))).rejects.toBe(other);
  }
});
