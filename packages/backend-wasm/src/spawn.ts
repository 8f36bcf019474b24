import { isNode, type NodeThreads, nodeThreads } from './node.js';
import type { Thread } from './threads.js';

/** Why threads can't be had here, or null. */
export function threadsMissing(): string | null {
  if (typeof SharedArrayBuffer === 'undefined') {
    return 'no SharedArrayBuffer: the page is not cross-origin isolated (COOP: same-origin and COEP: require-corp)';
  }
  return isNode() || typeof Worker === 'function' ? null : 'no Worker';
}

/** A thread that runs worker.js: a worker thread of Node, which does not keep the process alive, or a module worker. */
export async function spawnThread(): Promise<Thread> {
  return isNode() ? nodeThread(await nodeThreads()) : webThread();
}

function nodeThread(node: NodeThreads): Thread {
  // A URL made of parts is left alone by bundlers, which take the one below for the worker.
  const file = './worker.js';
  const worker = new node.Worker(new URL(/* @vite-ignore */ file, import.meta.url), {
    // What the process was started with (--input-type, --import) is about its own main module.
    execArgv: [],
  });
  const ready = new Promise<void>((resolve, reject) => {
    worker.on('message', () => {
      worker.unref();
      resolve();
    });
    worker.on('error', reject);
    worker.on('exit', (code) => reject(new Error(`the worker thread ended with code ${code}`)));
  });
  // Whoever waits for `ready` sees a rejection; one that comes later is told to `onLost`.
  ready.catch(() => {});
  return {
    ready,
    start: (message) => worker.postMessage(message),
    onLost: (listener) => worker.on('exit', listener),
    terminate: () => void worker.terminate(),
  };
}

function webThread(): Thread {
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  const ready = new Promise<void>((resolve, reject) => {
    worker.addEventListener('message', () => resolve(), { once: true });
    worker.addEventListener('error', ({ message }) => reject(new Error(message || 'the worker did not load')), {
      once: true,
    });
  });
  ready.catch(() => {});
  return {
    ready,
    start: (message) => worker.postMessage(message),
    onLost: (listener) => worker.addEventListener('error', () => listener()),
    terminate: () => worker.terminate(),
  };
}
