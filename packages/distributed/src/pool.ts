import { SoftgradError } from '@softgrad/core';
import { Piscina } from 'piscina';
import { MismatchError } from './pins.js';
import type { Task } from './schema.js';
import type { ThreadResult, ThreadTask } from './thread.js';

/** Threads that run shards, so that the event loop of the process stays responsive. */
export interface Pool {
  /** How many of them compute at once, at most. */
  readonly threads: number;
  /**
   * @throws MismatchError if this machine must not compute the shard, SoftgradError for an error in the inputs or the store,
   *   Error if the thread ended
   */
  run(task: Task): Promise<void>;
  /** Ends the threads; what they were computing is dropped. */
  close(): Promise<void>;
}

/** Each thread holds a shard and an engine in memory. */
export const mostThreads = 1024;

export interface PoolOptions {
  /** The location of the store. */
  readonly root: string;
  /** The URL of a module that registers backends with `register` of @softgrad/core: threads share no memory with this one. */
  readonly backends: string;
  /** As many as there are shards, and `mostThreads`, are started at most. */
  readonly threads: number;
}

/** @throws ERR_VALUE if Node may not start threads: with its permission model, the pool would fail only after it has taken a task */
export function openPool({ root, backends, threads }: PoolOptions): Pool {
  // Undefined without the permission model.
  const permission: NodeJS.Process['permission'] | undefined = process.permission;
  if (permission?.has('worker') === false) {
    throw new SoftgradError(
      'ERR_VALUE',
      "Node's permission model denies starting a worker thread; the option --allow-worker of node allows it",
    );
  }
  const maxThreads = Math.min(threads, mostThreads);
  const pool = new Piscina<ThreadTask, ThreadResult>({
    filename: threadModule,
    minThreads: 0,
    maxThreads,
    // One shard at a time for each thread: more would only use memory.
    concurrentTasksPerWorker: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
  });
  return {
    threads: maxThreads,
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

/** Node runs JavaScript only: if this file is TypeScript, as in tests, the thread runs the built module. */
const threadModule = new URL(import.meta.url.endsWith('.ts') ? '../dist/thread.js' : './thread.js', import.meta.url)
  .href;
