import { existsSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { npyElements, npyHeader } from '@softgrad/formats';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type RedisServer, startRedis } from '../../distributed/test/redis-server.js';
import { type S3Server, startS3 } from '../../distributed/test/s3-server.js';
import { temporaryFolder } from './command.js';

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
const readSoftmax = async (name: string) =>
  JSON.parse((await softgrad(['log-sum-exp', folder.at(name), ...cpu])).stdout) as number[];

describe('softgrad run', () => {
  test('computes many files, which are read as one array', async () => {
    expect(await run('softmax', 'a-*.npy', '--out', 'p', ...cpu)).toEqual({
      status: 0,
      stdout: 'p/softmax: (3, 3) float64 in 2 parts\n',
      stderr: '',
    });
    expect(await readSoftmax('p')).toHaveLength(3);
    expect((await run('--status', 'p')).stdout).toMatch(
      /^p: softmax, finished\nid: [0-9a-f]{32}\napply: 2 of 2\nfinish: 1 of 1\n/,
    );
    expect(await run('--verify', 'p')).toEqual({
      status: 0,
      stdout: 'p: 2 intact, 0 damaged or missing\n',
      stderr: '',
    });
  });

  test('loss and gradient, one of which is read by name', async () => {
    const { status, stdout } = await run('cross-entropy', 'a-*.npy', '--target', 'labels.npy', '--out', 'ce', ...cpu);
    expect([status, stdout]).toEqual([0, 'ce/gradient: (3, 3) float64 in 2 parts\nloss: 0.9712747391856235\n']);
    expect(await readSoftmax('ce:gradient')).toHaveLength(3);
    expect(await readSoftmax('ce')).toHaveLength(3);
    expect((await softgrad(['softmax', `${folder.at('ce')}:loss`])).stderr).toMatch(
      /ce: no array loss; expected one of :gradient/,
    );
  });

  test('a damaged part is detected, and only it is computed again', async () => {
    await run('softmax', 'a-*.npy', '--out', 'damaged', ...cpu);
    const part = folder.at('damaged/softmax/part-000001.npy');
    const whole = readFileSync(part);
    truncateSync(part, 100);
    expect(await run('--verify', 'damaged')).toEqual({
      status: 1,
      stdout: `damaged/softmax/part-000001.npy: 100 bytes; expected ${whole.length}\ndamaged: 1 intact, 1 damaged or missing\n`,
      stderr: 'softgrad: softgrad run --resume damaged computes what is missing or damaged\n',
    });
    expect(await run('--resume', 'damaged')).toEqual({
      status: 0,
      stdout: 'damaged/softmax: (3, 3) float64 in 2 parts\n',
      stderr: 'softgrad: damaged/softmax/part-000001.npy: damaged, computing it again\n',
    });
    expect(readFileSync(part)).toEqual(whole);
  });

  test('shares of an indexed job: the last one writes the manifest', async () => {
    const args = ['softmax', 'a-*.npy', '--out', 'shares', ...cpu];
    const first = await run(...args, '--shard', '1/2');
    expect(first).toEqual({
      status: 0,
      stdout: '',
      stderr: 'softgrad: shares: share 1/2 is finished, others are not\n',
    });
    expect((await run(...args, '--shard', '0/2')).stdout).toBe('shares/softmax: (3, 3) float64 in 2 parts\n');
    const classes = await run('log-sum-exp', 'a-*.npy', '--out', 'c', '--shard', '0/2', '--shard-classes', ...cpu);
    expect(classes.stderr).toMatch(/a-2.npy: shape \(2, 3\); expected \(1, classes\), to continue a-1.npy by classes/);
    const one = await run('log-sum-exp', 'a-1.npy', '--out', 'c', '--shard', '0/2', '--shard-classes', ...cpu);
    expect(one.stderr).toMatch(/expected --pass statistics for every share, and then --pass apply/);
  });

  test.each([
    [[], 'nothing to do; expected an OPERATION with FILES, --status, --resume, --verify or --cancel'],
    [['softmax', 'a-1.npy', '--status', 'p'], '--status and OPERATION exclude each other'],
    [['sigmoid', 'a-1.npy', '--out', 'x'], 'sigmoid: unknown operation; expected softmax, log-softmax'],
    [['softmax', '--out', 'x'], 'softmax: no files; expected .npy files or patterns'],
    [['softmax', 'a-1.npy'], 'softmax: expected --out FOLDER'],
    [
      ['softmax', 'a-*.npy', 'bad.npy', '--out', 'x'],
      'bad.npy: shape (1, 2); expected (rows, 3), to continue a-1.npy by rows',
    ],
    [['softmax', 'a-1.npy', '--out', '../x'], '../x: outside of '],
    [['softmax', 'a-1.npy', '--out', 'x', '--detach'], '--detach without --redis'],
    [['softmax', 'a-1.npy', '--out', 'x', '--shard', '2/2'], 'Expected i/n with i from 0 to n − 1'],
    [
      ['softmax', 'a-1.npy', '--out', 'x', '--redis', 'redis://127.0.0.1:1'],
      'redis://127.0.0.1:1: connect ECONNREFUSED',
    ],
    [['--status', 'nowhere'], 'nowhere/plan.json'],
    [['--status', '0'.repeat(32)], '0: not the folder of a run; expected one, or --redis'],
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

test('class weights, label smoothing and probabilities have the same meaning as on one machine', async () => {
  folder.writeNpy('shares.npy', [
    [0.2, 0.3, 0.5],
    [1, 0, 0],
    [0, 0.5, 0.5],
  ]);
  folder.write('weight.npy', Buffer.concat([npyHeader('<f8', [3]), npyElements(Float64Array.of(1, 2, 0.5), '<f8')]));
  const setting = ['--weight', folder.at('weight.npy'), '--label-smoothing', '0.1', '--reduction', 'sum'];
  for (const target of ['labels.npy', 'shares.npy']) {
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
    const out = `weighted-${target}`;
    const { stdout } = await run(
      'cross-entropy',
      'a-*.npy',
      '--target',
      target,
      ...setting.with(1, 'weight.npy'),
      '--out',
      out,
      ...cpu,
    );
    const [, loss] = /^loss: (.*)$/m.exec(stdout) ?? [];
    expect(Number(loss)).toBeCloseTo(
      losses.reduce((sum, value) => sum + value),
      12,
    );
  }
});

describe('in object storage', () => {
  let s3: S3Server;
  beforeAll(async () => {
    s3 = await startS3();
    vi.stubEnv('AWS_ENDPOINT_URL_S3', s3.url);
    vi.stubEnv('AWS_REGION', 'eu-central-1');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'key');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await s3.end();
  });
  const there = (...args: string[]) => softgrad(['run', ...args, '--store', 's3://bucket/deep/store']);

  test('the same options as in a folder', async () => {
    for (const name of ['a-1.npy', 'a-2.npy']) s3.objects.set(`deep/store/${name}`, readFileSync(folder.at(name)));
    expect(await there('softmax', 'a-*.npy', '--out', 'p', ...cpu)).toEqual({
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
    let interrupt = () => {};
    const worker = softgrad(['worker', ...root, ...cpu, '--concurrency', '1'], {
      env,
      onInterrupt(listener) {
        interrupt = listener;
        return () => {};
      },
    });
    const resumed = await there('--resume', id);
    expect(resumed).toMatchObject({ status: 0, stdout: 'there/softmax: (3, 3) float64 in 2 parts\n' });
    interrupt();
    const { status, stderr } = await worker;
    expect(status).toBe(0);
    expect(stderr).toContain('done there: apply-000000\n');
    expect(stderr).toContain('finishing the current shards; press Ctrl-C again to end immediately\n');
    rmSync(folder.at('there'), { recursive: true });
  });

  test('a worker without a server, and an id that the server does not know', async () => {
    expect((await softgrad(['worker', ...root, ...cpu])).stderr).toMatch(/no server; expected --redis/);
    const unknown = await run('--status', '0'.repeat(32), '--redis', redis.url(0));
    expect(unknown.stderr).toMatch(
      /^softgrad: 0{32}: the server knows no such run; expected the id that submitting it gave/,
    );
  });
});
