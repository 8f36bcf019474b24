import { existsSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { idOf, removeDamaged, runEmbedded } from '../src/index.js';
import { cancel, folderOf, queueName, queueStatus, submit, waitFor } from '../src/redis/index.js';
import { type RedisServer, startRedis } from './redis-server.js';
import { type Fault, lockDuration, startWorkerHere, startWorkerProcess } from './workers.js';
import { noise, type Workspace, workspace } from './workspace.js';

const rows = 12;
const classes = 20;

let redis: RedisServer;
let database = 0;
let expected: Record<string, string>;
beforeAll(async () => {
  redis = await startRedis({ databases: '4096' });
  using work = written();
  await work.compute(await planOf(work));
  expected = work.hashes();
});
afterAll(() => redis[Symbol.asyncDispose]());

function written(): Workspace {
  const work = workspace();
  work.write('logits.npy', [rows, classes], Float32Array.from(noise(rows * classes)));
  work.write(
    'labels.npy',
    [rows],
    Int32Array.from({ length: rows }, (_, row) => row),
    '<i4',
  );
  return work;
}

/** Three shards of statistics, a merge, three that apply it. */
function planOf(work: Workspace) {
  return work.plan({
    operation: 'cross-entropy',
    target: ['labels.npy'],
    shardClasses: true,
    shardBytes: rows * 7 * 4,
  });
}

/** A separate run: a folder, a database, and its expected results. */
async function scene() {
  const work = written();
  const url = redis.url(database++);
  const plan = await planOf(work);
  const options = { root: work.root, redis: url };
  return {
    work,
    plan,
    options,
    submit: () => submit(plan, { ...options, retryDelay: 50 }),
    wait: () => waitFor(plan, { ...options, interval: 50 }),
    fault: (point: string, subject: string, signal: Fault['signal'] = 'SIGKILL', times = 1): Fault => ({
      point,
      subject,
      signal,
      times,
      marker: work.path(`${signal === 'SIGSTOP' ? 'stopped' : `${point} ${subject.replace('/', ' ')}`}`),
    }),
    /**
     * No part is missing, duplicated or truncated. Temporary files of interrupted writers are removed soon after: the last step writes the manifest,
     * which ends the wait for the run, and then removes them.
     */
    async expectUndisturbed() {
      expect(work.hashes()).toEqual(expected);
      await vi.waitFor(() => expect(work.temporaries()).toEqual([]), { timeout: 60_000 });
    },
    [Symbol.dispose]: () => work[Symbol.dispose](),
  };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe.concurrent('a worker killed immediately', () => {
  // Of several points that leave the same there is one: of a shard the store has an unfinished part, nothing, or all while the queue has its job. Each death takes
  // the start of a process, so `npm test` has one of each, but twice of the same shard, and `npm run test:all` what else can be left.
  const once = [
    'while it writes a part, twice when it has computed the same shard, and between the passes',
    ['store:temporary', 'gradient/part-000001'],
    ['shard:computed', 'apply-000002', 2],
    ['merge:done', ''],
  ] as const;
  const again = [
    ['when a part has its name', ['store:linked', 'gradient/part-000001']],
    ['when the second pass is submitted, and at the end', ['merge:submitted', ''], ['shard:done', 'finish']],
  ] as const;
  type Point = readonly [point: string, subject: string, times?: number];
  const kills: readonly (readonly [string, ...(readonly Point[])])[] = inject('everything') ? [once, ...again] : [once];
  test.for(kills)('%s', async ([, ...points]) => {
    using run = await scene();
    const faults = points.map(([point, subject, times]) => run.fault(point, subject, 'SIGKILL', times));
    await using worker = startWorkerProcess(run.options, ...faults);
    await run.submit();
    await run.wait();
    const deaths = faults.reduce((sum, { times = 1 }) => sum + times, 0);
    await until(() => worker.deaths() === deaths);
    await run.expectUndisturbed();
  });
});

describe.concurrent('workers', () => {
  test('a worker that is stopped for longer than its lock, and continues when another worker has its shard', async () => {
    using run = await scene();
    await using zombie = startWorkerProcess(
      run.options,
      run.fault('store:temporary', 'gradient/part-000000', 'SIGSTOP'),
    );
    await run.submit();
    await until(() => existsSync(run.work.path('stopped-0')));
    await using other = await startWorkerHere({ ...run.options, lockDuration });
    await run.wait();
    await run.expectUndisturbed();
    await until(() => other.lines.some((line) => line.startsWith('lost ')));
    zombie.continue();
    await until(() => zombie.lines.some((line) => line.startsWith('warning ')));
    await run.expectUndisturbed();
  });

  test('two workers on the same shard at the same time', async () => {
    using run = await scene();
    await Promise.all([run.work.compute(run.plan), run.work.compute(run.plan), run.work.compute(run.plan)]);
    await run.expectUndisturbed();
  });

  test('two workers, and a run that is submitted twice', async () => {
    using run = await scene();
    await using first = await startWorkerHere(run.options);
    await using second = await startWorkerHere({ ...run.options, concurrency: 2 });
    const ids = await Promise.all([run.submit(), run.submit()]);
    expect(new Set(ids).size).toBe(1);
    await run.wait();
    await run.submit();
    await run.expectUndisturbed();
    const done = [...first.lines, ...second.lines].filter((line) => line.startsWith('done '));
    expect(done.length).toBe(new Set(done).size);
    expect(await folderOf(ids[0], run.options)).toBe('out');
  });

  test('a finished run that was damaged since, from the merge on, continues on the server that still has its last jobs', async () => {
    using run = await scene();
    await using worker = await startWorkerHere(run.options);
    await run.submit();
    await run.wait();
    await until(() => worker.lines.some((line) => /^done .*finish/.test(line)));
    for (const name of ['statistics/merged-000000.npy', 'gradient/part-000001.npy'])
      truncateSync(run.work.path(`out/${name}`), 100);
    await removeDamaged(run.work.store, run.plan);
    await run.submit();
    await run.wait();
    await run.expectUndisturbed();
  });

  test('a worker that computes other bits leaves the run to others, and ends', async () => {
    using run = await scene();
    const pins = { run: idOf(run.plan), version: run.plan.version, backend: 'cpu', fingerprint: '0'.repeat(64) };
    await run.work.store.putOnce('out/pins.json', Buffer.from(JSON.stringify(pins)));
    await using worker = await startWorkerHere(run.options);
    await run.submit();
    await expect(worker.ended).rejects.toThrow(/^out\/pins.json: the first worker of the run computes other bits/);
    expect((await queueStatus(run.plan, run.options)).failed).toEqual([]);
  });

  test('a worker of another version gets no jobs of the run', async () => {
    using run = await scene();
    const plan = { ...run.plan, version: '0.0.1' };
    await submit(plan, run.options);
    await using _worker = await startWorkerHere(run.options);
    expect(await queueStatus(plan, run.options)).toMatchObject({ workers: 0, running: [], failed: [] });
  });

  test('a shard that cannot be computed fails the run with file and position, and the other shards are kept', async () => {
    using run = await scene();
    run.work.write(
      'mask.npy',
      [rows, classes],
      Int32Array.from({ length: rows * classes }, (_, i) => (i === 9 ? 7 : 1)),
      '<i4',
    );
    const plan = await run.work.plan({
      operation: 'softmax',
      mask: ['mask.npy'],
      out: 'poison',
      shardBytes: 4 * classes * 4,
    });
    await using _worker = await startWorkerHere(run.options);
    await submit(plan, { ...run.options, retryDelay: 20 });
    await expect(waitFor(plan, { ...run.options, interval: 50 })).rejects.toThrow(
      'mask.npy: the mask has 7; expected true or 1 to keep an entry, false or 0 to mask it; all others are computed, softgrad run --resume poison tries again',
    );
    expect(readdirSync(run.work.path('poison/softmax'))).toEqual(['part-000001.npy', 'part-000002.npy']);
  });

  test('a job with an invalid payload, or a folder elsewhere, fails before anything is opened', async () => {
    using run = await scene();
    await using worker = await startWorkerHere(run.options);
    const { Queue } = await import('bullmq');
    const { connection } = await import('../src/redis/queue.js');
    const queue = new Queue(queueName('cpu'), { connection: connection(run.options.redis) });
    const task = { run: '0'.repeat(32), out: 'out', step: 'apply', index: 0 };
    for (const data of [
      { ...task, out: '../out' },
      { ...task, out: '/etc' },
      { ...task, run: 'x' },
      { ...task, step: 'rm' },
      { ...task, more: 1 },
      {},
    ]) {
      await queue.add('apply', data);
    }
    await until(() => worker.lines.filter((line) => line.startsWith('failed ')).length === 6);
    await queue.close();
    expect(readdirSync(run.work.root).sort()).toEqual(['labels.npy', 'logits.npy']);
    expect(worker.lines.filter((line) => line.startsWith('failed '))[0]).toMatch(
      /: job 1: out: expected a relative path without \.\.$/,
    );
  });

  test('a cancelled run keeps its results, and continues when it is submitted again', async () => {
    using run = await scene();
    await run.submit();
    await cancel(run.plan, run.options);
    {
      // Closed before the files are compared, because a job of the first submission may still be running.
      await using _worker = await startWorkerHere(run.options);
      expect((await queueStatus(run.plan, run.options)).running).toEqual([]);
      await run.submit();
      await run.wait();
    }
    await run.expectUndisturbed();
  });
});

describe('a server', () => {
  test('that is killed during a run and started again', async () => {
    await using own = await startRedis();
    using run = await scene();
    const options = { ...run.options, redis: own.url(0) };
    await using worker = startWorkerProcess(options, run.fault('shard:computed', 'apply-000001', 'SIGSTOP'));
    await submit(run.plan, options);
    const waiting = waitFor(run.plan, { ...options, interval: 50 });
    await until(() => existsSync(run.work.path('stopped-0')));
    await own.kill();
    worker.continue();
    await until(() => worker.lines.some((line) => /^warning .*(ECONN|closed)/.test(line)));
    await own.start();
    await waiting;
    await run.expectUndisturbed();
  });

  /** The run waits for jobs that the server has lost, until it says so; submitted again, it continues. */
  async function flushed(run: Awaited<ReturnType<typeof scene>>, submitted: () => Promise<void>) {
    await run.submit();
    const lost = expect(waitFor(run.plan, { ...run.options, interval: 20 })).rejects.toThrow(
      'softgrad run --resume out submits what is missing',
    );
    await submitted();
    const client = new Redis(run.options.redis);
    await client.flushdb();
    client.disconnect();
    await lost;
  }

  test('that is flushed: missing shards are submitted again', async () => {
    using run = await scene();
    await flushed(run, async () => {});
    await run.submit();
    await using _worker = await startWorkerHere(run.options);
    await run.wait();
    await run.expectUndisturbed();
  });

  async function flushedWithWorker() {
    using run = await scene();
    await using worker = startWorkerProcess(run.options, run.fault('shard:computed', 'apply-000001', 'SIGSTOP'));
    await flushed(run, () => until(() => existsSync(run.work.path('stopped-0'))));
    worker.continue();
    await run.submit();
    await run.wait();
    await run.expectUndisturbed();
  }
  if (inject('everything')) test('that is flushed while a worker has a shard', flushedWithWorker);

  test('whose settings may lose jobs causes a warning', async () => {
    await using own = await startRedis({ appendonly: 'no', 'maxmemory-policy': 'allkeys-lru' });
    using run = await scene();
    const warnings: string[] = [];
    await submit(run.plan, { root: run.work.root, redis: own.url(0), onWarning: (text) => warnings.push(text) });
    expect(warnings).toEqual([
      expect.stringMatching(
        /^maxmemory-policy is allkeys-lru: under memory pressure Redis drops jobs; expected noeviction/,
      ),
      expect.stringMatching(/^appendonly is no: jobs since the last snapshot are lost/),
    ]);
  });

  test('that does not respond, and an invalid URL', async () => {
    using run = await scene();
    const root = run.work.root;
    await expect(submit(run.plan, { root, redis: 'redis://:secret@127.0.0.1:1' })).rejects.toThrow(
      /^redis:\/\/:…@127\.0\.0\.1:1: .*; expected a Redis or Valkey server/,
    );
    await expect(submit(run.plan, { root, redis: 'localhost:6379' })).rejects.toThrow(
      'expected a URL like redis://host:6379',
    );
  });

  test('is not needed to continue: a thread finishes a run that was started with Redis', async () => {
    using run = await scene();
    await run.submit();
    // In `npm run test:all` a worker has computed a shard, and stopped.
    await using worker = inject('everything')
      ? startWorkerProcess(run.options, run.fault('shard:done', 'apply-000000', 'SIGSTOP'))
      : null;
    if (worker) await until(() => existsSync(run.work.path('stopped-0')));
    const { backends } = await import('./workspace.js');
    await runEmbedded(run.plan, { root: run.work.root, backends, threads: 1 });
    await run.expectUndisturbed();
    if (worker) rmSync(run.work.path('stopped-0'));
  });
});
