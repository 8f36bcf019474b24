import type { WorkerStart } from './job.js';

/** The part of Node's worker_threads that is used: the package needs neither Node's types nor Node. */
export interface NodeThreads {
  readonly Worker: new (url: URL, options: { readonly execArgv: readonly string[] }) => NodeWorker;
  readonly parentPort: {
    once(event: 'message', listener: (start: WorkerStart) => void): void;
    postMessage(value: string): void;
  };
}

export interface NodeWorker {
  on(event: 'message' | 'error' | 'exit', listener: (value: unknown) => void): void;
  postMessage(message: WorkerStart): void;
  unref(): void;
  terminate(): Promise<number>;
}

/** Node's worker_threads. */
export async function nodeThreads(): Promise<NodeThreads> {
  // A name in a variable is left alone by bundlers for browsers, which have no such module.
  const name = 'node:worker_threads';
  return import(/* @vite-ignore */ /* webpackIgnore: true */ name);
}

export function isNode(): boolean {
  const { process } = globalThis as { readonly process?: { readonly versions?: { readonly node?: string } } };
  return process?.versions?.node !== undefined;
}
