/** Work in the order in which it was enqueued: at once where kernels run at once, one after the other where they give promises. */
export interface Stream {
  /** `done` gets the result of `work` before any later work begins. Work that runs at once throws at the caller; else `failed` gets the error. */
  enqueue<T>(work: () => T | Promise<T>, done: (result: T) => void, failed: (error: unknown) => void): void;
  /** Starts `work` in its turn; later work does not wait for its promise. */
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
      // An object around the promise keeps the next turn from waiting for it.
      const started = tail.then(() => ({ result: Promise.resolve(work()) }));
      tail = started.then(({ result }) => void result.catch(() => undefined)).catch(() => undefined);
      return (await started).result;
    },
  };
}
