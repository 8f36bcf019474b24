import { type Job, Queue, UnrecoverableError, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Plan, Progress } from '../src/index.js';
import { idOf } from '../src/index.js';
import { cancel, folderOf, queueName, queueStatus, startWorker, submit, waitFor } from '../src/redis/index.js';
import { connection, openJobs } from '../src/redis/queue.js';
import { connect, durabilityWarnings } from '../src/redis/server.js';
import { checkUrl, withoutPassword } from '../src/redis/url.js';
import { runFiles } from '../src/run-folder.js';
import type { Task } from '../src/schema.js';
import { jobId } from '../src/shards.js';
import { type RedisServer, startRedis } from './redis-server.js';
import { startWorkerHere } from './workers.js';
import { noise, type Workspace, workspace } from './workspace.js';

// Jobs are taken from the queue one at a time, by the tests instead of by a worker, so that the state of a run is known exactly.
const token = 'a test';
const hour = 3_600_000;

let server: RedisServer;
let database = 0;
let work: Workspace;
let redis: string;
let queue: Queue<Task>;
let hand: Worker<Task>;

beforeAll(async () => {
  server = await startRedis({ databases: '4096' });
});
afterAll(() => server[Symbol.asyncDispose]());

/** A test with a folder and a database of its own. */
function testInQueue(name: string, body: () => Promise<void>): void {
  test(name, async () => {
    work = workspace();
    work.write('logits.npy', [4, 6], Float32Array.from(noise(24)));
    work.write('labels.npy', [4], Int32Array.of(0, 5, 2, 1), '<i4');
    redis = server.url(database++);
    queue = new Queue(queueName('cpu'), { connection: connection(redis) });
    hand = new Worker(queueName('cpu'), null, { connection: connection(redis) });
    try {
      await body();
    } finally {
      await Promise.all([queue.close(), hand.close()]);
      work[Symbol.dispose]();
    }
  });
}

/** Two shards of two rows. */
const byRows = (out = 'out') => work.plan({ operation: 'softmax', shardBytes: 48, out });
/** Two shards of three classes, and a merge. */
const byClasses = (out = 'out') => work.plan({ operation: 'softmax', shardClasses: true, shardBytes: 48, out });
const options = () => ({ root: work.root, redis });
const eventually = (assert: () => unknown) => vi.waitFor(assert, { timeout: 60_000, interval: 5 });
const send = (plan: Plan) => submit(plan, { ...options(), retryDelay: hour });
const take = async (): Promise<Job<Task>> => (await hand.getNextJob(token, { block: false })) as Job<Task>;
const complete = async () => (await take()).moveToCompleted(undefined as never, token, false);
const states = ['wait', 'active', 'delayed', 'waiting-children', 'completed', 'failed'] as const;

/** The jobs of the queue by state: step, index and whether it is another run than that of the plan. */
async function jobsOf(plan: Plan) {
  const found: Record<string, string[]> = {};
  for (const state of states) {
    const jobs = await queue.getJobs([state]);
    if (jobs.length === 0) continue;
    found[state] = jobs
      .map(({ data }) => `${data.step} ${data.index}${data.run === idOf(plan) ? '' : ' of another run'}`)
      .sort();
  }
  return found;
}

describe('a submitted run', () => {
  testInQueue('by rows has a job for each shard, and one that follows them', async () => {
    const plan = await byRows();
    expect(await send(plan)).toBe(idOf(plan));
    expect(await jobsOf(plan)).toEqual({ wait: ['apply 0', 'apply 1'], 'waiting-children': ['finish 0'] });
    for (const { id, name, data, opts } of await queue.getJobs([...states])) {
      expect(id).toBe(jobId(idOf(plan), data.step, data.index));
      expect([id, idOf(plan)].map(String)).toEqual([1, 2].map(() => expect.stringMatching(/^[0-9a-f]{32}$/)));
      expect([name, data]).toEqual([data.step, { run: idOf(plan), out: 'out', step: data.step, index: data.index }]);
      expect(opts).toMatchObject({ attempts: 3, backoff: { type: 'exponential', delay: hour } });
      const isLast = data.step === 'finish';
      expect(opts.removeOnComplete).toEqual(isLast ? { age: 7 * 24 * 3600 } : true);
      expect(opts.ignoreDependencyOnFailure ?? false).toBe(!isLast);
    }
  });

  testInQueue('by classes begins with the statistics', async () => {
    const plan = await byClasses();
    await send(plan);
    expect(await jobsOf(plan)).toEqual({ wait: ['statistics 0', 'statistics 1'], 'waiting-children': ['merge 0'] });
  });

  testInQueue('has jobs for what is missing in the store only', async () => {
    const plan = await byClasses();
    await work.compute(plan);
    await send(plan);
    expect(await jobsOf(plan)).toEqual({});
    await work.store.remove(runFiles.manifest('out'));
    await work.store.remove(runFiles.record('out', 'apply', 1));
    await send(plan);
    expect(await jobsOf(plan)).toEqual({ wait: ['apply 1'], 'waiting-children': ['finish 0'] });
    const rows = await byRows('rows');
    await work.compute(rows);
    await work.store.remove(runFiles.manifest('rows'));
    await queue.obliterate({ force: true });
    await send(rows);
    expect(await jobsOf(rows)).toEqual({ wait: ['finish 0'] });
  });

  testInQueue('is not submitted again while it is waiting or running', async () => {
    const plan = await byRows();
    await send(plan);
    const job = await take();
    await job.moveToFailed(new UnrecoverableError('no'), token, false);
    const before = await jobsOf(plan);
    expect(before).toEqual({ wait: ['apply 1'], 'waiting-children': ['finish 0'], failed: ['apply 0'] });
    await send(plan);
    expect(await jobsOf(plan)).toEqual(before);
    await complete();
    await take();
    expect(await jobsOf(plan)).toEqual({ active: ['finish 0'], failed: ['apply 0'] });
    await send(plan);
    expect(await jobsOf(plan)).toEqual({ active: ['finish 0'], failed: ['apply 0'] });
  });

  testInQueue('is submitted again after it has failed, without touching the failed jobs of other runs', async () => {
    const [plan, other] = [await byRows(), await byRows('other')];
    for (const each of [plan, other]) {
      await send(each);
      for (const reason of ['first', 'second', 'last'])
        await (await take()).moveToFailed(new UnrecoverableError(reason), token, false);
    }
    const failed = ['apply 0', 'apply 1', 'finish 0'];
    expect(await jobsOf(plan)).toEqual({ failed: [...failed, ...failed.map((job) => `${job} of another run`)].sort() });
    await send(plan);
    expect(await jobsOf(plan)).toEqual({
      wait: ['apply 0', 'apply 1'],
      'waiting-children': ['finish 0'],
      failed: failed.map((job) => `${job} of another run`),
    });
  });

  testInQueue('is submitted, and its status is known, whatever payloads other jobs of the queue have', async () => {
    const payloads: unknown[] = [null, 'text', {}];
    for (const end of ['failed', 'active'] as const) {
      for (const payload of payloads) await queue.add('apply', payload as Task);
      for (const _ of payloads) {
        const job = await take();
        if (end === 'failed') await job.moveToFailed(new UnrecoverableError('no task'), token, false);
      }
    }
    await queue.add('apply', null as unknown as Task);
    const plan = await byRows();
    await send(plan);
    expect(await queueStatus(plan, options())).toMatchObject({ running: [], retried: 0, failed: [] });
    expect((await queue.getJob(jobId(idOf(plan), 'apply', 0)))?.data).toMatchObject({ step: 'apply', index: 0 });
  });

  testInQueue('whose finish has been completed, but whose manifest was removed, is submitted again', async () => {
    const plan = await byRows();
    await send(plan);
    for (let k = 0; k < 3; k++) await complete();
    expect(await jobsOf(plan)).toEqual({ completed: ['finish 0'] });
    await send(plan);
    expect(await jobsOf(plan)).toEqual({ wait: ['apply 0', 'apply 1'], 'waiting-children': ['finish 0'] });
  });

  testInQueue('continues after it was cancelled', async () => {
    const plan = await byRows();
    await send(plan);
    await cancel(plan, options());
    expect(await work.store.stat('out/cancelled.json')).not.toBeNull();
    await send(plan);
    expect(await work.store.stat('out/cancelled.json')).toBeNull();
    expect(await jobsOf(plan)).toEqual({ wait: ['apply 0', 'apply 1'], 'waiting-children': ['finish 0'] });
  });

  testInQueue('is found by its id', async () => {
    const plan = await byRows('a/folder');
    const run = await send(plan);
    expect(await folderOf(run, { redis })).toBe('a/folder');
    const client = new Redis(redis);
    expect(JSON.parse((await client.hget('softgrad:runs', run)) ?? '')).toEqual({
      out: 'a/folder',
      queue: queueName('cpu'),
    });
    // The server's entries are not trusted.
    for (const text of ['{', '{}', JSON.stringify({ out: 1, queue: 'x' })]) {
      await client.hset('softgrad:runs', run, text);
      await expect(folderOf(run, { redis })).rejects.toMatchObject({
        code: 'ERR_VALUE',
        message: `${run}: the server has ${JSON.stringify(text)} for it; expected the folder of its results`,
      });
    }
    client.disconnect();
    await expect(folderOf('0'.repeat(32), { redis })).rejects.toMatchObject({
      code: 'ERR_VALUE',
      message: `${'0'.repeat(32)}: the server knows no such run; expected the id that submitting it gave, or the folder of its results`,
    });
  });
});

describe('a cancelled run', () => {
  testInQueue('has no waiting jobs of any step; active jobs and those of other runs stay', async () => {
    const [plan, other, classes] = [await byRows(), await byRows('other'), await byClasses('classes')];
    for (const each of [plan, other, classes]) await send(each);
    await take();
    const own = async (one: Plan) =>
      Object.entries(await jobsOf(one)).flatMap(([state, jobs]) =>
        jobs.filter((job) => !job.endsWith('of another run')).map((job) => `${state}: ${job}`),
      );
    for (const each of [plan, classes]) await cancel(each, options());
    expect(await own(plan)).toEqual(['active: apply 0']);
    expect(await own(classes)).toEqual([]);
    expect(await own(other)).toEqual(['wait: apply 0', 'wait: apply 1', 'waiting-children: finish 0']);
    expect(JSON.parse(new TextDecoder().decode(await work.store.get('out/cancelled.json', 0, 1000)))).toEqual({
      run: idOf(plan),
    });
    expect(await work.store.stat('other/cancelled.json')).toBeNull();
  });
});

describe('the state of a run in the queue', () => {
  testInQueue('names running, retried and failed shards of this run, and counts workers', async () => {
    const [plan, other] = [await byRows(), await byRows('other')];
    await send(plan);
    await send(other);
    // One of the workers is that of the tests.
    const now = () => queueStatus(plan, { redis });
    expect(await now()).toEqual({ running: [], retried: 0, failed: [], workers: 1 });
    const job = await take();
    expect(await now()).toEqual({
      running: [{ step: 'apply', index: 0, attempts: 1 }],
      retried: 0,
      failed: [],
      workers: 1,
    });
    expect((await queueStatus(other, { redis })).running).toEqual([]);
    await job.moveToFailed(new Error('once'), token, false);
    expect(await now()).toEqual({ running: [], retried: 1, failed: [], workers: 1 });
    expect((await queueStatus(other, { redis })).retried).toBe(0);
    await job.promote();
    const running: Record<string, Job<Task>> = {};
    for (let k = 0; k < 4; k++) {
      const each = await take();
      running[`${each.data.out} ${each.data.index}`] = each;
    }
    expect(await now()).toMatchObject({ retried: 1 });
    expect([...(await now()).running].sort((a, b) => a.index - b.index)).toEqual([
      { step: 'apply', index: 0, attempts: 2 },
      { step: 'apply', index: 1, attempts: 1 },
    ]);
    await running['out 0'].moveToFailed(new UnrecoverableError('of the input'), token, false);
    expect(await now()).toMatchObject({ retried: 0, failed: ['of the input'] });
    expect((await queueStatus(other, { redis })).failed).toEqual([]);
    await using _worker = await startWorkerHere({ ...options(), backend: 'cpu' });
    await eventually(async () => expect((await now()).workers).toBe(2));
  });
});

describe('waiting for a run', () => {
  testInQueue('reports each change of its last step, and returns the manifest', async () => {
    const plan = await byRows();
    await send(plan);
    const seen: Progress[] = [];
    let pending = Promise.resolve();
    const moves = [complete, complete, () => work.compute(plan)];
    const manifest = await waitFor(plan, {
      ...options(),
      interval: 1,
      onProgress: (progress) => {
        if (seen.push(progress) <= moves.length) pending = pending.then(() => moves[seen.length - 1]()).then(() => {});
      },
    });
    await pending;
    expect(manifest).toMatchObject({ run: idOf(plan), operation: 'softmax' });
    expect(seen[0]).toEqual({ step: 'apply', done: 0, total: 2 });
    expect(seen.every(({ step, total, done }) => step === 'apply' && total === 2 && done <= 2)).toBe(true);
  });

  testInQueue('reports the statistics of a run by classes', async () => {
    const plan = await byClasses();
    await send(plan);
    await complete();
    const abort = new AbortController();
    const seen: Progress[] = [];
    const waiting = waitFor(plan, {
      ...options(),
      interval: hour,
      signal: abort.signal,
      onProgress: (progress) => {
        seen.push(progress);
        queueMicrotask(() => abort.abort());
      },
    });
    await expect(waiting).rejects.toMatchObject({
      code: 'ERR_VALUE',
      message: `stopped waiting for run ${idOf(plan)}, which continues`,
    });
    expect(seen).toEqual([{ step: 'statistics', done: 1, total: 2 }]);
  });

  testInQueue('ends with the error of the step that failed', async () => {
    for (const plan of [await byRows('rows'), await byClasses('classes')]) {
      await send(plan);
      for (const reason of ['first', 'second', 'the reason'])
        await (await take()).moveToFailed(new UnrecoverableError(reason), token, false);
      const waiting = waitFor(plan, { ...options(), interval: 1 });
      await expect(waiting).rejects.toMatchObject({ code: 'ERR_VALUE', message: 'the reason' });
    }
  });

  testInQueue('ends if the server does not know the run, or has no next step, four times in succession', async () => {
    const plan = await byRows();
    const lost = (run: Plan) =>
      `the server has lost run ${idOf(run)} (was it flushed, or restarted without appendonly?); softgrad run --resume ${run.out} submits what is missing`;
    const seen: Progress[] = [];
    const wait = (run: Plan) =>
      waitFor(run, { ...options(), interval: 1, onProgress: (progress) => seen.push(progress) });
    await expect(wait(plan)).rejects.toMatchObject({ code: 'ERR_VALUE', message: lost(plan) });
    expect(seen).toEqual([]);
    // Between the merge and the steps that it submits there is no job.
    const classes = await byClasses('classes');
    await send(classes);
    for (let k = 0; k < 3; k++) await complete();
    await expect(wait(classes)).rejects.toThrow(lost(classes));
    expect(seen).toEqual(Array.from({ length: 4 }, () => ({ step: 'statistics', done: 2, total: 2 })));
  });
});

describe('a worker', () => {
  const events = (lines: readonly string[], kind: string) => lines.filter((line) => line.startsWith(`${kind} `));

  testInQueue('computes no shard of a cancelled run, and none that the store has', async () => {
    const [plan, cancelled] = [await byRows(), await byRows('cancelled')];
    await work.compute(plan);
    await work.store.remove(runFiles.manifest('out'));
    for (const index of [0, 1]) {
      const task = { run: idOf(plan), out: 'out', step: 'apply', index } as const;
      await queue.add('apply', task);
    }
    await send(cancelled);
    await work.store.putOnce('cancelled/cancelled.json', new Uint8Array());
    // A shard that is computed after all fails, because there are no backends.
    await using worker = await startWorkerHere({ ...options(), backends: 'data:text/javascript,throw Error("none")' });
    await eventually(() =>
      expect([...events(worker.lines, 'failed'), ...events(worker.lines, 'done')]).toHaveLength(5),
    );
    expect(events(worker.lines, 'done')).toEqual(['done out: apply-000000', 'done out: apply-000001']);
    expect(events(worker.lines, 'failed').sort()).toEqual([
      'failed cancelled: apply-000000: cancelled: the run was cancelled',
      'failed cancelled: apply-000001: cancelled: the run was cancelled',
      `failed cancelled: finish-000000: cancelled: the run was cancelled (and 1 more); all others are computed, softgrad run --resume cancelled tries again`,
    ]);
    expect(events(worker.lines, 'started')).toHaveLength(5);
  });
});

describe('a worker that has died', () => {
  testInQueue('is reported by the worker that gets its shard', async () => {
    const plan = await byRows();
    await send(plan);
    await work.store.putOnce('out/cancelled.json', new Uint8Array());
    const { id } = await take();
    // Its lock has expired.
    const client = new Redis(redis);
    await client.del(`bull:${queueName('cpu')}:${id}:lock`);
    client.disconnect();
    await using worker = await startWorkerHere({ ...options(), lockDuration: 40 });
    await eventually(() =>
      expect(worker.lines).toContain(`lost the worker of job ${id} does not respond; another worker gets the job`),
    );
    await eventually(() => expect(worker.lines).toContain('failed out: apply-000000: out: the run was cancelled'));
  });
});

describe('a worker of a server', () => {
  testInQueue('reports its warnings, or nothing without a listener', async () => {
    await using own = await startRedis({ appendonly: 'no' });
    const plan = await byRows();
    await work.compute(plan);
    const given = { root: work.root, redis: own.url(0), backend: 'cpu', backends: 'data:text/javascript,' };
    const jobs = openJobs(own.url(0), queueName('cpu'));
    const task = { run: idOf(plan), out: 'out', step: 'apply', index: 0 } as const;
    const take = async (failed: number) => {
      for (const data of [task, { ...task, index: 1 }, { ...task, out: '..' } as Task])
        await jobs.queue.add('apply', data, { removeOnComplete: true });
      await eventually(async () =>
        expect(await jobs.queue.getJobCounts('wait', 'active', 'failed')).toEqual({ wait: 0, active: 0, failed }),
      );
    };
    const silent = await startWorker(given);
    await take(1);
    await Promise.all([silent.close(), silent.ended]);
    await using loud = await startWorkerHere(given);
    const warning = expect.stringMatching(/^warning appendonly is no: jobs since the last snapshot are lost/);
    expect(loud.lines).toEqual([warning]);
    await take(2);
    await eventually(() =>
      expect(loud.lines.slice(1)).toEqual([
        ...[0, 1].flatMap((k) => [`started out: apply-00000${k}`, `done out: apply-00000${k}`]),
        'started job 6',
        'failed job 6: job 6: out: expected a relative path without ..',
      ]),
    );
    await jobs.close();
  });

  testInQueue('opens queues and flows whose lost connections are no errors of the process', async () => {
    const jobs = openJobs(redis, 'any');
    expect(jobs.queue.emit('error', new Error('lost'))).toBe(true);
    expect(jobs.flows.emit('error', new Error('lost'))).toBe(true);
    await jobs.close();
    await expect(jobs.queue.getJobCounts()).rejects.toThrow(/closed/);
  });
});

describe('the settings of a server', () => {
  const warningsOf = (settings: Readonly<Record<string, string>>) =>
    durabilityWarnings({
      config: async (_: 'GET', name: string) => (name in settings ? [name, settings[name]] : []),
    } as unknown as Redis);
  const safe = { 'maxmemory-policy': 'noeviction', appendonly: 'yes', appendfsync: 'everysec' };
  const resume = '`softgrad run --resume OUT` submits lost jobs again.';

  test.each([
    [{}, []],
    [{ appendfsync: 'always' }, []],
    [
      { 'maxmemory-policy': 'volatile-lru' },
      ['maxmemory-policy is volatile-lru: under memory pressure Redis drops jobs; expected noeviction'],
    ],
    [
      { appendonly: 'no', appendfsync: 'no' },
      ['appendonly is no: jobs since the last snapshot are lost when Redis ends; expected yes'],
    ],
    [
      { appendfsync: 'no' },
      ['appendfsync is no: jobs of the last half minute are lost when the machine ends; expected everysec or always'],
    ],
  ] as const)('%j', async (changed, warnings) => {
    expect(await warningsOf({ ...safe, ...changed })).toEqual(warnings.map((warning) => `${warning}. ${resume}`));
  });

  test('that are unknown or secret cause a warning', async () => {
    expect((await warningsOf({}))[0]).toMatch(/^maxmemory-policy is : under memory pressure/);
    const secret = { config: async () => Promise.reject(new Error('NOPERM')) } as unknown as Redis;
    expect(await durabilityWarnings(secret)).toEqual([
      `the server does not allow reading its settings (CONFIG GET): expected maxmemory-policy noeviction, appendonly yes. ${resume}`,
    ]);
  });

  testInQueue('a URL has the protocol of Redis, and messages do not have its password', async () => {
    for (const url of ['redis://host', 'rediss://user:secret@host:6379/2']) expect(() => checkUrl(url)).not.toThrow();
    for (const url of ['http://host', 'host:6379', '', 'redis', 'http://user:secret@host/x@y'])
      expect(() => checkUrl(url)).toThrow(
        `${withoutPassword(url)}: expected a URL like redis://host:6379, or rediss://user:password@host:6379 for TLS`,
      );
    expect(
      [
        'redis://user:secret@host:1/2',
        'redis://:secret@host',
        'redis://user@host',
        'redis://host:6379/0',
        'x redis://a:b@c',
      ].map(withoutPassword),
    ).toEqual([
      'redis://user:…@host:1/2',
      'redis://:…@host',
      'redis://user@host',
      'redis://host:6379/0',
      'x redis://a:b@c',
    ]);
    const client = await connect(redis);
    expect(await client.ping()).toBe('PONG');
    client.disconnect();
    await expect(connect('redis://user:wrong@127.0.0.1:1')).rejects.toMatchObject({
      code: 'ERR_VALUE',
      message: 'redis://user:…@127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1; expected a Redis or Valkey server',
      cause: expect.any(Error),
    });
  });
});

test.each([0, -1, 1.5, Number.NaN, 1025, 1e9])(
  'a worker of %s threads is refused before it connects',
  async (concurrency) => {
    const options = { root: '.', redis: 'redis://127.0.0.1:1', backend: 'cpu', backends: 'file:///none.mjs' };
    await expect(startWorker({ ...options, concurrency })).rejects.toThrow(
      `concurrency ${concurrency}: expected a number of threads, 1 to 1024`,
    );
  },
);

test.each([1, 1024])('one of %s threads connects', async (concurrency) => {
  const options = { root: '.', redis: 'redis://127.0.0.1:1', backend: 'cpu', backends: 'file:///none.mjs' };
  await expect(startWorker({ ...options, concurrency })).rejects.toThrow('127.0.0.1:1');
});

test('a worker refuses an option that it does not have', async () => {
  const options = {
    root: '.',
    redis: 'redis://127.0.0.1:1',
    backend: 'cpu',
    backends: 'file:///none.mjs',
    backendName: 'cpu',
  };
  await expect(startWorker(options as never)).rejects.toThrow(
    "startWorker: unknown option 'backendName' (did you mean 'backend'?); expected one of root, redis, backend",
  );
});

test('the other functions do so before they connect', async () => {
  const options = { root: '.', redis: 'redis://127.0.0.1:1', intervals: 5, concurrency: 2 } as never;
  const plan = {} as Plan;
  const given = { submit, waitFor, queueStatus, cancel };
  for (const [name, call] of Object.entries(given)) {
    const meant = name === 'waitFor' ? " \\(did you mean 'interval'\\?\\)" : '';
    await expect(call(plan, options)).rejects.toMatchObject({
      code: 'ERR_VALUE',
      message: expect.stringMatching(
        new RegExp(`^${name}: unknown option 'intervals'${meant}; expected one of root, redis`),
      ),
    });
  }
  await expect(folderOf('run', options)).rejects.toThrow("folderOf: unknown option 'intervals'; expected one of root");
});
