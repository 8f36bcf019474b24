import type { WorkerStart } from './job.js';

/** The part of Node's worker_threads that is used: the package needs neither Node's types nor Node. */
export interface NodeThreads {
  readonly Worker: new (
    code: string | URL,
    options: { readonly eval?: boolean; readonly execArgv: readonly string[] },
  ) => NodeWorker;
  /** Null in the main thread, and in threads that are not from worker_threads. */
  readonly parentPort: {
    once(event: 'message', listener: (start: WorkerStart) => void): void;
    postMessage(value: string): void;
  } | null;
}

export interface NodeWorker {
  on(event: 'message' | 'error' | 'exit', listener: (value: unknown) => void): void;
  postMessage(message: WorkerStart): void;
  unref(): void;
  terminate(): Promise<number>;
}

/** Node's worker_threads, in Node, Bun and Deno; null in browsers. It is not imported: bundlers for browsers have no such module. */
export function nodeThreads(): NodeThreads | null {
  const { process } = globalThis as {
    readonly process?: { readonly getBuiltinModule?: (name: string) => unknown };
  };
  return (process?.getBuiltinModule?.('node:worker_threads') as NodeThreads | undefined) ?? null;
}
