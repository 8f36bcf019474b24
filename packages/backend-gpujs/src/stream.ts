/** Runs work in the order in which it is enqueued: immediately if kernels are synchronous, otherwise one after the other. */
export interface Stream {
  /** `done` receives the result of `work` before any later work begins. Errors of synchronous work are thrown to the caller, others are passed to `failed`. */
  enqueue<T>(work: () => T | Promise<T>, done: (result: T) => void, failed: (error: unknown) => void): void;
  /** Starts `work` after all earlier work; later work does not wait for its promise. */
  request<T>(work: () => T | Promise<T>): Promise<T>;
}

export const immediate: Stream = {
  enqueue<T>(work: () => T | Promise<T>, done: (result: T) => void): void {
    done(work() as T);
  },
  request: async (work) => work(),
};

export function queued(): Stream {
  let tail: Promise<void> = Promise.resolve();
  return {
    enqueue(work, done, failed) {
      tail = tail.then(work).then(done).catch(failed);
    },
    async request(work) {
      // Wrapped in an object, so that later work does not wait for the promise.
      const started = tail.then(() => ({ result: Promise.resolve(work()) }));
      tail = started.then(({ result }) => void result.catch(() => undefined)).catch(() => undefined);
      return (await started).result;
    },
  };
}
