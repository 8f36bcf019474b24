import type { FlowProducer, JobsOptions, Queue, RedisOptions } from 'bullmq';
import type { Plan, Step, Task } from '../schema.js';
import { idOf, jobId } from '../shards.js';
import * as packages from './packages.js';

/** Commands wait while the server restarts. */
export function connection(url: string): RedisOptions {
  return { url, maxRetriesPerRequest: null };
}

/** The key of a hash that has the folder and the queue of every run. */
export const runsKey = 'softgrad:runs';

/** Access to the jobs and flows of one queue. */
export interface Jobs {
  readonly queue: Queue<Task>;
  readonly flows: FlowProducer;
  close(): Promise<void>;
}

export function openJobs(url: string, name: string): Jobs {
  const queue = new packages.Queue<Task>(name, { connection: connection(url) });
  const flows = new packages.FlowProducer({ connection: connection(url) });
  // Lost connections are reopened automatically; the command that waits for the connection reports the error.
  queue.on('error', () => {});
  flows.on('error', () => {});
  return {
    queue,
    flows,
    async close() {
      await Promise.all([queue.close(), flows.close()]);
    },
  };
}

/** How often a failing shard is tried, because errors of a shared file system may be temporary. */
const attempts = 3;

/** Parent jobs are kept for a week so that their state can be queried; the state of shards is in the store. */
const keptSeconds = 7 * 24 * 3600;

/** Adds the shards of one step and the step that follows them. Adding an existing job changes nothing. */
export async function addFlow(
  { flows, queue }: Jobs,
  plan: Plan,
  parent: 'merge' | 'finish',
  step: 'statistics' | 'apply',
  indices: readonly number[],
  retryDelay: number,
): Promise<void> {
  const run = idOf(plan);
  const job = (name: Step, index: number, options: JobsOptions) => ({
    name,
    queueName: queue.name,
    data: { run, out: plan.out, step: name, index } satisfies Task,
    opts: { jobId: jobId(run, name, index), attempts, backoff: { type: 'exponential', delay: retryDelay }, ...options },
  });
  await flows.add({
    ...job(parent, 0, { removeOnComplete: { age: keptSeconds } }),
    // The parent job runs after all shards, and reports which of them failed.
    children: indices.map((index) => job(step, index, { removeOnComplete: true, ignoreDependencyOnFailure: true })),
  });
}
