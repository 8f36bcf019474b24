import { checkOptions, namesOf, SoftgradError } from '@softgrad/core';
import type { Job } from 'bullmq';
import { openStore } from '../open-store.js';
import { pendingOf } from '../pending.js';
import { MismatchError } from '../pins.js';
import { reached } from '../points.js';
import { mostThreads, openPool } from '../pool.js';
import { isDone, readPlan, runFiles } from '../run-folder.js';
import { type Task, taskSchema } from '../schema.js';
import { idOf, shardName } from '../shards.js';
import type { Store } from '../store.js';
import { DelayedError, UnrecoverableError, Worker } from './packages.js';
import { addFlow, connection, type Jobs, openJobs } from './queue.js';
import { queueName } from './queue-name.js';
import { connect, durabilityWarnings } from './server.js';

/** Where a worker finds its shards, and how it computes them. */
export interface WorkerOptions {
  /** The location of the store, a folder or s3://BUCKET/PREFIX; the paths of jobs are relative to it and cannot leave it. */
  readonly root: string;
  readonly redis: string;
  readonly backend: string;
  /** The URL of a module that registers backends with `register` of @softgrad/core. */
  readonly backends: string;
  /** How many shards are computed at once, each on its own thread, 1 to 1024. Default 1. */
  readonly concurrency?: number | undefined;
  readonly onEvent?: ((event: WorkerEvent) => void) | undefined;
  /** Milliseconds after which a worker that does not renew its lock is considered dead. Default 30000. */
  readonly lockDuration?: number | undefined;
  /** Milliseconds before a failed shard is tried again; doubled each time. Default 1000. */
  readonly retryDelay?: number | undefined;
  /** How often a shard may be taken from workers that died. BullMQ's default of 1 fails a shard whose worker is killed twice. */
  readonly maxStalledCount?: number | undefined;
}

const optionNames = namesOf<WorkerOptions>({
  root: true,
  redis: true,
  backend: true,
  backends: true,
  concurrency: true,
  onEvent: true,
  lockDuration: true,
  retryDelay: true,
  maxStalledCount: true,
});

/** What happens to a shard, or a warning of the server. */
export interface WorkerEvent {
  readonly kind: 'started' | 'done' | 'failed' | 'lost' | 'warning';
  readonly message: string;
}

/** A worker that takes shards. */
export interface RunningWorker {
  /** Finishes the current shards and takes no others. */
  close(): Promise<void>;
  /** Resolves when the worker has closed; rejects with the MismatchError of a run that this machine must not compute. */
  readonly ended: Promise<void>;
}

/** A shard that ends its process every time must not be retried forever. */
const defaultStalledCount = 20;

/**
 * Takes shards of runs of this version and backend until the worker is closed.
 *
 * @throws ERR_VALUE for an unknown option, a `concurrency` that is not from 1 to 1024, and if no server answers at `redis` or it refuses the password
 * @example
 * const worker = await startWorker({ root: '/data', redis: 'redis://localhost:6379', backend: 'cpu', backends: import.meta.resolve('softgrad') });
 * process.once('SIGTERM', () => worker.close());
 * await worker.ended;
 */
export async function startWorker(options: WorkerOptions): Promise<RunningWorker> {
  checkOptions('startWorker', options, optionNames);
  const { root, redis, backend, backends, concurrency = 1, lockDuration = 30_000, onEvent } = options;
  if (!(Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= mostThreads)) {
    throw new SoftgradError(
      'ERR_VALUE',
      `concurrency ${concurrency}: expected a number of threads, 1 to ${mostThreads}`,
    );
  }
  const client = await connect(redis);
  for (const message of await durabilityWarnings(client)) onEvent?.({ kind: 'warning', message });
  client.disconnect();
  const store = await openStore(root);
  const pool = openPool({ root, backends, threads: concurrency });
  const name = queueName(backend);
  const jobs = openJobs(redis, name);
  let mismatch: MismatchError | null = null;
  const process = async (job: Job<Task>, token: string | undefined) => {
    const task = taskOf(job);
    try {
      await refuseFailedChildren(job);
      await refuseCancelled(store, task);
      // The last step has no record, so it runs again.
      if (!(await isDone(store, task))) await pool.run(task);
      if (task.step === 'merge') await submitApply(store, task, jobs, options.retryDelay ?? 1000);
    } catch (error) {
      if (!(error instanceof MismatchError)) throw error;
      // Another worker must compute the job: it returns to the queue, and this worker ends.
      mismatch = error;
      void close();
      await job.moveToDelayed(Date.now() + lockDuration / 10, token);
      throw new DelayedError();
    }
  };
  const worker = new Worker<Task>(name, process, {
    connection: connection(redis),
    concurrency,
    lockDuration,
    stalledInterval: lockDuration,
    maxStalledCount: options.maxStalledCount ?? defaultStalledCount,
  });
  const shard = (job: Job<Task> | undefined) => {
    const task = taskSchema.safeParse(job?.data).data;
    return task ? `${task.out}: ${shardName(task.step, task.index)}` : `job ${job?.id}`;
  };
  worker.on('active', (job) => onEvent?.({ kind: 'started', message: shard(job) }));
  worker.on('completed', (job) => onEvent?.({ kind: 'done', message: shard(job) }));
  worker.on('failed', (job, error) => onEvent?.({ kind: 'failed', message: `${shard(job)}: ${error.message}` }));
  worker.on('stalled', (id) =>
    onEvent?.({ kind: 'lost', message: `the worker of job ${id} does not respond; another worker gets the job` }),
  );
  worker.on('error', (error) => onEvent?.({ kind: 'warning', message: error.message }));
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= (async () => {
      await worker.close();
      await pool.close();
      await jobs.close();
    })();
    return closing;
  };
  const ended = new Promise<void>((resolve, reject) => {
    worker.on('closed', () => (mismatch ? reject(mismatch) : resolve()));
  });
  // The rejection reaches callers that wait for it; it is not an unhandled rejection otherwise.
  ended.catch(() => {});
  return { close, ended };
}

/** @throws for an invalid payload, before any part of it is used */
function taskOf({ id, data }: Job<Task>): Task {
  const parsed = taskSchema.safeParse(data);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new UnrecoverableError(`job ${id}: ${issue?.path.join('.') || 'the payload'}: ${issue?.message}`);
}

/** @throws the error of the first shard that failed, because the next step needs all of them */
async function refuseFailedChildren(job: Job<Task>): Promise<void> {
  const failures = Object.values(await job.getIgnoredChildrenFailures());
  const [first] = failures;
  if (first === undefined) return;
  const others = failures.length > 1 ? ` (and ${failures.length - 1} more)` : '';
  throw new UnrecoverableError(
    `${first}${others}; all others are computed, softgrad run --resume ${job.data.out} tries again`,
  );
}

async function refuseCancelled(store: Store, { out }: Task): Promise<void> {
  if (await store.stat(runFiles.cancelled(out))) throw new UnrecoverableError(`${out}: the run was cancelled`);
}

/** The steps after the merge. A merge that is interrupted here runs again and adds the same jobs. */
async function submitApply(store: Store, { out }: Task, jobs: Jobs, retryDelay: number): Promise<void> {
  const plan = await readPlan(store, out);
  const { apply } = await pendingOf(store, plan);
  await addFlow(jobs, plan, 'finish', 'apply', apply, retryDelay);
  reached('merge:submitted', idOf(plan));
}
