import type { Exports } from './module.js';

/**
 * How the main thread shares work with the workers through shared memory. A job is one kernel call cut into chunks of its units. Every
 * idle thread takes the next chunk; a unit's result does not depend on the thread that computes it.
 *
 * `ticket` holds the job's number (upper 22 bits) and its next chunk (lower 10), so that taking a chunk is one compare-exchange, which
 * fails for a thread that still sees an earlier job.
 */
export const word = {
  ticket: 0,
  chunks: 1,
  done: 2,
  parked: 3,
  failed: 4,
  kernel: 5,
  units: 6,
  unitsPerChunk: 7,
  arguments: 8,
  scratchArgument: 9,
  scratchStride: 10,
  /** Two words with a bit for each worker thread, which it sets when it has instantiated the kernels. */
  started: 11,
} as const;

/** Bytes of the control block: 16 words, then the arguments as float64. */
export const controlBytes = 16 * 4 + 24 * 8;
export const chunkBits = 10;
export const chunkMask = (1 << chunkBits) - 1;

/** Views of the control block. Its address is low: they outlive every growth of the memory. */
export interface Control {
  readonly words: Int32Array;
  readonly values: Float64Array;
}

export function controlAt(memory: WebAssembly.Memory, address: number): Control {
  return {
    words: new Int32Array(memory.buffer, address, 16),
    values: new Float64Array(memory.buffer, address + 64, 24),
  };
}

/** The kernels by number, the same in every thread. */
export function kernelNames(module: WebAssembly.Module): readonly string[] {
  return WebAssembly.Module.exports(module)
    .filter(({ kind }) => kind === 'function')
    .map(({ name }) => name);
}

/** Runs one chunk of the current job in a thread. */
export function runChunk(
  { words, values }: Control,
  exports: Exports,
  names: readonly string[],
  chunk: number,
  thread: number,
): void {
  const read = (at: number) => Atomics.load(words, at);
  const perChunk = read(word.unitsPerChunk);
  const begin = chunk * perChunk;
  const end = Math.min(read(word.units), begin + perChunk);
  const scratch = read(word.scratchArgument);
  const args = Array.from(values.subarray(0, read(word.arguments)), (value, k) =>
    k === scratch ? value + thread * (read(word.scratchStride) >>> 0) : value,
  );
  const kernel = exports[names[read(word.kernel)] ?? ''];
  if (kernel === undefined) throw new RangeError('unknown kernel');
  kernel(begin, end, ...args);
}

/**
 * Records that a thread has started. It is in the shared memory, not in a message, because any worker can post a message: only
 * this package's worker answers here.
 */
export function setStarted({ words }: Control, thread: number): void {
  Atomics.or(words, word.started + (thread >>> 5), 1 << (thread & 31));
}

export function hasStarted({ memory, control, thread }: WorkerStart): boolean {
  const { words } = controlAt(memory, control);
  return (Atomics.load(words, word.started + (thread >>> 5)) & (1 << (thread & 31))) !== 0;
}

/** The start message of a worker. */
export interface WorkerStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly control: number;
  readonly stackTop: number;
  readonly thread: number;
}
