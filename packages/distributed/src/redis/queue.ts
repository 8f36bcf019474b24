import { FlowProducer, type JobsOptions, Queue, type RedisOptions } from 'bullmq';
import type { Plan, Step, Task } from '../schema.js';
import { idOf, jobId } from '../shards.js';

/** Commands wait for a server that is being restarted. */
export function connection(url: string): RedisOptions {
  return { url, maxRetriesPerRequest: null };
}

/** The key of a hash: of every run, its folder and its queue. */
export const runsKey = 'softgrad:runs';

/** Jobs and flows of one queue. */
export interface Jobs {
  readonly queue: Queue<Task>;
  readonly flows: FlowProducer;
  close(): Promise<void>;
}

export function openJobs(url: string, name: string): Jobs {
  const queue = new Queue<Task>(name, { connection: connection(url) });
  const flows = new FlowProducer({ connection: connection(url) });
  // A lost connection is made again; what waits for it is what fails in the end.
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

/** Times that a shard is tried where it fails: a shared file system has its moments. */
const attempts = 3;

/** Parents are kept for a week, to be asked for; of shards the store knows. */
const keptSeconds = 7 * 24 * 3600;

/** Adds the shards of one step and the step that follows them all. Adding what is there already changes nothing. */
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
    // The parent runs when all are through, and says which of them have failed.
    children: indices.map((index) => job(step, index, { removeOnComplete: true, ignoreDependencyOnFailure: true })),
  });
}
