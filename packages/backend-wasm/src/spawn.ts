import { SoftgradError } from '@softgrad/core';
import { hasStarted, type WorkerStart } from './job.js';
import { type NodeThreads, type NodeWorker, nodeThreads } from './node.js';
import type { WorkerLike, WorkerSource } from './options.js';
import type { Thread } from './threads.js';

/** How long a worker may take to answer: it may run other code, which a server sends or the caller names in place of this package's. */
const patienceMs = 10_000;

/** Why there can be no threads here, or null. */
export function threadsMissing(): string | null {
  if (typeof SharedArrayBuffer === 'undefined') {
    return 'no SharedArrayBuffer: the page is not cross-origin isolated (COOP: same-origin and COEP: require-corp)';
  }
  return nodeThreads() !== null || typeof Worker === 'function' ? null : 'no Worker';
}

/**
 * The function that starts a thread, from the given code or from the package's own worker.
 *
 * @throws when a thread is started, ERR_VALUE for a function that does not return a new Worker
 */
export function spawner(source: WorkerSource | undefined): () => Promise<Thread> {
  if (source === undefined) {
    return async () => {
      const node = nodeThreads();
      return node ? startNode(node, await ownSource(), true) : startOwn();
    };
  }
  const given = typeof source === 'object' ? source.href : source;
  if (typeof given === 'function') return fromFunction(given);
  return async () => {
    const node = nodeThreads();
    return node ? startNode(node, locationOf(given)) : webThread(startWeb(given));
  };
}

function fromFunction(create: () => WorkerLike | Promise<WorkerLike>): () => Promise<Thread> {
  const given = new Set<WorkerLike>();
  return async () => {
    const worker = checkedWorker(await inTime(create()));
    if (given.has(worker)) {
      throw new SoftgradError(
        'ERR_VALUE',
        'wasm: the function worker returns the same Worker twice; each thread needs one',
      );
    }
    given.add(worker);
    return threadOf(worker);
  };
}

/** @throws ERR_VALUE unless it is a worker */
function checkedWorker(worker: WorkerLike): WorkerLike {
  if (typeof worker?.postMessage === 'function' && typeof worker.terminate === 'function') return worker;
  const kind = Object.prototype.toString.call(worker).slice(8, -1);
  throw new SoftgradError('ERR_VALUE', `wasm: the function worker returns ${kind}; expected a Worker`);
}

/** The worker of a caller's function, which may never give one. One that comes too late is terminated. */
function inTime(worker: WorkerLike | Promise<WorkerLike>): Promise<WorkerLike> {
  return new Promise((resolve, reject) => {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      reject(new Error(`the function worker gave none in ${patienceMs} ms`));
    }, patienceMs);
    Promise.resolve(worker)
      .then((given) => (isLate ? given?.terminate?.() : resolve(given)), reject)
      .finally(() => clearTimeout(timer));
  });
}

/** A worker thread of Node that does not keep the process alive. */
function startNode(node: NodeThreads, code: string | URL, isSource = false): Thread {
  // The flags of the process (--input-type, --import) apply to its main module, not to the worker.
  return nodeThread(new node.Worker(code, { eval: isSource, execArgv: [] }));
}

/** A worker from the package's own file, or from its source text if the file cannot be loaded: not every bundler follows the URL of a worker. */
function startOwn(): Thread {
  const fromFile = () => new Worker(new URL('./softgrad-worker.js', import.meta.url), { type: 'module' });
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

/** A thread of the first worker, or of the second if the first fails to load. */
function firstToLoad(first: () => Worker, second: () => Promise<Worker>): Thread {
  let thread: Thread | null = null;
  let ended = false;
  let start: Thread['start'] = () => {};
  const message = new Promise<WorkerStart>((resolve) => {
    start = resolve;
  });
  const tryTo = async (create: () => Worker | Promise<Worker>) => {
    thread = webThread(await create());
    thread.start(await message);
    await thread.ready;
  };
  const ready = tryTo(first).catch(async (error: unknown) => {
    thread?.terminate();
    // The pool was closed meanwhile, so the second worker is not needed.
    if (ended) throw error;
    await tryTo(second).catch((last: unknown) => {
      throw neitherLoaded(error, last);
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

/** Why the package's own worker loads neither from its file nor from its source text, which only a policy can prevent. */
function neitherLoaded(ofFile: unknown, ofSource: unknown): Error {
  // A script that is no module has an empty `import.meta.url`, so that the URL of a file cannot be constructed.
  const hasNoFile = ofFile instanceof TypeError && /\bURL\b/.test(ofFile.message);
  const file = hasNoFile ? 'the bundle has no file of it' : `from its file: ${messageOf(ofFile)}`;
  return new Error(
    `${file}; from a blob: ${messageOf(ofSource)}; allow blob: in the policy's worker-src, or serve @softgrad/backend-wasm/worker and pass worker: '/worker.js'`,
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A thread of a worker that the caller started. */
function threadOf(worker: WorkerLike): Thread {
  return 'on' in worker ? nodeThread(worker as unknown as NodeWorker) : webThread(worker as Worker);
}

function nodeThread(worker: NodeWorker): Thread {
  const answer = createAnswer();
  worker.on('message', answer.check);
  worker.on('error', answer.fail);
  worker.on('exit', (code) => answer.fail(new Error(`the worker thread ended with code ${code}`)));
  answer.ready.then(
    () => worker.unref(),
    () => {},
  );
  return {
    ...threadFrom(answer, worker),
    onLost: (listener) => worker.on('exit', listener),
  };
}

function webThread(worker: Worker): Thread {
  const answer = createAnswer();
  worker.addEventListener('message', answer.check);
  worker.addEventListener('error', ({ message }) => answer.fail(new Error(message || 'the worker did not load')));
  return {
    ...threadFrom(answer, worker),
    onLost: (listener) => worker.addEventListener('error', () => listener()),
  };
}

function threadFrom(answer: Answer, worker: WorkerLike): Omit<Thread, 'onLost'> {
  return {
    ready: answer.ready,
    start(message) {
      worker.postMessage(message);
      answer.await(message);
    },
    terminate() {
      answer.fail(new Error('terminated'));
      worker.terminate();
    },
  };
}

/** The answer of a worker to its start message. */
interface Answer {
  /** Rejects if the worker fails before it answers, or does not answer in time. Later failures are reported to `onLost`. */
  readonly ready: Promise<void>;
  /** Starts to wait for the answer. */
  await(message: WorkerStart): void;
  /** Looks for the answer. A message is only the occasion: other code posts messages too. */
  check(): void;
  fail(error: unknown): void;
}

function createAnswer(): Answer {
  let expected: WorkerStart | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isSettled = false;
  let settle: (isReady: boolean, error?: unknown) => void = () => {};
  const ready = new Promise<void>((resolve, reject) => {
    settle = (isReady, error) => {
      isSettled = true;
      clearTimeout(timer);
      if (isReady) resolve();
      else reject(error);
    };
  });
  ready.catch(() => {});
  const check = () => {
    if (expected !== null && hasStarted(expected)) settle(true);
  };
  return {
    ready,
    await(message) {
      expected = message;
      if (isSettled) return;
      timer = setTimeout(() => {
        // A message may wait behind this timer if the calling thread was busy.
        check();
        settle(
          false,
          new Error(`the worker did not answer within ${patienceMs} ms; it must run @softgrad/backend-wasm/worker`),
        );
      }, patienceMs);
    },
    check,
    fail: (error) => settle(false, error),
  };
}

/** The form that Node's worker_threads accept: a plain path as a string, anything with a scheme as a URL. */
function locationOf(href: string): string | URL {
  return /^(file|data|blob|https?):/.test(href) ? new URL(href) : href;
}
