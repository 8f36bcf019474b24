import type { Backend, Extent, Rows } from '@softgrad/core';
import { plainCrossEntropy } from '@softgrad/core/conformance';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { openBackend } from '../src/backend.js';
import { createBasis } from '../src/basis.js';
import { createHeap, heapLimit } from '../src/heap.js';
import { type WasmBuffer, wasm } from '../src/index.js';
import { controlAt, controlBytes, runChunk, type WorkerStart, word } from '../src/job.js';
import { createKernels } from '../src/kernel-calls.js';
import { type Exports, kernelOf } from '../src/module.js';
import { type Call, createRunner, type Runner } from '../src/run.js';
import * as simd from '../src/simd.generated.js';
import { createStorage } from '../src/storage.js';
import { type Job, openPool, type Thread } from '../src/threads.js';
import { everyKernel } from './every-kernel.js';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** A backend that calls no kernels and records what they would be called with. */
function recorded() {
  const memory = new WebAssembly.Memory({ initial: 64 });
  const heap = createHeap(memory, 1024);
  const storage = createStorage(memory, heap);
  const calls: string[] = [];
  const lineOf = (kernel: string, { before, scratch, units, work, args, alignment }: Call) =>
    [
      `${kernel}(${args.join(' ')}): ${units} units, work ${work}`,
      scratch && `${scratch.bytes} bytes of scratch at ${scratch.argument}`,
      alignment && `in multiples of ${alignment}`,
      before && 'after',
    ]
      .filter(Boolean)
      .join(', ');
  const runner: Runner = {
    run(kernel, call) {
      calls.push(lineOf(kernel, call));
      call.before?.();
    },
    call: (kernel, ...args) => void calls.push(`${kernel}(${args.join(' ')})`),
    withTemporary(bytes, use) {
      calls.push(`${bytes} bytes for a while`);
      return use(64);
    },
  };
  const basis = createBasis(runner, storage, storage.alloc(3, 'float64'));
  const backend = { ...storage, basis, ...createKernels(runner, basis) } as unknown as Backend<WasmBuffer>;
  return { backend, basis, calls, storage };
}

test.each<[Rows, 'float32' | 'float64']>([
  [{ outer: 9, classes: 3, inner: 1 }, 'float32'],
  [{ outer: 3, classes: 48, inner: 1 }, 'float64'],
  [{ outer: 2, classes: 300, inner: 1 }, 'float32'],
  [{ outer: 2, classes: 5, inner: 7 }, 'float32'],
])('what every kernel is called with, for rows %o of %s', (rows, dtype) => {
  const { backend, calls } = recorded();
  everyKernel(backend, dtype, rows);
  expect(calls).toMatchSnapshot();
});

test('temperatures for which the kernels are not made are left to core, by every kernel', () => {
  const { backend, calls, storage } = recorded();
  const rows = { outer: 1, classes: 2, inner: 1 };
  const [out, x] = [storage.alloc(4, 'float64'), storage.alloc(4, 'float64')];
  const target = { kind: 'indices', buffer: storage.alloc(1, 'int32') } as const;
  const mask = { buffer: storage.alloc(2, 'bool'), outer: 1 };
  const answersAt = (temperature: number, isMasked: boolean) => {
    const parameters = { temperature, mask: isMasked ? mask : null };
    const weighed = { ...plainCrossEntropy, ...parameters, target, ignoreIndex: -1 };
    const { kernels } = backend;
    return [
      backend.softmax(out, x, rows, parameters),
      backend.jacobian(out, x, rows, parameters),
      backend.vjp(out, x, x, rows, parameters),
      kernels?.logSoftmax?.(out, x, rows, parameters),
      kernels?.logSoftmaxVjp?.(out, x, x, rows, parameters),
      kernels?.logSoftmaxJvp?.(out, x, x, rows, parameters),
      kernels?.logSoftmaxJacobian?.(out, x, rows, parameters),
      kernels?.softmaxHvp?.(out, x, x, x, rows, parameters),
      kernels?.logSoftmaxHvp?.(out, x, x, x, rows, parameters),
      kernels?.logSumExpHvp?.(out, x, x, x, rows, parameters),
      kernels?.logSumExp?.(out, x, rows, parameters),
      kernels?.crossEntropy?.({ loss: out, gradient: null }, x, rows, weighed),
    ];
  };
  for (const isMasked of [true, false]) {
    for (const temperature of [9e-31, -9e-31, 1.1e30, -1.1e30]) {
      expect(answersAt(temperature, isMasked)).toEqual(Array(12).fill(false));
    }
    expect(calls).toEqual([]);
  }
  for (const temperature of [1e-30, -1e-30, 1e30, -1e30])
    expect(answersAt(temperature, true)).toEqual(Array(12).fill(undefined));
});

test.each<[string, Extent, Extent, Extent, string]>([
  ['two whole operands', [2, 3, 4], [2, 3, 4], [2, 3, 4], '1 1 24 out a 0 0 1 b 0 0 1): 24 units, work 72'],
  ['an operand for each class', [2, 3, 4], [2, 3, 4], [1, 3, 1], '2 3 4 out a 12 4 1 b 0 1 0): 4 units, work 0'],
  ['an operand for each row', [2, 3, 4], [2, 1, 4], [2, 3, 4], '2 3 4 out a 4 0 1 b 12 4 1): 4 units, work 0'],
  ['a single element', [2, 3, 4], [1, 1, 1], [2, 3, 4], '1 1 24 out a 0 0 0 b 0 0 1): 24 units, work 72'],
  ['contiguous rows', [2, 3, 1], [2, 3, 1], [2, 3, 1], '1 1 6 out a 0 0 1 b 0 0 1): 6 units, work 18'],
  ['contiguous rows, one for all', [2, 3, 1], [2, 3, 1], [1, 3, 1], '1 2 3 out a 0 3 1 b 0 0 1): 3 units, work 0'],
  [
    'contiguous rows and one number each',
    [2, 3, 1],
    [2, 1, 1],
    [2, 3, 1],
    '1 2 3 out a 0 1 0 b 0 3 1): 3 units, work 0',
  ],
  ['a single class', [2, 1, 4], [2, 1, 4], [2, 1, 4], '1 1 8 out a 0 0 1 b 0 0 1): 8 units, work 24'],
  ['one row of columns', [1, 3, 4], [1, 3, 4], [1, 3, 4], '1 1 12 out a 0 0 1 b 0 0 1): 12 units, work 36'],
  [
    'columns with one number for all classes',
    [1, 3, 4],
    [1, 3, 4],
    [1, 1, 4],
    '1 3 4 out a 0 4 1 b 0 0 1): 4 units, work 0',
  ],
  ['one number for each outer', [2, 3, 4], [2, 1, 1], [2, 3, 4], '2 3 4 out a 1 0 0 b 12 4 1): 4 units, work 0'],
  [
    'a single class and one row for all',
    [2, 1, 4],
    [2, 1, 4],
    [1, 1, 4],
    '2 1 4 out a 4 0 1 b 0 0 1): 4 units, work 0',
  ],
  ['no element', [0, 3, 4], [0, 3, 4], [0, 3, 4], '0 3 4 out a 12 4 1 b 12 4 1): 4 units, work 0'],
])('the loops over %s', (_, extent, a, b, expected) => {
  const { basis, calls, storage } = recorded();
  const [out, x, y] = [1, 2, 3].map(() => storage.alloc(24, 'float32')) as [WasmBuffer, WasmBuffer, WasmBuffer];
  basis.binary(out, 'sub', { buffer: x, extent: a }, { buffer: y, extent: b }, extent);
  const names = new Map([out, x, y].map(({ address }, k) => [String(address), ['out', 'a', 'b'][k]]));
  const [line = ''] = calls.map((call) => call.replaceAll(/\d{4,}/g, (address) => names.get(address) ?? address));
  expect(line).toBe(`binary_f32(1 ${expected}, in multiples of 16`);
});

test.each<['sum' | 'max', 'float32' | 'float64', Rows, number]>([
  ['sum', 'float32', { outer: 3, classes: 48, inner: 1 }, 0],
  ['sum', 'float32', { outer: 3, classes: 47, inner: 1 }, 47],
  ['sum', 'float32', { outer: 1, classes: 48, inner: 2 }, 48],
  ['sum', 'float64', { outer: 1, classes: 48, inner: 1 }, 0],
  ['sum', 'float64', { outer: 1, classes: 3, inner: 1 }, 0],
  ['sum', 'float64', { outer: 2, classes: 48, inner: 1 }, 48],
  ['sum', 'float64', { outer: 1, classes: 48, inner: 2 }, 48],
  ['max', 'float32', { outer: 1, classes: 48, inner: 1 }, 48],
])('the scratch memory of a %s in %s over %o', (op, dtype, rows, vectors) => {
  const { basis, calls, storage } = recorded();
  const out = storage.alloc(8, dtype);
  basis.reduce(out, op, storage.alloc(200, dtype), rows);
  expect(calls.join()).toContain(`${16 * vectors} bytes of scratch at 5`);
});

/** A memory that only counts its pages, of which it grants as many as `granted`. */
function countedMemory(pages: number, granted = Number.POSITIVE_INFINITY) {
  const grown: number[] = [];
  const memory = {
    buffer: { byteLength: pages * 65_536 },
    grow(more: number) {
      grown.push(more);
      if (memory.buffer.byteLength / 65_536 + more > granted) throw new RangeError('too many pages');
      memory.buffer.byteLength += more * 65_536;
    },
  };
  return { memory: memory as unknown as WebAssembly.Memory, grown };
}

describe('the heap', () => {
  test('keeps freed blocks of up to 64 KiB as they are, 32 of each size, and merges them before the memory would grow', () => {
    const { memory, grown } = countedMemory(64);
    const heap = createHeap(memory, 0);
    const blocksOf = (bytes: number, count: number) => Array.from({ length: count }, () => heap.allocate(bytes));
    const freed = (bytes: number, blocks: readonly number[]) => {
      for (const address of blocks) heap.release(address, bytes);
    };
    const [first, second] = blocksOf(100, 3);
    freed(100, [first, second]);
    expect([heap.allocate(65), heap.allocate(128)]).toEqual([second, first]);
    const small = blocksOf(64, 41);
    freed(64, small.slice(0, 40));
    expect(heap.allocate(8 * 64)).toBe(small[32]);
    const kept = blocksOf(65_536, 3);
    freed(65_536, kept.slice(0, 2));
    expect(heap.allocate(2 * 65_536)).toBeGreaterThan(kept[2]);
    const merged = blocksOf(65_537, 3);
    freed(65_537, merged.slice(0, 2));
    expect(heap.allocate(2 * 65_537)).toBe(merged[0]);
    // Of what is behind the last block, less is left than is asked for.
    const last = heap.allocate(65_537);
    heap.allocate(64 * 65_536 - last - 3 * 65_536);
    expect(heap.allocate(131_072)).toBe(kept[0]);
    expect(grown).toEqual([]);
  });

  test('grows by what is missing and an eighth, or by what is missing alone', () => {
    const { memory, grown } = countedMemory(32);
    const heap = createHeap(memory, 0);
    // Below the first block, and behind the last, is a granule of 64 bytes.
    heap.allocate(32 * 65_536 - 128);
    expect(grown).toEqual([]);
    heap.allocate(1);
    expect(grown).toEqual([1 + 4]);
    const tight = countedMemory(32, 33);
    createHeap(tight.memory, 0).allocate(32 * 65_536);
    expect(tight.grown).toEqual([1 + 4, 1]);
    const small = countedMemory(4);
    createHeap(small.memory, 0).allocate(4 * 65_536);
    expect(small.grown).toEqual([1]);
  });

  test('that is full says how much is in use, and what frees it', () => {
    const heap = createHeap(countedMemory(32, 32).memory, 1000);
    const small = heap.allocate(100);
    const large = heap.allocate(100_000);
    heap.allocate(1_000_000);
    heap.release(small, 100);
    heap.release(large, 100_000);
    expect(() => heap.allocate(32 * 65_536)).toThrow(
      expect.objectContaining({
        code: 'ERR_OUT_OF_MEMORY',
        message: `wasm: cannot allocate 2097152 bytes: 1000000 are in use, 2097152 are reserved, and a WebAssembly memory has at most ${heapLimit} bytes; free results that are no longer needed, by scope(), using, dispose() or out`,
      }),
    );
  });

  test('says of a request beyond 4 GiB to work in parts', () => {
    expect(() => createHeap(countedMemory(32).memory, 0).allocate(2 ** 32)).toThrow(
      expect.objectContaining({
        code: 'ERR_OUT_OF_MEMORY',
        message: `wasm: cannot allocate 4294967296 bytes: a WebAssembly memory has at most ${heapLimit} bytes; work in parts`,
      }),
    );
  });

  test('reaches its limit exactly, and grows by no more than that', () => {
    expect(heapLimit).toBe(2 ** 32 - 65_536);
    const { memory, grown } = countedMemory(60_000);
    const heap = createHeap(memory, 0);
    expect(heap.allocate(heapLimit - 128)).toBe(64);
    expect(grown).toEqual([5535]);
    expect(() => heap.allocate(1)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_MEMORY' }));
    const fresh = countedMemory(60_000);
    expect(() => createHeap(fresh.memory, 0).allocate(heapLimit - 127)).toThrow('cannot allocate');
    expect(() => createHeap(fresh.memory, 0).allocate(heapLimit + 1)).toThrow('cannot allocate');
    expect(() => createHeap(fresh.memory, 0).allocate(2 ** 53 - 1)).toThrow(`cannot allocate ${2 ** 53 - 1} bytes`);
    expect(fresh.grown).toEqual([]);
    const near = countedMemory(65_000);
    createHeap(near.memory, 0).allocate(65_100 * 65_536);
    expect(near.grown).toEqual([65_101 - 65_000 + 434]);
  });

  test('gives a freed block again, or a part of a larger one', () => {
    const heap = createHeap(countedMemory(256).memory, 0);
    const unit = 128 * 1024;
    const [a, between, b, last] = [10, 1, 100, 1].map((units) => heap.allocate(units * unit)) as [
      number,
      number,
      number,
      number,
    ];
    heap.release(a, 10 * unit);
    heap.release(b, 100 * unit);
    expect(heap.allocate(10 * unit)).toBe(a);
    expect(heap.allocate(50 * unit)).toBe(b);
    expect(heap.allocate(50 * unit)).toBe(b + 50 * unit);
    expect(heap.allocate(unit)).toBe(last + unit);
    // Freed neighbours become one block.
    for (const [address, units] of [
      [a, 10],
      [b, 50],
      [between, 1],
    ] as const)
      heap.release(address, units * unit);
    expect(heap.allocate(61 * unit)).toBe(a);
  });
});

describe('a runner', () => {
  const heapOf = () => createHeap(countedMemory(640).memory, 0);

  test('gives kernels the scratch memory that is there for good, or more for the call', () => {
    const calls: (readonly number[])[] = [];
    const heap = heapOf();
    const runner = createRunner({ kernel: (...args) => void calls.push(args) }, heap, null);
    const before: string[] = [];
    const call = { units: 5, work: 1, args: [10, 0, 30], before: () => before.push('before') };
    runner.run('kernel', { ...call, args: [10, 0, 30] });
    runner.run('kernel', { ...call, args: [10, 0, 30], scratch: { argument: 1, bytes: 32_768 } });
    runner.run('kernel', { ...call, args: [10, 0, 30], scratch: { argument: 1, bytes: 32_769 } });
    runner.run('kernel', { ...call, args: [10, 0, 30], scratch: { argument: 1, bytes: 32_769 } });
    expect(calls).toEqual([
      [0, 5, 10, 0, 30],
      [0, 5, 10, 64, 30],
      [0, 5, 10, 64 + 32_768, 30],
      [0, 5, 10, 64 + 32_768, 30],
    ]);
    expect(before).toHaveLength(4);
    runner.run('kernel', { ...call, units: 0 });
    expect(calls).toHaveLength(4);
    expect(() => runner.call('other')).toThrow('unknown kernel');
    expect(() => kernelOf({} as Exports, 'other')).toThrow(new RangeError('unknown kernel'));
    let failed = 0;
    expect(() =>
      runner.withTemporary(100, (address) => {
        failed = address;
        throw new Error('failed');
      }),
    ).toThrow('failed');
    expect(runner.withTemporary(100, (address) => address)).toBe(failed);
  });

  test('shares work among threads from 2¹⁷ elements on, if it can be cut', () => {
    const alone: number[] = [];
    const jobs: Job[] = [];
    const pool = { threads: 3, isAsleep: () => false, run: (job: Job) => void jobs.push(job), close: () => {} };
    const heap = heapOf();
    const allocate = vi.spyOn(heap, 'allocate');
    const runner = createRunner({ kernel: (...args) => void alone.push(args[1] ?? -1) }, heap, pool);
    const run = (units: number, work: number, more: Partial<Call> = {}) =>
      runner.run('kernel', { units, work, args: [0], ...more });
    run(1000, 2 ** 17 - 1);
    run(16, 2 ** 17, { alignment: 16 });
    run(1, 2 ** 17);
    expect([alone, jobs]).toEqual([[1000, 16, 1], []]);
    run(17, 2 ** 17, { alignment: 16 });
    run(2, 2 ** 17, { scratch: { argument: 0, bytes: 70_001 } });
    run(2, 2 ** 17, { scratch: { argument: 0, bytes: 1 } });
    expect(alone).toHaveLength(3);
    const common = { kernel: 'kernel', units: 2, alignment: 1, scratchArgument: 0 };
    expect(jobs).toEqual([
      { ...common, units: 17, alignment: 16, args: [0], scratchArgument: -1, scratchStride: 32_768 },
      { ...common, args: [64 + 3 * 32_768], scratchStride: 70_016 },
      { ...common, args: [64], scratchStride: 32_768 },
    ]);
    // Scratch memory for each thread: what a thread has no memory for, it would write to other tensors.
    expect(allocate.mock.calls.flat()).toEqual([3 * 32_768, 3 * 70_016]);
  });

  test('leaves a short job to the calling thread while the others are asleep, and wakes them if another one follows', () => {
    const alone: number[] = [];
    const shared: number[] = [];
    let time = 0;
    const pool = {
      threads: 3,
      isAsleep: () => true,
      run: ({ units }: Job) => void shared.push(units),
      close: () => {},
    };
    const runner = createRunner({ kernel: (...args) => void alone.push(args[1] ?? -1) }, heapOf(), pool, () => time);
    const run = (units: number, work: number) => runner.run('kernel', { units, work, args: [0] });
    run(1000, 2 ** 17);
    time = 0.4;
    run(1001, 2 ** 17);
    time = 0.8;
    run(1002, 2 ** 17);
    time = 9;
    run(1003, 2 ** 20 - 1);
    time = 20;
    run(1004, 2 ** 20);
    expect([alone, shared]).toEqual([
      [1000, 1003],
      [1001, 1002, 1004],
    ]);
  });
});

test('a chunk of a job has its units, and each thread its own scratch memory', () => {
  const memory = new WebAssembly.Memory({ initial: 1 });
  expect(controlBytes).toBe(256);
  const control = controlAt(memory, 0);
  const { words, values } = control;
  const calls: (readonly number[])[] = [];
  Object.assign(words, { [word.kernel]: 1, [word.units]: 25, [word.unitsPerChunk]: 10, [word.arguments]: 3 });
  Object.assign(words, { [word.scratchArgument]: 1, [word.scratchStride]: 64 });
  values.set([7, 1000, 9, 11]);
  const exports = { kernel: (...args: readonly number[]) => void calls.push(args) };
  for (const [chunk, thread] of [
    [0, 0],
    [2, 3],
  ] as const)
    runChunk(control, exports, ['other', 'kernel'], chunk, thread);
  expect(calls).toEqual([
    [0, 10, 7, 1000, 9],
    [20, 25, 7, 1192, 9],
  ]);
});

describe('a pool', () => {
  /** A pool of the calling thread and two that never take a chunk unless the kernel takes it for them. */
  async function open(kernel: (...args: readonly number[]) => void, patienceMs?: number) {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const module = new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
    vi.spyOn(WebAssembly.Module, 'exports').mockReturnValue([{ kind: 'function', name: 'kernel' }]);
    const lost: (() => void)[] = [];
    const log: unknown[] = [];
    const spawn = async (): Promise<Thread> => ({
      ready: Promise.resolve(),
      start: ({ control, stackTop, thread }: WorkerStart) => log.push([control, stackTop, thread]),
      onLost: (listener) => lost.push(listener),
      terminate: () => log.push('terminated'),
    });
    const options = { module, memory, exports: { kernel }, control: 0, stackTops: [4096, 8192], spawn };
    const pool = await openPool({ ...options, ...(patienceMs !== undefined && { patienceMs }) });
    return { pool, log, lost, ...controlAt(memory, 0) };
  }
  const job: Job = { kernel: 'kernel', units: 100, alignment: 8, args: [5, 6], scratchArgument: -1, scratchStride: 0 };

  test('starts a thread for each stack, and cuts jobs into four chunks a thread, of whole groups', async () => {
    const ranges: (readonly number[])[] = [];
    const { pool, log, words } = await open((...args) => ranges.push(args));
    expect(pool.threads).toBe(3);
    expect(log).toEqual([
      [0, 4096, 1],
      [0, 8192, 2],
    ]);
    pool.run(job);
    expect(ranges).toEqual([0, 16, 32, 48, 64, 80, 96].map((begin) => [begin, Math.min(100, begin + 16), 5, 6]));
    expect(words[word.ticket] >>> 10).toBe(1);
    pool.run({ ...job, units: 2, alignment: 1 });
    expect(ranges.slice(7)).toEqual([
      [0, 1, 5, 6],
      [1, 2, 5, 6],
    ]);
    expect(words[word.ticket] >>> 10).toBe(2);
    pool.close();
    expect(log.slice(2)).toEqual(['terminated', 'terminated']);
    expect(pool.threads).toBe(1);
  });

  test('wakes threads that are parked, and no others', async () => {
    const { pool, words } = await open(() => {});
    const notify = vi.spyOn(Atomics, 'notify').mockReturnValue(0);
    pool.run(job);
    expect(notify).not.toHaveBeenCalled();
    expect(pool.isAsleep()).toBe(false);
    words[word.parked] = 1;
    expect(pool.isAsleep()).toBe(true);
    pool.run(job);
    expect(notify).toHaveBeenCalledOnce();
  });

  test('counts threads that end, down to the calling one', async () => {
    const { pool, lost } = await open(() => {});
    const counts = [0, 1, 0].map((k) => {
      lost[k]?.();
      return pool.threads;
    });
    expect(counts).toEqual([2, 1, 1]);
  });

  test.each([
    ['failed', 'failed'],
    ['unfinished', 'did not finish its share within 1 ms'],
  ])('closes if a thread leaves a chunk %s', async (how, told) => {
    const { pool, words, log } = await open(() => {
      if (how === 'failed') words[word.failed] = 1;
      // Another thread takes the next chunk.
      else if (words[word.done] === 0) Atomics.add(words, word.ticket, 1);
    }, 1);
    expect(() => pool.run(job)).toThrow(
      expect.objectContaining({
        code: 'ERR_DEVICE_LOST',
        message: `wasm: a worker thread ${told} (kernel); the result is incomplete. The backend goes on with one thread: run the operation again`,
      }),
    );
    expect(log.slice(2)).toEqual(['terminated', 'terminated']);
    expect(pool.threads).toBe(1);
  });
});

describe('opening', () => {
  test('what an engine lacks is said', async () => {
    expect(await wasm.unavailable()).toBeNull();
    vi.stubGlobal('DecompressionStream', undefined);
    Reflect.deleteProperty(globalThis, 'DecompressionStream');
    expect(await wasm.unavailable()).toBe(
      'this engine has no DecompressionStream; Node 20 and every current browser have it (Safari from 16.4 on)',
    );
    vi.unstubAllGlobals();
    vi.spyOn(WebAssembly, 'validate').mockReturnValue(false);
    expect(await wasm.unavailable()).toBe(
      'this engine has no WebAssembly SIMD; Node 20 and every current browser have it',
    );
    vi.stubGlobal('WebAssembly', undefined);
    expect(await wasm.unavailable()).toBe('this engine has no WebAssembly; Node 20 and every current browser have it');
  });

  test('the build of a module is the one that relaxedSimd tells', async () => {
    const { compile } = await import('../src/module.js');
    const module = await compile(simd, false);
    const deviceOf = async (relaxedSimd?: boolean) =>
      (await wasm.open({ module, ...(relaxedSimd !== undefined && { relaxedSimd }) })).supports.device;
    expect(await deviceOf()).toBe('WebAssembly SIMD, 1 thread');
    expect(await deviceOf(false)).toBe('WebAssembly SIMD, 1 thread');
    expect(await deviceOf(true)).toBe('WebAssembly relaxed SIMD, 1 thread');
  });

  test('the memory is not shared where there are no threads', async () => {
    const kindOf = async (threads: number) => {
      const backend = await openBackend({
        threads,
        relaxedSimd: false,
        kernels: async () => simd,
        spawn: () => Promise.reject(new Error('none')),
      });
      return Object.prototype.toString.call(backend.view?.(backend.alloc(1, 'bool')).buffer);
    };
    expect(await kindOf(1)).toBe('[object ArrayBuffer]');
    expect(await kindOf(2)).toBe('[object SharedArrayBuffer]');
    vi.stubGlobal('SharedArrayBuffer', undefined);
    expect(await kindOf(2)).toBe('[object ArrayBuffer]');
  });
});
