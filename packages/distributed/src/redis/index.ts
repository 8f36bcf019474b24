/**
 * `@softgrad/distributed/redis`: the shards of a run over many machines, with BullMQ on Redis or Valkey.
 *
 * @module distributed/redis
 */

export { queueName } from './queue-name.js';
export {
  cancel,
  folderOf,
  type QueueStatus,
  queueStatus,
  type RedisOptions,
  type SubmitOptions,
  submit,
  type WaitOptions,
  waitFor,
} from './submit.js';
export { withoutPassword } from './url.js';
export { type RunningWorker, startWorker, type WorkerEvent, type WorkerOptions } from './worker.js';
