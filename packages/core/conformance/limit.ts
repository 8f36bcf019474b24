import { describe } from '../src/tensor/describe.js';

// Every runtime has timers, but core is compiled without the types of any runtime.
declare function setTimeout(action: () => void, ms: number): unknown;
declare function clearTimeout(timer: unknown): void;

/** The default time limit of a case in milliseconds: many times what the slowest device needs for the longest case. */
export const defaultLimitMs = 120_000;

const longestTimer = 2 ** 31 - 1;

/** A promise that did not settle in time. */
export class OverdueError extends Error {}

/**
 * The result of a promise if it settles within the limit. The timer does not keep a process alive, unless that is asked for: whoever runs the suite may have an error of
 * their own for a process that has nothing left to wait for.
 *
 * @throws OverdueError after the limit
 */
export async function within<T>(what: string, limitMs: number, promise: Promise<T>, keepsAlive = false): Promise<T> {
  if (typeof limitMs !== 'number' || !(limitMs > 0))
    throw new Error(`timeoutMs is ${describe(limitMs)}; expected milliseconds above 0`);
  if (limitMs > longestTimer) return promise;
  let timer: unknown;
  const over = new Promise<never>((_resolve, reject) => {
    const fail = () => reject(new OverdueError(overdue(what, limitMs)));
    timer = setTimeout(fail, limitMs);
    // A number in browsers.
    if (!keepsAlive) (timer as { unref?: () => void }).unref?.();
  });
  try {
    return await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
  }
}

function overdue(what: string, limitMs: number): string {
  return `${what} did not end within ${limitMs / 1000} s: a promise of the backend (open, read, sync, …) never settles, or this device needs a longer limit (timeoutMs; softgrad conformance --timeout SECONDS)`;
}
