import { url as debuggerUrl } from 'node:inspector';
import { Worker } from 'node:worker_threads';
import { missingPermission } from './permission.js';

/** Ends the process if a step keeps the thread for longer than the limit: in an endless loop of a kernel, no timer fires. */
export interface Watchdog {
  /** The message names the step. */
  begin(step: string): void;
  stop(): void;
}

/** What the thread of the watchdog reads. */
export interface Watched {
  readonly limitMs: number;
  /** Not with Node's permission model: Node 20 would abort. */
  readonly canPause: boolean;
  /** How often the thread has begun a step or come back to its event loop, and the length of the step's name in bytes. */
  readonly state: Int32Array<SharedArrayBuffer>;
  readonly step: Uint8Array<SharedArrayBuffer>;
}

/** How often the event loop says that it runs. */
const beatMs = 200;

/**
 * Watches this thread from another one. If it neither begins a step nor comes back to its event loop for that long, the other one writes the name of the step and the
 * frames of the stack to standard error and ends the process: with the exit code 1, or by SIGKILL where it cannot pause this thread. Null where a debugger may
 * stop the thread for any time, and where Node may not start another one.
 */
export function startWatchdog(limitMs: number): Watchdog | null {
  if (debuggerUrl() !== undefined) return null;
  const state = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
  const step = new Uint8Array(new SharedArrayBuffer(1024));
  const worker = startThread({ limitMs, canPause: process.permission === undefined, state, step });
  if (worker === null) return null;
  const beat = () => Atomics.add(state, 0, 1);
  const timer = setInterval(beat, beatMs).unref();
  return {
    begin(name) {
      Atomics.store(state, 1, new TextEncoder().encodeInto(name, step).written);
      beat();
    },
    stop() {
      clearInterval(timer);
      void worker.terminate();
    },
  };
}

function startThread(watched: Watched): Worker | null {
  try {
    // Neither options of node nor the environment: modules that they preload are not for this thread.
    const options = { workerData: watched, execArgv: [], env: {} };
    const worker = new Worker(new URL('./watchdog-thread.js', import.meta.url), options);
    // A thread that does not start watches nothing.
    worker.on('error', () => {});
    worker.unref();
    return worker;
  } catch (error) {
    if (missingPermission(error) === null) throw error;
    return null;
  }
}
