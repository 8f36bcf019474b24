import { checkOptions, namesOf, SoftgradError } from '@softgrad/core';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import type { Progress } from '../embedded.js';
import { mapInLanes } from '../lanes.js';
import { openStore } from '../open-store.js';
import { pendingOf } from '../pending.js';
import { putJson, putPlan, readManifest, runFiles } from '../run-folder.js';
import { type Manifest, type Plan, type Step, type Task, taskSchema } from '../schema.js';
import { applyShards, idOf, jobId, stepsOf } from '../shards.js';
import { addFlow, type Jobs, openJobs, runsKey } from './queue.js';
import { queueName } from './queue-name.js';
import { connect, durabilityWarnings } from './server.js';

/** Where the files and the queue of a run are. */
export interface RedisOptions {
  /** The location of the store, a folder or s3://BUCKET/PREFIX; the plan's paths are relative to it. */
  readonly root: string;
  /** redis://host:6379, or rediss://user:password@host:6379 for TLS. */
  readonly redis: string;
}

/** Where a plan is submitted, and how. */
export interface SubmitOptions extends RedisOptions {
  readonly onWarning?: ((warning: string) => void) | undefined;
  /** Milliseconds before a failed shard is tried again; doubled each time. Default 1000. */
  readonly retryDelay?: number | undefined;
}

/** Also of the functions that need only the server: callers pass the same options to all. */
const redisNames = namesOf<RedisOptions>({ root: true, redis: true });
const submitNames = namesOf<SubmitOptions>({ root: true, redis: true, onWarning: true, retryDelay: true });

/** The name of a run in the server. */
const runSchema = z.strictObject({ out: z.string(), queue: z.string() });
/** The same as JSON. */
const runText = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue('not JSON');
      return z.NEVER;
    }
  })
  .pipe(runSchema);

/**
 * Submits the part of a plan that is not in the store. A run that is in progress is unchanged, so submitting twice is harmless.
 *
 * Returns the run's id.
 *
 * @throws ERR_VALUE for an unknown option, if no server answers at `redis` or it refuses the password, and if `out` has the plan of another run
 * @example
 * const plan = await createPlan(folderStore('/data'), { operation: 'softmax', logits: ['logits.npy'], out: 'probabilities', backend: 'cpu' });
 * const run = await submit(plan, { root: '/data', redis: 'redis://localhost:6379' });
 */
export async function submit(plan: Plan, options: SubmitOptions): Promise<string> {
  const { root, redis, onWarning, retryDelay = 1000 } = checkOptions('submit', options, submitNames);
  const store = await openStore(root);
  const client = await connect(redis);
  const jobs = openJobs(redis, queueName(plan.backend, plan.version));
  try {
    for (const warning of await durabilityWarnings(client)) onWarning?.(warning);
    await putPlan(store, plan);
    await store.remove(runFiles.cancelled(plan.out));
    const run = idOf(plan);
    await client.hset(runsKey, run, JSON.stringify({ out: plan.out, queue: jobs.queue.name }));
    const pending = await pendingOf(store, plan);
    const [parent, step] =
      pending.merge.length > 0 ? (['merge', 'statistics'] as const) : (['finish', 'apply'] as const);
    if (pending[parent].length === 0 || (await isUnderWay(jobs, run))) return run;
    await removeEnded(jobs, run);
    // Of a run that was damaged after it had finished: who waits would take it for finished.
    await store.remove(runFiles.manifest(plan.out));
    await addFlow(jobs, plan, parent, step, pending[step], retryDelay);
    return run;
  } finally {
    await jobs.close();
    client.disconnect();
  }
}

/** Whether the last step of the run is waiting or running. */
async function isUnderWay({ queue }: Jobs, run: string): Promise<boolean> {
  const states = await Promise.all([
    queue.getJobState(jobId(run, 'merge', 0)),
    queue.getJobState(jobId(run, 'finish', 0)),
  ]);
  return states.some((state) => state !== 'completed' && state !== 'failed' && state !== 'unknown');
}

/** A finished job would keep its id, so that the job could not be added again. */
async function removeEnded({ queue }: Jobs, run: string): Promise<void> {
  for (const step of ['merge', 'finish'] as const) await queue.remove(jobId(run, step, 0), { removeChildren: false });
  for (const job of await queue.getFailed()) {
    if (taskIn(job)?.run === run) await queue.remove(job.id ?? '', { removeChildren: false });
  }
}

/** The payload of a job; null if it is invalid, or if the job was removed while it was read. */
function taskIn(job: { readonly data: unknown } | undefined): Task | null {
  return taskSchema.safeParse(job?.data).data ?? null;
}

/** The folder and the queue of a run. @throws ERR_VALUE for an id that the server does not know */
async function lookUp(client: Redis, run: string): Promise<z.infer<typeof runSchema>> {
  const text = await client.hget(runsKey, run);
  if (text === null) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${run}: the server knows no such run; expected the id that submitting it gave, or the folder of its results`,
    );
  }
  const found = runText.safeParse(text).data;
  if (found !== undefined) return found;
  throw new SoftgradError(
    'ERR_VALUE',
    `${run}: the server has ${JSON.stringify(text)} for it; expected the folder of its results`,
  );
}

/**
 * The folder of the results of a run, by its id.
 *
 * @throws ERR_VALUE for an id that the server does not know, and if no server answers
 * @example
 * const folder = await folderOf(run, { redis: 'redis://localhost:6379' }); // probabilities
 */
export async function folderOf(run: string, options: Pick<RedisOptions, 'redis'>): Promise<string> {
  const { redis } = checkOptions('folderOf', options, redisNames);
  const client = await connect(redis);
  try {
    return (await lookUp(client, run)).out;
  } finally {
    client.disconnect();
  }
}

/** Which run `waitFor` waits for, and how. */
export interface WaitOptions extends RedisOptions {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds between two queries of the queue. Default 500. */
  readonly interval?: number | undefined;
}

const waitNames = namesOf<WaitOptions>({ root: true, redis: true, onProgress: true, signal: true, interval: true });

/**
 * Waits until a run has finished. Aborting the wait does not end the run.
 *
 * @throws ERR_VALUE with the error that failed the run, naming the file; if the server has lost the run; and when the `signal` is aborted
 * @example
 * const manifest = await waitFor(plan, { root: '/data', redis: 'redis://localhost:6379', onProgress: ({ done, total }) => console.log(`${done} of ${total}`) });
 */
export async function waitFor(plan: Plan, options: WaitOptions): Promise<Manifest> {
  const { root, redis, onProgress, signal, interval = 500 } = checkOptions('waitFor', options, waitNames);
  const store = await openStore(root);
  const run = idOf(plan);
  const jobs = openJobs(redis, queueName(plan.backend, plan.version));
  try {
    for (let unknown = 0; ; ) {
      const manifest = await readManifest(store, plan.out);
      if (manifest !== null) return manifest;
      const look = await lookAt(jobs, run, plan);
      if (look.failure !== null) throw new SoftgradError('ERR_VALUE', look.failure);
      if (look.progress) onProgress?.(look.progress);
      unknown = look.known ? 0 : unknown + 1;
      if (unknown > 3) {
        throw new SoftgradError(
          'ERR_VALUE',
          `the server has lost run ${run} (was it flushed, or restarted without appendonly?); softgrad run --resume ${plan.out} submits what is missing`,
        );
      }
      await pause(interval, signal);
      if (signal?.aborted) throw new SoftgradError('ERR_VALUE', `stopped waiting for run ${run}, which continues`);
    }
  } finally {
    await jobs.close();
  }
}

interface Look {
  readonly known: boolean;
  readonly progress: Progress | null;
  readonly failure: string | null;
}

/** The state of a run in the queue: of its last step, or of the merge before it. */
async function lookAt({ queue }: Jobs, run: string, plan: Plan): Promise<Look> {
  for (const [parent, step] of [
    ['finish', 'apply'],
    ['merge', 'statistics'],
  ] as const) {
    const job = await queue.getJob(jobId(run, parent, 0));
    if (!job) continue;
    const state = await job.getState();
    // Between the merge and the steps that it submits there is no job, which is not an error; a finished run has a manifest.
    if (state === 'failed') {
      // The job may have failed since it was read, so it is read again for the reason.
      const failed = await queue.getJob(jobId(run, parent, 0));
      return { known: true, progress: null, failure: failed?.failedReason ?? job.failedReason };
    }
    const { unprocessed = 0 } = await job.getDependenciesCount({ unprocessed: true });
    const total = step === 'apply' ? applyShards(plan).length : stepsOf(plan)[step];
    return { known: state !== 'completed', progress: { step, done: total - unprocessed, total }, failure: null };
  }
  return { known: false, progress: null, failure: null };
}

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** The state of a run in the queue, in addition to that in its store. */
export interface QueueStatus {
  /** Shards that workers are computing. */
  readonly running: readonly { readonly step: Step; readonly index: number; readonly attempts: number }[];
  /** Shards in the queue that have been tried before. */
  readonly retried: number;
  readonly failed: readonly string[];
  /** Connected workers for the version and backend of the run. */
  readonly workers: number;
}

/**
 * The shards of a run that are in the queue, and the workers that could compute them.
 *
 * @throws ERR_VALUE for an unknown option, and if no server answers at `redis` or it refuses the password
 * @example
 * const { running, failed, workers } = await queueStatus(plan, { redis: 'redis://localhost:6379' });
 */
export async function queueStatus(plan: Plan, options: Pick<RedisOptions, 'redis'>): Promise<QueueStatus> {
  const { redis } = checkOptions('queueStatus', options, redisNames);
  const client = await connect(redis);
  const jobs = openJobs(redis, queueName(plan.backend, plan.version));
  try {
    const run = idOf(plan);
    const own = (found: Awaited<ReturnType<Jobs['queue']['getActive']>>) =>
      found.filter((job) => taskIn(job)?.run === run);
    const active = own(await jobs.queue.getActive());
    const failed = own(await jobs.queue.getFailed());
    const waiting = own(await jobs.queue.getJobs(['delayed', 'wait'], 0, 1000));
    return {
      running: active.map(({ data, attemptsStarted }) => ({
        step: data.step,
        index: data.index,
        attempts: attemptsStarted,
      })),
      retried:
        active.filter(({ attemptsStarted }) => attemptsStarted > 1).length +
        waiting.filter(({ attemptsStarted }) => attemptsStarted > 0).length,
      failed: failed.map(({ failedReason }) => failedReason),
      workers: (await jobs.queue.getWorkers()).length,
    };
  } finally {
    await jobs.close();
    client.disconnect();
  }
}

/**
 * Removes the waiting shards of a run from the queue. Active ones are finished; `softgrad run --resume` continues the run.
 *
 * @throws ERR_VALUE for an unknown option, and if no server answers at `redis` or it refuses the password
 * @example
 * await cancel(plan, { root: '/data', redis: 'redis://localhost:6379' });
 */
export async function cancel(plan: Plan, options: RedisOptions): Promise<void> {
  const { root, redis } = checkOptions('cancel', options, redisNames);
  const client = await connect(redis);
  const jobs = openJobs(redis, queueName(plan.backend, plan.version));
  try {
    const run = idOf(plan);
    await putJson(await openStore(root), runFiles.cancelled(plan.out), { run });
    for (const step of ['statistics', 'apply', 'merge', 'finish'] as const) {
      await mapInLanes(Array(stepsOf(plan)[step]).keys(), (index) =>
        jobs.queue.remove(jobId(run, step, index), { removeChildren: false }),
      );
    }
  } finally {
    await jobs.close();
    client.disconnect();
  }
}
