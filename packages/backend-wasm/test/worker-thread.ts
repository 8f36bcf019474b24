import { Worker } from 'node:worker_threads';
import type { Backend } from '@softgrad/core';
import { openBackend } from '../src/backend.js';
import { builds } from '../src/builds.js';
import type { WasmBuffer } from '../src/index.js';
import type { Thread } from '../src/threads.js';

/** The backend of src without relaxed SIMD, with the kernels of both dtypes unless others are given. Its worker threads run the built worker, because they can load only JavaScript. */
export function openThreads(threads: number, kernels = builds.simd): Promise<Backend<WasmBuffer>> {
  return openBackend({
    threads,
    relaxedSimd: false,
    kernels,
    spawn: async () => workerThread('../dist/softgrad-worker.js', []),
  });
}

/** A thread that runs another file than the package's own, relative to this folder; the worker is added to `started`. */
export function workerThread(file: string, started: Worker[]): Thread {
  const worker = new Worker(new URL(file, import.meta.url));
  started.push(worker);
  const ready = new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve());
    worker.once('error', reject);
  });
  ready.catch(() => {});
  return {
    ready,
    start: (message) => worker.postMessage(message),
    onLost: (listener) => worker.on('exit', listener),
    terminate: () => void worker.terminate(),
  };
}
