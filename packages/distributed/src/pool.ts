import { SoftgradError } from '@softgrad/core';
import { Piscina } from 'piscina';
import { MismatchError } from './pins.js';
import type { Task } from './schema.js';
import type { ThreadResult, ThreadTask } from './thread.js';

/** Threads that run shards, so that whoever owns them keeps an event loop that answers. */
export interface Pool {
  /**
   * @throws MismatchError where this machine must not compute the shard, SoftgradError for what is wrong with inputs or store,
   *   Error for a thread that ended
   */
  run(task: Task): Promise<void>;
  /** Ends the threads; what they were at is dropped. */
  close(): Promise<void>;
}

export interface PoolOptions {
  /** The place of the store. */
  readonly root: string;
  /** The URL of a module that registers backends with `register` of @softgrad/core: threads share no memory with this one. */
  readonly backends: string;
  readonly threads: number;
}

export function openPool({ root, backends, threads }: PoolOptions): Pool {
  const pool = new Piscina<ThreadTask, ThreadResult>({
    filename: threadModule,
    minThreads: 0,
    maxThreads: threads,
    // One shard at a time a thread: more would only take memory.
    concurrentTasksPerWorker: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
  });
  return {
    async run(task) {
      const result = await pool.run({ ...task, root, backends });
      if (result.kind === 'done') return;
      if (result.kind === 'mismatch') throw new MismatchError(result.message);
      if (result.kind === 'input') throw new SoftgradError('ERR_VALUE', result.message);
      throw new Error(result.message);
    },
    close: () => pool.destroy(),
  };
}

/** Node runs JavaScript alone: where this file is TypeScript, as in tests, the module is the built one. */
const threadModule = new URL(import.meta.url.endsWith('.ts') ? '../dist/thread.js' : './thread.js', import.meta.url)
  .href;
