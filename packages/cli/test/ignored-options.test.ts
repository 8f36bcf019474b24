import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);
beforeAll(() => {
  folder.writeNpy('x.npy', [
    [1, 2],
    [3, 4],
  ]);
});

const planned = ['run', 'softmax', 'x.npy', '--out', 'out'];

/** Options with a value of each, which mean something for a new run only. */
const ofPlan = [
  ['--out <folder>', 'z'],
  ['--upstream <files...>', 'x.npy'],
  ['--mask <files...>', 'x.npy'],
  ['--target <files...>', 'x.npy'],
  ['--weight <files...>', 'x.npy'],
  ['--axis <n>', '0'],
  ['--temperature <t>', '2'],
  ['--dtype <dtype>', 'float32'],
  ['--reduction <how>', 'sum'],
  ['--ignore-index <n>', '0'],
  ['--label-smoothing <e>', '0.1'],
  ['--loss-only'],
  ['--shard-classes'],
  ['--shard-bytes <n>', '100'],
  ['--backend <name>', 'cpu'],
] as const;

/** The same for computing one. */
const ofExecution = [
  ['--module <file>', 'mine.mjs'],
  ['--threads <n>', '1'],
  ['--detach'],
  ['--shard <i/n>', '0/1'],
  ['--pass <pass>', 'apply'],
] as const;

const ofTasks = (['--status', '--verify', '--cancel', '--resume'] as const).flatMap((task) =>
  [...ofPlan, ...(task === '--resume' ? [] : ofExecution)].map(([option, ...value]) => {
    const [name = ''] = option.split(' ');
    const placeholder = task === '--verify' ? 'folder' : 'run';
    const message = `option '${task} <${placeholder}>' cannot be used with option '${option}'`;
    return [['run', task, 'nowhere', name, ...value], message] as const;
  }),
);

const ofList = [
  ['--logits <file>', 'x.npy'],
  ['--probs <file>', 'x.npy'],
  ['--grad <file>', 'x.npy'],
  ['--did <expression>', 's'],
  ['--upstream <file>', 'x.npy'],
  ['--target <file>', '0,1'],
  ['--axis <n>', '0'],
  ['--temperature <t>', '2'],
  ['--reduction <how>', 'sum'],
  ['--layer <name>', 'sigmoid'],
  ['--mask <file>', 'x.npy'],
  ['--label-smoothing <e>', '0.1'],
  ['--weight <file>', '1,1'],
  ['--ignore-index <n>', '0'],
  ['--header <yes|no>', 'no'],
  ['--link [url]'],
] as const;

test.each<readonly [args: readonly string[], message: string]>([
  ...ofTasks,
  ...(
    [
      ['--target', 'x.npy'],
      ['--weight', 'x.npy'],
      ['--reduction', 'sum'],
      ['--ignore-index', '-100'],
      ['--label-smoothing', '0'],
      ['--loss-only'],
    ] as const
  ).map(
    ([name, ...value]) => [[...planned, name, ...value], `softmax: ${name} is an option of cross-entropy`] as const,
  ),
  [[...planned, '--upstream', 'x.npy'], 'softmax: --upstream is an option of vjp and jvp'],
  [[...planned, '--pass', 'apply'], '--pass apply: expected --shard too, and a run by --shard-classes'],
  [
    [...planned, '--shard', '0/1', '--pass', 'statistics'],
    '--pass statistics: expected --shard too, and a run by --shard-classes',
  ],
  [
    [...planned, '--shard-classes', '--pass', 'apply'],
    '--pass apply: expected --shard too, and a run by --shard-classes',
  ],
  [
    [...planned, '--shard', '0/1', '--redis', 'redis://127.0.0.1:1'],
    "option '--shard <i/n>' cannot be used with option '--redis <url>'",
  ],
  [[...planned, '--shard', '0/1', '--detach'], "option '--shard <i/n>' cannot be used with option '--detach'"],
  [
    [...planned, '--threads', '2', '--redis', 'redis://127.0.0.1:1'],
    '--threads 2 with --redis or SOFTGRAD_REDIS: workers compute the run; expected --concurrency 2 of `softgrad worker`',
  ],
  ...ofList.map(
    ([option, ...value]) =>
      [
        ['doctor', '--list', option.split(' ')[0] ?? '', ...value],
        `option '--list' cannot be used with option '${option}'`,
      ] as const,
  ),
  [['bench', '--quick', '--shapes', '2x3'], "option '--quick' cannot be used with option '--shapes <list>'"],
  [['conformance', '--list', '--all'], "option '--list' cannot be used with option '--all'"],
  ...(['--json', '--md'] as const).map(
    (format) =>
      [
        ['accuracy', '--details', format, '-'],
        `--details with ${format} -: standard output has the whole report already; expected one of them`,
      ] as const,
  ),
])('an option that would be ignored is an error: %j', async (args, message) => {
  const places = args[0] === 'run' ? ['--root', folder.path] : [];
  const { status, stdout, stderr } = await folder.softgrad([...args, ...places]);
  expect(stderr).toContain(message);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect([status, stdout]).toEqual([2, '']);
  expect(existsSync(folder.at('out'))).toBe(false);
});

test('--threads is refused where SOFTGRAD_REDIS names the server, and --shard needs none', async () => {
  const env = { SOFTGRAD_REDIS: 'redis://127.0.0.1:1' };
  const root = ['--root', folder.path, '--backend', 'cpu'];
  const { status, stderr } = await folder.softgrad([...planned, '--threads', '2', ...root], { env });
  expect([status, stderr]).toEqual([2, expect.stringContaining('--threads 2 with --redis or SOFTGRAD_REDIS')]);
  expect((await folder.softgrad([...planned, '--shard', '0/1', '--threads', '1', ...root], { env })).status).toBe(0);
});
