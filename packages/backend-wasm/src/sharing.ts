/** Work from which it pays to share a job among threads that are awake, in elements read and written. */
export const sharedFrom = 2 ** 17;

/** Work from which it pays to wake threads for a single job: one thread alone takes longer than waking another. */
export const wokenFrom = 2 ** 20;

/** Jobs that follow each other within this time make it pay to wake threads for the next ones. Threads that have nothing to do stay awake about as long. */
const closeMs = 0.5;

/** Decides which jobs are shared with the other threads. The numbers are measured: see "Two threads" in docs/performance.md. */
export interface Sharing {
  /** Whether a job of `sharedFrom` or more is to be shared, which wakes the threads that are asleep. */
  isWorth(work: number): boolean;
  /** Called after each job of `sharedFrom` or more. */
  ended(): void;
}

/**
 * A thread that is asleep takes some tenths of a millisecond to wake, and waking it costs the calling thread a part of that. A single short job
 * is done before it is awake, so it is left to the calling thread alone; the next one, if it follows at once, wakes the others for those after it.
 */
export function createSharing(isAsleep: () => boolean, now: () => number = () => performance.now()): Sharing {
  let end = Number.NEGATIVE_INFINITY;
  return {
    isWorth: (work) => work >= wokenFrom || !isAsleep() || now() - end < closeMs,
    ended() {
      end = now();
    },
  };
}
