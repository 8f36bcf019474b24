import { SoftgradError } from '@softgrad/core';
import { type NodeThreads, type NodeWorker, nodeThreads } from './node.js';
import type { WorkerLike, WorkerSource } from './options.js';
import type { Thread } from './threads.js';

/** How long a worker from a file may take to answer: a server may send something else in its place. */
const patienceMs = 10_000;

/** Why there can be no threads here, or null. */
export function threadsMissing(): string | null {
  if (typeof SharedArrayBuffer === 'undefined') {
    return 'no SharedArrayBuffer: the page is not cross-origin isolated (COOP: same-origin and COEP: require-corp)';
  }
  return nodeThreads() !== null || typeof Worker === 'function' ? null : 'no Worker';
}

/** The function that starts a thread, from the given code or from the package's own worker. @throws ERR_VALUE for a Worker that is already started */
export function spawner(source: WorkerSource | undefined): () => Promise<Thread> {
  if (typeof source === 'function') return async () => threadOf(await source());
  // A Worker is one thread, and each thread needs its own.
  if (source !== undefined && typeof hrefOf(source) !== 'string') {
    throw new SoftgradError('ERR_VALUE', 'wasm: worker must be a URL, a path, or a function that starts a Worker');
  }
  return async () => {
    const node = nodeThreads();
    if (source !== undefined) return node ? startNode(node, locationOf(source)) : webThread(startWeb(hrefOf(source)));
    return node ? startNode(node, await ownSource(), true) : startOwn();
  };
}

/** A worker thread of Node that does not keep the process alive. */
function startNode(node: NodeThreads, code: string | URL, isSource = false): Thread {
  // The flags of the process (--input-type, --import) apply to its main module, not to the worker.
  return nodeThread(new node.Worker(code, { eval: isSource, execArgv: [] }));
}

/** A worker from the package's own file, or from its source text if the file cannot be loaded: not every bundler follows the URL of a worker. */
function startOwn(): Thread {
  const fromFile = () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  const fromSource = async () => {
    const url = URL.createObjectURL(new Blob([await ownSource()], { type: 'text/javascript' }));
    return startWeb(url);
  };
  return firstToLoad(fromFile, fromSource);
}

/** A dynamic import, because most pages load the worker's file or use one thread. */
async function ownSource(): Promise<string> {
  return (await import('./worker.generated.js')).workerSource;
}

function startWeb(url: string): Worker {
  return new Worker(url, { type: 'module' });
}

/** A thread of the first worker, or of the second if the first fails to load. If both fail, it rejects with the error of the first. */
function firstToLoad(first: () => Worker, second: () => Promise<Worker>): Thread {
  let thread: Thread | null = null;
  let ended = false;
  let start: (message: Parameters<Thread['start']>[0]) => void = () => {};
  const message = new Promise<Parameters<Thread['start']>[0]>((resolve) => {
    start = resolve;
  });
  const tryTo = async (create: () => Worker | Promise<Worker>) => {
    thread = webThread(await create());
    thread.start(await message);
    await within(patienceMs, thread.ready);
  };
  const ready = tryTo(first).catch(async (error: unknown) => {
    thread?.terminate();
    // The pool was closed meanwhile, so the second worker is not needed.
    if (ended) throw error;
    await tryTo(second).catch(() => {
      throw error;
    });
  });
  ready.catch(() => {});
  return {
    ready,
    start,
    onLost: (listener) => thread?.onLost(listener),
    terminate: () => {
      ended = true;
      thread?.terminate();
    },
  };
}

async function within(ms: number, ready: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the worker did not answer within ${ms} ms`)), ms);
  });
  await Promise.race([ready, late]).finally(() => clearTimeout(timer));
}

/** A thread of a worker that the caller started. */
function threadOf(worker: WorkerLike): Thread {
  return 'on' in worker ? nodeThread(worker as unknown as NodeWorker) : webThread(worker as Worker);
}

function nodeThread(worker: NodeWorker): Thread {
  const ready = new Promise<void>((resolve, reject) => {
    worker.on('message', () => {
      worker.unref();
      resolve();
    });
    worker.on('error', reject);
    worker.on('exit', (code) => reject(new Error(`the worker thread ended with code ${code}`)));
  });
  // A failure before `ready` rejects it; later failures are reported to `onLost`.
  ready.catch(() => {});
  return {
    ready,
    start: (message) => worker.postMessage(message),
    onLost: (listener) => worker.on('exit', listener),
    terminate: () => void worker.terminate(),
  };
}

function webThread(worker: Worker): Thread {
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

function hrefOf(source: string | { readonly href: string }): string {
  return typeof source === 'string' ? source : source.href;
}

/** The form that Node's worker_threads accept: a plain path as a string, anything with a scheme as a URL. */
function locationOf(source: string | { readonly href: string }): string | URL {
  const href = hrefOf(source);
  return /^(file|data|blob|https?):/.test(href) ? new URL(href) : href;
}
