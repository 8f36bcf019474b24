import type { Backend, Rows } from '@softgrad/core';
import { expect, inject, test } from 'vitest';
import { createBasis } from '../src/basis.js';
import { createHeap, type Heap } from '../src/heap.js';
import { type WasmBuffer, wasm } from '../src/index.js';
import { createKernels } from '../src/kernel-calls.js';
import { compile, type Exports, instantiate, type Kernel } from '../src/module.js';
import { createRunner, type Runner } from '../src/run.js';
import * as simd from '../src/simd.generated.js';
import { createStorage } from '../src/storage.js';
import { crossEntropyOf } from './cross-entropy.js';
import { everyKernel } from './every-kernel.js';
import { compute, logits, sameBits } from './ulp.js';

/** Bytes around every block. */
const fence = 256;

/** Bytes of the kernels' stack, below the address in __stack_pointer, and bytes between it and the heap. */
const stack = 16384;
const gap = 65536;

/** Bytes ahead of the first block: as many as it has itself. */
const aheadBytes = 32 * 1024;

/**
 * The contents of fences and of new blocks: a signaling NaN. Arithmetic turns it into another NaN, so a fence that was written with a result
 * computed from the fence itself is noticed. As an index it is far outside of the memory.
 */
const patterns = { float32: 0x7fb5_a5a5, float64: 0x7ff5_a5a5 } as const;

/**
 * A heap whose blocks initially contain NaN and have fences on both sides; `broken` lists the fences that were written to. The NaN of each block is
 * another one: a kernel that copies from behind one block to behind another is noticed, too.
 */
function fenced(memory: WebAssembly.Memory, inner: Heap, pattern: number): Heap & { broken(): readonly string[] } {
  const byteOf = (word: number, address: number) => (word >>> (8 * (address % 4))) & 0xff;
  const live = new Map<number, { readonly bytes: number; readonly word: number }>();
  let allocated = 0;
  const found: string[] = [];
  // Scratch memory is the first block. An offset that is subtracted instead of added leads to what is ahead of it.
  const ahead = inner.allocate(aheadBytes);
  const bytesAt = (address: number, length: number) => new Uint8Array(memory.buffer, address, length);
  // The heap allocates multiples of 64 bytes at addresses that are multiples of 64.
  const fill = (address: number, length: number, word: number) =>
    new Uint32Array(memory.buffer, address, Math.ceil(length / 4)).fill(word);
  fill(ahead, aheadBytes, pattern);
  const check = (address: number) => {
    const { bytes, word } = live.get(address) ?? { bytes: 0, word: pattern };
    for (const [side, from] of [
      ['before', address - fence],
      ['after', address + bytes],
    ] as const) {
      const at = bytesAt(from, fence).findIndex((byte, i) => byte !== byteOf(word, from + i));
      if (at < 0) continue;
      found.push(`${side} a block of ${bytes} bytes, at ${at}`);
    }
  };
  return {
    allocate(bytes) {
      const address = inner.allocate(bytes + 2 * fence) + fence;
      const word = pattern + (allocated++ % 1024);
      fill(address - fence, bytes + 2 * fence, word);
      live.set(address, { bytes, word });
      return address;
    },
    release(address, bytes) {
      check(address);
      live.delete(address);
      inner.release(address - fence, bytes + 2 * fence);
    },
    broken() {
      for (const address of live.keys()) check(address);
      if (bytesAt(ahead, aheadBytes).some((byte, i) => byte !== byteOf(pattern, ahead + i)))
        found.push('ahead of all blocks');
      return found.splice(0);
    },
  };
}

/** Bytes below the top of the stack that no kernel needs: the stack has 16 KiB, and frames take less than 8 KiB. */
const unused = { from: 15 * 1024, to: 8 * 1024 } as const;

/** Stacks that contain NaN before each call. Operands at a wrong address may lie in the part that no kernel needs, which each call must leave as it was. */
function guardedStacks(memory: WebAssembly.Memory, tops: readonly number[], pattern: number) {
  const words = (address: number, bytes: number) => new Uint32Array(memory.buffer, address, bytes / 4);
  let isWritten = false;
  const check = () => {
    const parts = tops.map((top) => words(top - unused.from, unused.from - unused.to));
    isWritten ||= parts.some((part) => part.some((word) => word !== pattern));
  };
  const fill = () => {
    for (const top of tops) words(top - stack, stack).fill(pattern);
  };
  fill();
  return {
    beforeCall() {
      check();
      fill();
    },
    isWritten() {
      check();
      return isWritten;
    },
  };
}

/** A runner that calls each kernel for a third of its units at a time, as three threads do, and `before` each such call. */
function inThirds(exports: Exports, heap: Heap, before: () => void): Runner {
  let alignment = 0;
  const pieces = Object.entries(exports).map(([name, call]): readonly [string, Kernel] => [
    name,
    (...args) => {
      const kernel: Kernel = (...operands) => {
        before();
        call(...operands);
      };
      const [begin, end, ...rest] = args;
      if (alignment === 0) return kernel(...args);
      const piece = Math.ceil((end - begin) / 3 / alignment) * alignment;
      for (let first = begin; first < end; first += piece) kernel(first, Math.min(end, first + piece), ...rest);
    },
  ]);
  const runner = createRunner(Object.fromEntries(pieces), heap, null);
  return {
    ...runner,
    run(kernel, call) {
      alignment = call.alignment ?? 1;
      runner.run(kernel, call);
      alignment = 0;
    },
  };
}

/** The parts of the backend on such a heap, which guards scratch memory as well as operands and results. The stack contains NaN before each call. */
async function guardedBackend(pattern: number) {
  const memory = new WebAssembly.Memory({ initial: 32, maximum: 65536 });
  const module = await compile(simd, false);
  const instance = await instantiate(module, memory);
  const [heapBase, stackTop] = [instance.__heap_base, instance.__stack_pointer].map(
    (global) => (global as WebAssembly.Global<'i32'>).value,
  );
  const heap = fenced(memory, createHeap(memory, heapBase + gap), pattern);
  const behind = () => new Uint32Array(memory.buffer, heapBase, gap / 4);
  behind().fill(pattern);
  // The stack is the last thing below the heap. Where kernels are replaced one by one, there are two.
  const stacks = guardedStacks(memory, [heapBase, stackTop], pattern);
  const storage = createStorage(memory, heap);
  const runner = inThirds(instance as unknown as Exports, heap, stacks.beforeCall);
  const basis = createBasis(runner, storage, storage.alloc(3, 'float64'));
  const parts: Partial<Backend<WasmBuffer>> = {
    ...storage,
    ...createKernels(runner, basis),
    basis,
  };
  const broken = () => {
    const above = behind().findIndex((word) => word !== pattern);
    return [
      ...(above < 0 ? [] : [`above the stack, at ${4 * above}`]),
      ...(stacks.isWritten() ? ['the unused part of the stack'] : []),
      ...heap.broken(),
    ];
  };
  return { backend: parts as Backend<WasmBuffer>, broken };
}

/** Short rows, rows in blocks, and rows with a tail for which 1, 2 and 3 vectors per class need more than the permanent scratch memory. */
const lengths = inject('everything')
  ? [1, 2, 3, 5, 6, 10, 12, 17, 33, 64, 100, 257, 701, 1101, 2101]
  : [1, 2, 3, 10, 17, 64, 257, 2101];

/** More than a block, or for one length of rows that are computed one by one several groups a thread. */
const outerOf = (classes: number) => (classes < 20 ? 4 * Math.floor(256 / classes) + 3 : classes === 257 ? 23 : 7);

test.each(['float32', 'float64'] as const)(
  'no %s kernel writes outside its operands and its scratch memory, computes with data from outside, or depends on how work is divided',
  async (dtype) => {
    const plain = await wasm.open({ relaxedSimd: false });
    const { backend, broken } = await guardedBackend(patterns[dtype]);
    for (const classes of lengths) {
      const shapes: readonly Rows[] = [
        { outer: outerOf(classes), classes, inner: 1 },
        { outer: 2, classes, inner: 3 },
      ];
      for (const rows of shapes) {
        const alone = everyKernel(plain, dtype, rows);
        const actual = everyKernel(backend, dtype, rows);
        expect({ rows, broken: broken() }).toEqual({ rows, broken: [] });
        const different = actual.flatMap((values, i) => (sameBits(values, alone[i]) ? [] : [i]));
        expect({ rows, different }).toEqual({ rows, different: [] });
      }
    }
  },
);

test.each(['float32', 'float64'] as const)(
  '%s: dimensions that are not a multiple of a tile are transposed, and a mask selects, without writing outside the result',
  async (dtype) => {
    const { backend, broken } = await guardedBackend(patterns[dtype]);
    for (const classes of [5, 16, 21]) {
      for (const inner of [5, 16, 19]) {
        const extent = [2, classes, inner] as const;
        const [x, y] = [1, 2].map((seed) => logits(dtype, 2 * classes * inner, 3, 0, seed));
        const transposed = compute(backend, [x], (out, input) =>
          backend.basis?.transpose(out, input, { outer: 2, classes, inner }),
        );
        const at = (i: number) => {
          const [o, k, c] = [Math.floor(i / (classes * inner)), Math.floor(i / classes) % inner, i % classes];
          return (o * classes + c) * inner + k;
        };
        expect(Array.from(transposed)).toEqual(Array.from(x, (_, i) => x[at(i)]));
        const mask = backend.alloc(x.length, 'bool');
        backend.write(
          mask,
          Uint8Array.from(x, (value) => Number(value > 0)),
        );
        const selected = compute(backend, [x, y], (out, a, b) =>
          backend.basis?.select(
            out,
            { buffer: mask, extent },
            { buffer: a, extent },
            { buffer: b, extent: [1, 1, inner] },
            extent,
          ),
        );
        expect(Array.from(selected)).toEqual(Array.from(x, (value, i) => (value > 0 ? value : y[i % inner])));
        backend.free(mask);
        expect({ extent, broken: broken() }).toEqual({ extent, broken: [] });
      }
    }
  },
);

/** The smallest and the largest normal numbers, nearly. */
const extremes = { float32: [0x0080_0000, 0x7f7f_0000], float64: [0x0010_0000, 0x7fef_0000] } as const;

test.each(['float32', 'float64'] as const)(
  'no result of a %s kernel depends on numbers beside its operands, which may be as small or as large as there are',
  async (dtype) => {
    const plain = await wasm.open({ relaxedSimd: false });
    for (const pattern of extremes[dtype]) {
      const { backend, broken } = await guardedBackend(pattern);
      for (const classes of inject('everything') ? [3, 17, 257] : [3, 257]) {
        const rows = { outer: outerOf(classes), classes, inner: 1 };
        const alone = everyKernel(plain, dtype, rows);
        const different = everyKernel(backend, dtype, rows).flatMap((values, i) =>
          sameBits(values, alone[i]) ? [] : [i],
        );
        expect({ pattern, rows, different, broken: broken() }).toEqual({ pattern, rows, different: [], broken: [] });
      }
    }
  },
);

/** Lengths of rows that are computed in blocks. */
const blockLengths = [2, 3, 4, 5, 8, 15, 16, 17, 40, 100, 128, 256];

test.each([0, 3])(
  'float32 log-softmax of a block and a part of one, with %i rows after the last group, writes only its result, in place too',
  async (more) => {
    const plain = await wasm.open({ relaxedSimd: false });
    const { backend, broken } = await guardedBackend(patterns.float32);
    for (const classes of blockLengths) {
      const rows = { outer: 4 * (Math.floor(256 / classes) + 1) + more, classes, inner: 1 };
      // Rows near each other, and rows each of which has its own reference.
      for (const gap of [0, 40]) {
        const x = logits('float32', rows.outer * classes, 20, 0, classes).map(
          (value, i) => value + gap * (Math.floor(i / classes) % 5),
        );
        const log = (on: Backend<WasmBuffer>, isInPlace: boolean) =>
          compute(on, [x], (out, input) => {
            if (isInPlace) on.write(out, x);
            on.kernels?.logSoftmax?.(out, isInPlace ? out : input, rows, { temperature: 1, mask: null });
          });
        const expected = log(plain, false);
        const same = [log(backend, false), log(backend, true)].map((actual) => sameBits(actual, expected));
        expect({ classes, gap, same, broken: broken() }).toEqual({ classes, gap, same: [true, true], broken: [] });
      }
    }
  },
);

test.each(['float32', 'float64'] as const)(
  'cross-entropy of %s probabilities reads nothing far behind its operands, where the memory ends',
  async (dtype) => {
    const backend = await wasm.open({ relaxedSimd: false });
    // Columns of one class: the place of a second class would be as far behind the target as the target is long.
    const rows = { outer: 1, classes: 1, inner: 2 ** 17 };
    const [x, q] = [logits(dtype, rows.inner, 1, 0, 1), logits(dtype, rows.inner, 0.5, 1, 2)];
    const { gradient } = crossEntropyOf(backend, x, rows, q, { results: 'gradient', inPlace: true });
    expect(Array.from(gradient).every((value) => value === 0)).toBe(true);
  },
);
