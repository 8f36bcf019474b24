import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { fileURLToPath } from 'node:url';
import { npyElements, npyHeader } from '@softgrad/formats';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { type RedisServer, startRedis } from '../../distributed/test/redis-server.js';
import { type S3Server, startS3 } from '../../distributed/test/s3-server.js';
import { queueLines, statusLines } from '../src/runs/existing.js';
import { temporaryFolder, watchBars } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);
folder.writeNpy('a-1.npy', [[1, 2, 3]]);
folder.writeNpy('a-2.npy', [
  [0, 0, 0],
  [3, 2, 1],
]);
folder.writeNpy('bad.npy', [[1, 2]]);
folder.write('labels.npy', Buffer.concat([npyHeader('<i4', [3]), npyElements(Int32Array.of(2, 0, 1), '<i4')]));

const root = ['--root', folder.path];
/** Files are relative to the root. */
const softgrad = (args: readonly string[], options?: Parameters<typeof folder.softgrad>[1]) =>
  folder.softgrad(
    args.map((arg) => (/\.npy$/.test(arg) ? arg.replace(/\.npy$/, '.np[y]') : arg)),
    options,
  );
const run = (...args: string[]) => softgrad(['run', ...args, ...root]);
const cpu = ['--backend', 'cpu'] as const;
/** For runs that do not depend on how many threads compute them: starting one takes longer than their shards. */
const oneThread = [...cpu, '--threads', '1'] as const;
const readSoftmax = async (name: string) =>
  JSON.parse((await softgrad(['log-sum-exp', folder.at(name), ...cpu])).stdout) as number[];

describe('softgrad run', () => {
  // A run takes a thread, which takes longer to start than a test: several tests have this one, which they leave as it was.
  let finished: Awaited<ReturnType<typeof run>>;
  beforeAll(async () => {
    finished = await run('softmax', 'a-*.npy', '--out', 'p', ...cpu);
  });

  test('says where the first rows of the logits are probabilities', async () => {
    folder.writeNpy('q-1.npy', [
      [0.25, 0.75],
      [0.5, 0.5],
    ]);
    folder.writeNpy('q-2.npy', [[1, 2]]);
    const notice =
      'softgrad: q-1.npy: each of the first 2 rows adds up to 1, as probabilities do, but log-softmax takes logits: ';
    const of = async (out: string, ...args: string[]) =>
      (await run('log-softmax', ...args, '--out', out, ...oneThread)).stderr;
    expect(await of('q', 'q-1.npy', 'q-2.npy')).toMatch(new RegExp(`^${notice}.*\\n$`));
    expect(await of('other', 'q-2.npy', 'q-1.npy')).toBe('');
    expect(await of('classes', 'q-1.npy', '--shard-classes')).toBe('');
  });

  test('computes many files, which are read as one array', async () => {
    expect(finished).toEqual({
      status: 0,
      stdout: 'p/softmax: (3, 3) float64 in 2 parts\n',
      stderr: '',
    });
    expect(await readSoftmax('p')).toHaveLength(3);
    expect((await run('--status', 'p')).stdout).toMatch(
      /^p: softmax, finished\nid: [0-9a-f]{32}\napply: 2 of 2\nfinish: 1 of 1\n/,
    );
    // A folder is named as for --out: also by its absolute path, and with slashes at its end.
    for (const name of ['p', 'p/', 'p//', folder.at('p')]) {
      const stdout = 'p: 2 intact, 0 damaged or missing\n';
      expect(await run('--verify', name)).toEqual({ status: 0, stdout, stderr: '' });
    }
  });

  test('loss and gradient, one of which is read by name', async () => {
    const { status, stdout } = await run(
      'cross-entropy',
      'a-*.npy',
      '--target',
      'labels.npy',
      '--out',
      'ce',
      ...oneThread,
    );
    expect([status, stdout]).toEqual([0, 'ce/gradient: (3, 3) float64 in 2 parts\nloss: 0.9712747391856235\n']);
    expect(await readSoftmax('ce:gradient')).toHaveLength(3);
    expect(await readSoftmax('ce')).toHaveLength(3);
    expect((await softgrad(['softmax', `${folder.at('ce')}:loss`])).stderr).toMatch(
      /ce: no array loss; expected one of :gradient/,
    );
  });

  test('a damaged part is detected, and only it is computed again', async () => {
    const part = folder.at('p/softmax/part-000001.npy');
    const whole = readFileSync(part);
    truncateSync(part, 100);
    expect(await run('--verify', 'p')).toEqual({
      status: 1,
      stdout: `p/softmax/part-000001.npy: 100 bytes; expected ${whole.length}\np: 1 intact, 1 damaged or missing\n`,
      stderr: 'softgrad: softgrad run --resume p computes what is missing or damaged\n',
    });
    expect(await run('--resume', 'p')).toEqual({
      status: 0,
      stdout: 'p/softmax: (3, 3) float64 in 2 parts\n',
      stderr: expect.stringMatching(
        /^softgrad: p\/softmax\/part-000001.npy: damaged, computing it again\nsoftgrad: p: resuming run [0-9a-f]{32}, softmax; left: apply, 1 of 2 shards\n$/,
      ),
    });
    expect(readFileSync(part)).toEqual(whole);
    expect((await run('--resume', 'p')).stderr).toMatch(/, softmax; left: nothing\n$/);
  });

  test('shares of an indexed job: the last one writes the manifest', async () => {
    rmSync(folder.at('shares'), { recursive: true, force: true });
    const args = ['softmax', 'a-*.npy', '--out', 'shares', ...oneThread];
    // The second share has one of the shards, as '1/2' would.
    const first = await run(...args, '--shard', '1/12');
    expect(first).toEqual({
      status: 0,
      stdout: '',
      stderr: 'softgrad: shares: share 1/12 is finished, others are not\n',
    });
    const unfinished = await run('--status', 'shares');
    expect(unfinished.stdout).toMatch(/^shares: softmax, not finished\n/);
    expect(unfinished.stderr).toBe('softgrad: if it was interrupted, softgrad run --resume shares continues the run\n');
    // A server that does not answer hides nothing that the folder tells; one that is asked for has to answer.
    const server = 'redis://127.0.0.1:1';
    const refused = `${server}: connect ECONNREFUSED 127.0.0.1:1; expected a Redis or Valkey server`;
    const env = { SOFTGRAD_REDIS: server };
    const status = (...more: string[]) => softgrad(['run', '--status', 'shares', ...root, ...more], { env });
    expect(await status()).toEqual({
      ...unfinished,
      stderr: `softgrad: the queue of SOFTGRAD_REDIS is not shown: ${refused}\n${unfinished.stderr}`,
    });
    expect(await status('--redis', server)).toEqual({ ...unfinished, status: 2, stderr: `softgrad: ${refused}\n` });
    expect((await run(...args, '--shard', '0/2')).stdout).toBe('shares/softmax: (3, 3) float64 in 2 parts\n');
    const finished = await run('--status', 'shares');
    expect(finished).toMatchObject({ status: 0, stderr: '' });
    // Nothing of it is in a queue.
    expect([await status(), await status('--redis', server)]).toEqual([finished, finished]);
  });

  const byClasses = [
    'softmax',
    'a-1.npy',
    '--out',
    'deep/passes/',
    '--shard-classes',
    '--shard-bytes',
    '8',
    ...oneThread,
  ];

  test('shares of a run by classes have two passes, one after the other', async () => {
    const classes = await run(
      'log-sum-exp',
      'a-*.npy',
      '--out',
      'c',
      '--shard',
      '0/2',
      '--shard-classes',
      ...oneThread,
    );
    expect(classes.stderr).toMatch(/a-2.npy: shape \(2, 3\); expected \(1, classes\), to continue a-1.npy by classes/);
    const one = await run(...byClasses, '--shard', '0/2');
    expect(one.stderr).toMatch(/expected --pass statistics for every share, and then --pass apply/);
  });

  test('the last share of the last pass writes the manifest, in a folder whose name ends in a slash', async () => {
    rmSync(folder.at('deep'), { recursive: true, force: true });
    for (const pass of ['statistics', 'apply']) {
      const { status, stdout, stderr } = await run(...byClasses, '--shard', '0/1', '--pass', pass);
      const isLast = pass === 'apply';
      expect(stderr).toBe(isLast ? '' : 'softgrad: deep/passes: share 0/1 is finished, others are not\n');
      expect([status, stdout]).toEqual([0, isLast ? 'deep/passes/softmax: (1, 3) float64 in 3 parts\n' : '']);
    }
  });

  test('progress counts the shards, in both passes of a run by classes', async () => {
    let at = 0;
    const now = () => {
      at += 1000;
      return at;
    };
    const byRows = [
      ['a-*.npy', '--out', 'bar'],
      1,
      [
        ['apply', 0, 0, 2],
        ['apply', 0.5, 1, 2],
        ['apply', 1, 2, 2],
      ],
    ] as const;
    const inPasses = [
      ['a-1.npy', '--out', 'bars', '--shard-classes', '--shard-bytes', '8'],
      2,
      [
        ...[0, 1, 2, 3].map((done) => ['statistics', done / 3, done, 3]),
        ...[0, 1, 2, 3].map((done) => ['apply', 1 + done / 3, done, 3]),
      ],
    ] as const;
    for (const [args, total, labels] of inject('everything') ? [byRows, inPasses] : [inPasses]) {
      rmSync(folder.at(args[2]), { recursive: true, force: true });
      using bars = watchBars();
      const command = ['run', 'softmax', ...args, ...oneThread, ...root];
      const { status, stderr } = await softgrad(command, { terminal: true, now });
      expect(status, stderr).toBe(0);
      const expected = labels.map(([step, done, count, all]) => [`softmax: ${step}, ${count} of ${all} shards`, done]);
      expect(bars.steps()).toEqual(expected);
      expect(bars.totals()).toEqual([total]);
    }
  });

  test('resuming names an input that has changed since, though nothing is left to compute', async () => {
    for (const name of ['before-1.npy', 'before-2.npy']) cpSync(folder.at('a-1.npy'), folder.at(name));
    await run('softmax', 'before-*.npy', '--out', 'before', ...oneThread);
    const stderrOf = async () => (await run('--resume', 'before')).stderr.split('\n').slice(1).join('\n');
    expect(await stderrOf()).toBe('');
    utimesSync(folder.at('before-2.npy'), 1e9, 1e9);
    expect(await stderrOf()).toMatch(
      /^softgrad: before-2\.npy: changed since the run was planned, from (\d+) bytes of \S+ to \1 bytes of 2001-09-09T01:46:40\.000Z; the results are of the file as it was: for those of the new one, a new run with another --out\n$/,
    );
    utimesSync(folder.at('before-1.npy'), 1e9, 1e9);
    expect(await stderrOf()).toMatch(/^softgrad: before-1\.npy: changed .*Z \(and 1 more\); the results/);
    // A finished run needs its inputs no more.
    for (const name of ['before-1.npy', 'before-2.npy']) rmSync(folder.at(name));
    expect(await stderrOf()).toBe('');
  });

  test('resuming removes temporary files that are older than an hour, because others may be in use, by the clock of the file server, which may be hours behind', async () => {
    const hour = 3600;
    for (const [behind, ahead] of [
      [0, 0],
      [5 * hour, 0],
      // Of a single file: then it says nothing of the others.
      [0, 5 * hour],
    ] as const) {
      const there = Date.now() / 1000 - behind;
      for (const name of readdirSync(folder.at('p'), { recursive: true, withFileTypes: true })) {
        if (name.isFile()) utimesSync(`${name.parentPath}/${name.name}`, there, there);
      }
      utimesSync(folder.at('p/manifest.json'), there + ahead, there + ahead);
      for (const [name, age] of [
        ['.softgrad-old', hour + 60],
        ['.softgrad-young', hour - 60],
      ] as const) {
        folder.write(`p/${name}`, '');
        utimesSync(folder.at(`p/${name}`), there - age, there - age);
      }
      expect((await run('--resume', 'p')).status).toBe(0);
      const left = ['old', 'young'].map((name) => existsSync(folder.at(`p/.softgrad-${name}`)));
      expect(left, `${behind} s behind, one ${ahead} s ahead`).toEqual([false, true]);
    }
  });

  test('a name that is not UTF-8 is an error that says so, and nothing is written under another name', async () => {
    const advice =
      'the name has bytes that are not UTF-8 (shown as \ufffd), which Node cannot open: rename the file or folder';
    const bytes = Buffer.concat([Buffer.from(folder.at('latin-')), Buffer.of(0xe9), Buffer.from('.npy')]);
    writeFileSync(bytes, readFileSync(folder.at('a-1.npy')));
    const before = readdirSync(folder.path).length;
    for (const args of [
      ['run', 'softmax', 'latin-*.npy', '--out', 'latin', ...root],
      ['run', 'softmax', 'latin-\ufffd.npy', '--out', 'latin', ...root],
      ['run', 'softmax', 'a-1.npy', '--out', 'latin-\ufffd/p', ...root],
      ['run', '--resume', 'latin-\ufffd', ...root],
      ['run', '--resume', 'latin', '--root', folder.at('\ufffd')],
      ['softmax', folder.at('latin-\ufffd.npy')],
      ['softmax', folder.at('a-1.npy'), '--out', folder.at('\ufffd.npy')],
    ]) {
      const { status, stderr } = await folder.softgrad(args);
      expect([status, stderr.includes(advice)], `${args}: ${stderr}`).toEqual([2, true]);
    }
    expect(readdirSync(folder.path)).toHaveLength(before);
    unlinkSync(bytes);
  });

  test('files whose names are equal as numbers have one order on every machine', async () => {
    for (const name of ['same-2', 'same-02', 'same-1', 'same-002']) folder.writeNpy(`${name}.npy`, [[1, 2, 3]]);
    // Only its plan is wanted: the run ends before its first shard.
    const onInterrupt = (listener: (exitCode: number) => void) => {
      listener(143);
      return () => {};
    };
    await softgrad(['run', 'softmax', 'same-*.npy', '--out', 'same', ...cpu, ...root], { onInterrupt });
    const { inputs } = JSON.parse(readFileSync(folder.at('same/plan.json'), 'utf8'));
    const paths = inputs.logits.files.map(({ path }: { path: string }) => path);
    expect(paths).toEqual(['same-1.npy', 'same-002.npy', 'same-02.npy', 'same-2.npy']);
  });

  test('Ctrl-C ends a run after its current shards, and is then handled by the process again', async () => {
    rmSync(folder.at('stopped'), { recursive: true, force: true });
    let released = 0;
    const onInterrupt = (listener: (exitCode: number) => void) => {
      listener(143);
      return () => {
        released++;
      };
    };
    const command = ['run', 'softmax', 'a-*.npy', '--out', 'stopped', ...cpu, ...root];
    const { status, stdout, stderr } = await softgrad(command, { onInterrupt });
    expect(stderr).toBe(
      'softgrad: finishing the current shards; press Ctrl-C again to end immediately\nsoftgrad: interrupted; softgrad run --resume stopped continues the run\n',
    );
    expect([status, stdout, released]).toEqual([143, '', 1]);
  });

  test.each([
    [[], 'softgrad: run: nothing to do; expected an OPERATION with FILES, --status, --resume, --verify or --cancel'],
    [['softmax', 'a-1.npy', '--status', 'p'], 'softgrad: run: --status and OPERATION exclude each other'],
    [['sigmoid', 'a-1.npy', '--out', 'x'], 'softgrad: run: sigmoid: unknown operation; expected softmax, log-softmax'],
    [['softmax', '--out', 'x'], 'softgrad: run: softmax: no files; expected .npy files or patterns'],
    [['vjp', 'a.npy', '--out', 'x'], 'softgrad: run: vjp: expected --upstream FILES; `softgrad help run` says of what'],
    [['jvp', 'a.npy', '--out', 'x'], 'softgrad: run: jvp: expected --upstream FILES; `softgrad help run` says of what'],
    [
      ['cross-entropy', 'a.npy', '--out', 'x'],
      'softgrad: run: cross-entropy: expected --target FILES; `softgrad help run` says of what',
    ],
    [['softmax', 'a-1.npy'], 'softgrad: run: softmax: expected --out FOLDER'],
    [
      ['softmax', 'a-*.npy', 'bad.npy', '--out', 'x'],
      'bad.npy: shape (1, 2); expected (rows, 3), to continue a-1.npy by rows',
    ],
    [['softmax', 'a-1.npy', '--out', '../x'], '../x: outside of '],
    [['softmax', 'a-1.npy', '--out', 'x', '--detach'], '--detach without --redis'],
    ...['2/2', '3/2', '0/0', '1', '/2', '1/', 'x1/2', '1/2x', '-1/2', '1/2/3', ''].map(
      (share) =>
        [
          ['softmax', 'a-1.npy', '--out', 'x', '--shard', share],
          `'--shard <i/n>' argument '${share}' is invalid. Expected i/n with i from 0 to n − 1`,
        ] as const,
    ),
    [
      ['softmax', 'a-1.npy', '--out', 'x', '--redis', 'redis://127.0.0.1:1'],
      'redis://127.0.0.1:1: connect ECONNREFUSED',
    ],
    [['--status', 'nowhere'], 'nowhere/plan.json'],
    [['--status', '0'.repeat(32)], '0: not the folder of a run; expected one, or --redis'],
    [['--status', `x${'0'.repeat(32)}`], 'plan.json: no such file in '],
    [['--cancel', 'p'], '--cancel: expected --redis; a run without it ends with Ctrl-C'],
  ] as const)('refused: %j', async (args, message) => {
    const { status, stdout, stderr } = await run(
      ...args,
      ...(args.length > 2 && !args.some((arg) => arg === '--status') ? cpu : []),
    );
    expect(stderr).toContain(message);
    expect([status, stdout]).toEqual([2, '']);
    expect(existsSync(folder.at('x'))).toBe(false);
  });
});

test.each(inject('everything') ? ['labels.npy', 'shares.npy'] : ['shares.npy'])(
  'class weights, label smoothing and probabilities have the same meaning as on one machine: %s',
  async (target) => {
    folder.writeNpy('shares.npy', [
      [0.2, 0.3, 0.5],
      [1, 0, 0],
      [0, 0.5, 0.5],
    ]);
    folder.write('weight.npy', Buffer.concat([npyHeader('<f8', [3]), npyElements(Float64Array.of(1, 2, 0.5), '<f8')]));
    const setting = ['--weight', folder.at('weight.npy'), '--label-smoothing', '0.1', '--reduction', 'sum'];
    const losses: number[] = [];
    for (const file of ['a-1.npy', 'a-2.npy']) {
      const slice = file === 'a-1.npy' ? [0, 1] : [1, 3];
      const targets = (
        target === 'labels.npy'
          ? [2, 0, 1]
          : [
              [0.2, 0.3, 0.5],
              [1, 0, 0],
              [0, 0.5, 0.5],
            ]
      ).slice(...slice);
      folder.write('targets.json', JSON.stringify(targets));
      const { stdout } = await folder.softgrad([
        'cross-entropy',
        folder.at(file),
        '--target',
        folder.at('targets.json'),
        ...setting,
        ...cpu,
      ]);
      losses.push(JSON.parse(stdout).loss);
    }
    const out = `weighted-by-${target.replace('.npy', '')}`;
    rmSync(folder.at(out), { recursive: true, force: true });
    const { stdout } = await run(
      'cross-entropy',
      'a-*.npy',
      '--target',
      target,
      ...setting.with(1, 'weight.npy'),
      '--out',
      out,
      ...oneThread,
    );
    const [, loss] = /^loss: (.*)$/m.exec(stdout) ?? [];
    expect(Number(loss)).toBeCloseTo(
      losses.reduce((sum, value) => sum + value),
      12,
    );
  },
);

describe('on a backend of the user', () => {
  const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}-backend.mjs`, import.meta.url));
  const right = ['--module', fixture('right')] as const;
  const plan = ['softmax', 'a-*.npy', '--threads', '1'] as const;
  const unknown =
    "softgrad: no backend is named 'right'; expected cpu, wasm, webgpu, gpujs, tfjs; --module takes a package or a file of your own\n";

  test('each thread loads its module, which --resume needs again', async () => {
    const stdout = 'mine/softmax: (3, 3) float64 in 2 parts\n';
    expect(await run(...plan, '--out', 'mine', ...right)).toEqual({ status: 0, stdout, stderr: '' });
    expect(JSON.parse(readFileSync(folder.at('mine/plan.json'), 'utf8')).backend).toBe('right');
    expect(JSON.parse(readFileSync(folder.at('mine/pins.json'), 'utf8')).backend).toBe('right');
    const part = folder.at('mine/softmax/part-000001.npy');
    const whole = readFileSync(part);
    unlinkSync(part);
    const without = await run('--resume', 'mine');
    expect(without).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining(unknown) });
    const other = await run('--resume', 'mine', '--module', fixture('faulty'));
    expect(other.stderr).toBe(
      `softgrad: --module ${fixture('faulty')}: its backend is faulty; expected right, which mine was planned for\n`,
    );
    expect(await run('--resume', 'mine', ...right)).toMatchObject({ status: 0, stdout });
    expect(readFileSync(part)).toEqual(whole);
  });

  test('an unknown name is refused before anything is written', async () => {
    expect(await run(...plan, '--out', 'unknown', '--backend', 'right')).toEqual({
      status: 2,
      stdout: '',
      stderr: unknown,
    });
    expect(existsSync(folder.at('unknown'))).toBe(false);
  });

  test('what it throws is its error, not a defect of softgrad', async () => {
    const url = JSON.stringify(new URL('fixtures/right-backend.mjs', import.meta.url).href);
    const throwing = folder.write(
      'throwing.mjs',
      `import { openBackend } from ${url};
      const softmax = () => { throw new TypeError('kaboom'); };
      export default { name: 'throwing', unavailable: async () => null, open: async () => Object.assign(openBackend(), { softmax }) };`,
    );
    expect(await run(...plan, '--out', 'thrown', '--module', throwing)).toEqual({
      status: 2,
      stdout: '',
      stderr: 'softgrad: --module throwing.mjs: kaboom\n',
    });
  });
});

describe('in object storage', () => {
  let s3: S3Server;
  beforeAll(async () => {
    s3 = await startS3();
    vi.stubEnv('AWS_ENDPOINT_URL_S3', s3.url);
    vi.stubEnv('AWS_REGION', 'eu-central-1');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'key');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
    await run(
      'cross-entropy',
      'a-*.npy',
      '--target',
      'labels.npy',
      '--out',
      'stored',
      '--reduction',
      'none',
      ...oneThread,
    );
    for (const name of readdirSync(folder.at('stored'), { recursive: true }).map(String)) {
      if (statSync(folder.at(`stored/${name}`)).isFile())
        s3.objects.set(`deep/stored/${name}`, readFileSync(folder.at(`stored/${name}`)));
    }
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await s3.end();
  });
  test('a result is read by its URL, and one of several arrays by its name', async () => {
    const [gradient, loss] = await Promise.all(
      ['gradient', 'loss'].map((name) => softgrad(['softmax', `s3://bucket/deep/stored:${name}`, ...cpu])),
    );
    expect(gradient.stdout).toBe((await softgrad(['softmax', `${folder.at('stored')}:gradient`, ...cpu])).stdout);
    expect(loss.stdout).toBe((await softgrad(['softmax', `${folder.at('stored')}:loss`, ...cpu])).stdout);
    expect([JSON.parse(gradient.stdout).length, JSON.parse(loss.stdout).length]).toEqual([3, 3]);
    expect((await softgrad(['softmax', 's3://bucket/deep/stored', ...cpu])).stderr).toMatch(/several arrays|one of/);
  });

  const there = (...args: string[]) => softgrad(['run', ...args, '--store', 's3://bucket/deep/store']);

  test('the same options as in a folder', async () => {
    for (const name of ['a-1.npy', 'a-2.npy']) s3.objects.set(`deep/store/${name}`, readFileSync(folder.at(name)));
    expect(await there('softmax', 'a-*.npy', '--out', 'p', ...oneThread)).toEqual({
      status: 0,
      stdout: 'p/softmax: (3, 3) float64 in 2 parts\n',
      stderr: '',
    });
    expect(await there('--verify', 'p')).toEqual({
      status: 0,
      stdout: 'p: 2 intact, 0 damaged or missing\n',
      stderr: '',
    });
    expect((await there('--status', 'p')).stdout).toMatch(/^p: softmax, finished\n/);
    const read = await softgrad(['log-sum-exp', 's3://bucket/deep/store/p', ...cpu]);
    expect(JSON.parse(read.stdout)).toHaveLength(3);
    if (!inject('everything')) return;
    s3.objects.delete('deep/store/p/softmax/part-000000.npy');
    expect((await there('--resume', 'p')).stdout).toBe('p/softmax: (3, 3) float64 in 2 parts\n');
    expect(s3.objects.has('deep/store/p/softmax/part-000000.npy')).toBe(true);
  });

  test.each([
    [['--store', 's3://bucket/store', '--root', '.'], "'--store <url>' cannot be used with option '--root <folder>'"],
    [['--store', 'gs://bucket/store'], 'gs://bucket/store: expected s3://BUCKET/PREFIX, or a folder'],
    [['--store', 's3://B'], 's3://B: expected s3://BUCKET or s3://BUCKET/PREFIX'],
    [['--store', 's3://other/store'], 's3://other/store/: cannot be listed: no such bucket'],
    [
      ['--store', 's3://bucket/store', '--target', 's3://bucket/x.npy'],
      's3://bucket/x.np[y]: outside of s3://bucket/store',
    ],
  ])('refused: %j', async (options, message) => {
    const operation = options.includes('--target') ? 'cross-entropy' : 'softmax';
    s3.objects.set('store/a-1.npy', readFileSync(folder.at('a-1.npy')));
    const { status, stderr } = await softgrad(['run', operation, 'a-1.npy', '--out', 'x', ...cpu, ...options]);
    expect(stderr).toContain(message);
    expect(status).toBe(2);
  });
});

describe('with a server', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis[Symbol.asyncDispose]());

  test('submits, shows, cancels, resumes and waits while a worker computes', async () => {
    const env = { SOFTGRAD_REDIS: redis.url(0) };
    const there = (...args: string[]) => softgrad(['run', ...args, ...root], { env });
    const submitted = await there('softmax', 'a-*.npy', '--out', 'there', '--detach', ...cpu);
    expect(submitted.stdout).toMatch(/^[0-9a-f]{32}\n$/);
    const id = submitted.stdout.trim();
    expect((await there('--status', id)).stdout).toMatch(
      /^there: softmax, not finished\nid: [0-9a-f]{32}\napply: 0 of 2\nfinish: 0 of 1\nworkers: 0\nrunning: 0\nretried: 0\nfailed: 0\n$/,
    );
    expect((await there('--cancel', id)).stderr).toBe(
      'softgrad: there: cancelled; softgrad run --resume there continues it\n',
    );
    expect((await there('--status', id)).stdout).toMatch(/^there: softmax, cancelled\n/);
    let interrupt = (_: number) => {};
    let released = false;
    const worker = softgrad(['worker', ...root, ...cpu, '--concurrency', '1'], {
      env,
      onInterrupt(listener) {
        interrupt = listener;
        return () => {
          released = true;
        };
      },
    });
    const resumed = await there('--resume', id);
    expect(resumed).toMatchObject({ status: 0, stdout: 'there/softmax: (3, 3) float64 in 2 parts\n' });
    expect((await there('--cancel', id)).stderr).toBe('softgrad: there: finished already\n');
    interrupt(130);
    const { status, stderr } = await worker;
    expect([status, released]).toEqual([0, true]);
    expect(stderr).toContain('done there: apply-000000\n');
    expect(stderr).toContain('finishing the current shards; press Ctrl-C again to end immediately\n');
    rmSync(folder.at('there'), { recursive: true });
  });

  test('a worker computes on the backend of its module what was planned for one of that name', async () => {
    const env = { SOFTGRAD_REDIS: redis.url(3) };
    const module = ['--module', fileURLToPath(new URL('fixtures/right-backend.mjs', import.meta.url))];
    let interrupt = (_: number) => {};
    const worker = softgrad(['worker', ...root, ...module, '--concurrency', '1'], {
      env,
      onInterrupt(listener) {
        interrupt = listener;
        return () => {};
      },
    });
    const submit = ['run', 'softmax', 'a-*.npy', '--out', 'theirs', '--backend', 'right', ...root];
    const { status, stdout } = await softgrad(submit, { env });
    expect([status, stdout]).toEqual([0, 'theirs/softmax: (3, 3) float64 in 2 parts\n']);
    interrupt(130);
    expect((await worker).stderr).toMatch(/^softgrad: worker on right, 1 shards at once/m);
    rmSync(folder.at('theirs'), { recursive: true });
  });

  test('a server that may lose jobs is a warning to who submits and to each worker', async () => {
    const env = { SOFTGRAD_REDIS: redis.url(1) };
    const client = new Redis(redis.url(1));
    const warning = 'softgrad: appendfsync is no: jobs of the last half minute are lost when the machine ends;';
    try {
      await client.config('SET', 'appendfsync', 'no');
      const submitted = await softgrad(['run', 'softmax', 'a-1.npy', '--out', 'lossy', '--detach', ...cpu, ...root], {
        env,
      });
      expect(submitted.stderr).toContain(warning);
      expect(submitted.stderr.trimEnd()).not.toContain('\n');
      const worker = await softgrad(['worker', ...root, ...cpu, '--concurrency', '2'], {
        env,
        onInterrupt(listener) {
          listener(130);
          return () => {};
        },
      });
      expect(worker.stderr).toContain(warning);
      expect(worker.stderr).toContain(
        `\nsoftgrad: worker on cpu, 2 shards at once, for runs in ${folder.path}, at ${redis.url(1)}\n`,
      );
      expect(worker.status).toBe(0);
    } finally {
      await client.config('SET', 'appendfsync', 'everysec');
      client.disconnect();
    }
    rmSync(folder.at('lossy'), { recursive: true });
  });

  test('Ctrl-C ends waiting for the workers, not the run', async () => {
    const env = { SOFTGRAD_REDIS: redis.url(2) };
    let released = 0;
    const { status, stdout, stderr } = await softgrad(['run', 'softmax', 'a-1.npy', '--out', 'left', ...cpu, ...root], {
      env,
      onInterrupt(listener) {
        listener(130);
        return () => {
          released++;
        };
      },
    });
    expect(stderr).toMatch(/^softgrad: stopped waiting for run [0-9a-f]{32}, which continues\n$/);
    expect([status, stdout, released]).toEqual([130, '', 1]);
    expect((await softgrad(['run', '--status', 'left', ...root], { env })).stdout).toMatch(
      /^left: softmax, not finished\n/,
    );
    rmSync(folder.at('left'), { recursive: true });
  });

  test('a worker without a server, and an id that the server does not know', async () => {
    expect((await softgrad(['worker', ...root, ...cpu])).stderr).toMatch(/no server; expected --redis/);
    const unknown = await run('--status', '0'.repeat(32), '--redis', redis.url(0));
    expect(unknown.stderr).toMatch(
      /^softgrad: 0{32}: the server knows no such run; expected the id that submitting it gave/,
    );
  });
});

test('the status of a run has its steps, its rate, the time left, and what the queue holds', () => {
  const steps = [
    { step: 'apply', done: 3, total: 8 },
    { step: 'finish', done: 0, total: 1 },
  ] as const;
  const status = {
    ...{ run: 'a1', out: 'p', steps, finished: false, cancelled: false, rate: 1.23456, secondsLeft: 12.6 },
    operation: 'softmax',
  } as const;
  const first = ['id: a1', 'apply: 3 of 8', 'finish: 0 of 1'];
  expect(statusLines(status)).toEqual(['p: softmax, not finished', ...first, 'rate: 1.23 shards/s', 'left: 13 s']);
  expect(statusLines({ ...status, rate: null, secondsLeft: null, cancelled: true })).toEqual([
    'p: softmax, cancelled',
    ...first,
  ]);
  // A finished run has no time left, and cannot be cancelled any more.
  expect(statusLines({ ...status, finished: true, cancelled: true })).toEqual([
    'p: softmax, finished',
    ...first,
    'rate: 1.23 shards/s',
  ]);
  const running = [
    { step: 'apply', index: 4, attempts: 1 },
    { step: 'apply', index: 6, attempts: 2 },
  ] as const;
  const idle = { running: [], retried: 0, failed: [], workers: 0 };
  expect(queueLines(idle)).toEqual(['workers: 0', 'running: 0', 'retried: 0', 'failed: 0']);
  const busy = { running, retried: 1, failed: ['apply 5: no space', 'apply 7: kaboom'], workers: 2 };
  expect(queueLines(busy)).toEqual([
    'workers: 2',
    'running: 2 (apply 4, apply 6)',
    'retried: 1',
    'failed: 2',
    '  apply 5: no space',
    '  apply 7: kaboom',
  ]);
});
