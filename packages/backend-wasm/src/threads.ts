import { SoftgradError } from '@softgrad/core';
import { chunkBits, chunkMask, controlAt, kernelNames, runChunk, type WorkerStart, word } from './job.js';
import type { Exports } from './module.js';

/** A worker thread as the pool needs it, in Node and in browsers. */
export interface Thread {
  start(message: WorkerStart): void;
  /** Resolves once the worker has instantiated the kernels; rejects with the error if it cannot. */
  readonly ready: Promise<void>;
  /** Called if the thread ends or fails after that. */
  onLost(listener: () => void): void;
  terminate(): void;
}

/** One kernel call, to be cut into chunks. */
export interface Job {
  readonly kernel: string;
  readonly units: number;
  /** Chunk sizes are multiples of this, because element-wise kernels start at whole vectors. */
  readonly alignment: number;
  readonly args: readonly number[];
  /** Which argument is scratch memory, of `scratchStride` bytes a thread; −1 for none. */
  readonly scratchArgument: number;
  readonly scratchStride: number;
}

export interface Pool {
  /** Threads that compute, the calling one included. */
  readonly threads: number;
  /** Whether a thread has gone to sleep, because there was nothing to do. */
  isAsleep(): boolean;
  /** Runs a job to its end. @throws ERR_DEVICE_LOST if a thread was lost during the job; the pool is then closed */
  run(job: Job): void;
  close(): void;
}

export interface PoolOptions {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly exports: Exports;
  /** Address of the control block. */
  readonly control: number;
  /** The top of each worker's stack. */
  readonly stackTops: readonly number[];
  readonly spawn: () => Promise<Thread>;
  /** The time limit for a chunk that a worker has taken. */
  readonly patienceMs?: number;
}

/** Chunks per thread: enough to balance cores with different loads. */
const chunksPerThread = 4;

/** Starts one worker for each stack. @throws the error if one of them cannot start; the others are then terminated */
export async function openPool(options: PoolOptions): Promise<Pool> {
  const { module, memory, exports, control: address, stackTops, spawn, patienceMs = 10_000 } = options;
  const control = controlAt(memory, address);
  const { words, values } = control;
  words.fill(0);
  const names = kernelNames(module);
  const workers: Thread[] = [];
  let alive = 0;
  let job = 0;

  function close(): void {
    for (const worker of workers.splice(0)) worker.terminate();
    alive = 0;
  }

  try {
    for (const [i, stackTop] of stackTops.entries()) {
      const worker = await spawn();
      workers.push(worker);
      worker.start({ module, memory, control: address, stackTop, thread: i + 1 });
    }
    await Promise.all(workers.map(({ ready }) => ready));
  } catch (error) {
    close();
    throw error;
  }
  alive = workers.length;
  for (const worker of workers) {
    worker.onLost(() => {
      alive = Math.max(0, alive - 1);
    });
  }

  function publish({ kernel, units, alignment, args, scratchArgument, scratchStride }: Job): number {
    const wanted = Math.min(units, (alive + 1) * chunksPerThread);
    const perChunk = Math.ceil(units / wanted / alignment) * alignment;
    const chunks = Math.ceil(units / perChunk);
    job = (job + 1) & (-1 >>> chunkBits);
    // No chunk can be taken while the job is being described.
    Atomics.store(words, word.ticket, (job << chunkBits) | chunkMask);
    Atomics.store(words, word.done, 0);
    words[word.kernel] = names.indexOf(kernel);
    words[word.units] = units;
    words[word.unitsPerChunk] = perChunk;
    words[word.arguments] = args.length;
    words[word.scratchArgument] = scratchArgument;
    words[word.scratchStride] = scratchStride;
    values.set(args);
    Atomics.store(words, word.chunks, chunks);
    Atomics.store(words, word.ticket, job << chunkBits);
    if (Atomics.load(words, word.parked) > 0) Atomics.notify(words, word.ticket);
    return chunks;
  }

  function waitForOthers(kernel: string, chunks: number): void {
    let deadline = 0;
    for (let spin = 1; Atomics.load(words, word.done) < chunks; spin++) {
      if ((spin & 0xffff) !== 0) continue;
      const now = performance.now();
      if (deadline === 0) deadline = now + patienceMs;
      else if (now > deadline) fail(kernel, `did not finish its share within ${patienceMs} ms`);
    }
    if (Atomics.load(words, word.failed) !== 0) fail(kernel, 'failed');
  }

  function fail(kernel: string, how: string): never {
    close();
    throw new SoftgradError(
      'ERR_DEVICE_LOST',
      `wasm: a worker thread ${how} (${kernel}); the result is incomplete. The backend goes on with one thread: run the operation again`,
    );
  }

  return {
    get threads() {
      return alive + 1;
    },
    isAsleep: () => Atomics.load(words, word.parked) > 0,
    run(work) {
      const chunks = publish(work);
      for (;;) {
        const chunk = Atomics.add(words, word.ticket, 1) & chunkMask;
        if (chunk >= chunks) break;
        runChunk(control, exports, names, chunk, 0);
        Atomics.add(words, word.done, 1);
      }
      waitForOthers(work.kernel, chunks);
    },
    close,
  };
}
