import {
  type Backend,
  crossEntropy,
  empty,
  isSoftgradError,
  logSoftmax,
  logSumExp,
  scope,
  sigmoid,
  softmax,
  type Tensor,
  tensor,
} from '@softgrad/core';
import fc from 'fast-check';
import { expect, inject, test, vi } from 'vitest';
import { expectOwnBuffers } from '../../backend-cpu/test/owned-buffers.js';
import { createHeap } from '../src/heap.js';
import { type WasmBuffer, wasm } from '../src/index.js';
import { sameBits } from './ulp.js';
import { openThreads } from './worker-thread.js';

const megabyte = 2 ** 20;

/** Makes every memory as large as it can be, until it is restored. */
const noMorePages = () =>
  vi.spyOn(WebAssembly.Memory.prototype, 'grow').mockImplementation(() => {
    throw new RangeError('no more pages');
  });

/** How much memory is free, in multiples of 64 bytes: as many blocks as fit while the memory cannot grow. */
function free(backend: Backend<WasmBuffer>): number {
  const grow = noMorePages();
  const blocks: WasmBuffer[] = [];
  for (const bytes of [2 ** 20, 2 ** 16, 2 ** 12, 2 ** 9, 64]) {
    const code = codeOf(() => {
      for (;;) blocks.push(backend.alloc(bytes, 'bool'));
    });
    expect(code).toBe('ERR_OUT_OF_MEMORY');
  }
  grow.mockRestore();
  for (const block of blocks) backend.free(block);
  return blocks.reduce((sum, { length }) => sum + length, 0);
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return isSoftgradError(error) ? error.code : String(error);
  }
  return 'none';
}

test('blocks are aligned, do not overlap while in use, and merge when freed', () => {
  const step = fc.oneof(
    fc.record({ allocate: fc.oneof(fc.nat(300), fc.nat(200_000)) }),
    fc.record({ release: fc.nat(1000) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 4096 });
      const heap = createHeap(memory, 1000);
      const live: { readonly address: number; readonly bytes: number }[] = [];
      for (const next of steps) {
        if ('allocate' in next) {
          const block = { address: heap.allocate(next.allocate), bytes: next.allocate };
          expect(block.address % 64).toBe(0);
          // Kernels load whole vectors, which may extend beyond the end of an operand.
          expect(block.address + block.bytes + 15).toBeLessThan(memory.buffer.byteLength);
          for (const other of live) {
            const apart = block.address + block.bytes <= other.address || other.address + other.bytes <= block.address;
            expect(apart || block.address !== other.address).toBe(true);
            if (block.bytes > 0 && other.bytes > 0) expect(apart).toBe(true);
          }
          live.push(block);
        } else if (live.length > 0) {
          const [{ address, bytes }] = live.splice(next.release % live.length, 1);
          heap.release(address, bytes);
        }
      }
      for (const { address, bytes } of live) heap.release(address, bytes);
      // All memory is one free block again: a request of all of it gets the lowest address, and needs no more.
      const reserved = memory.buffer.byteLength;
      expect(heap.allocate(reserved - 1024 - 64)).toBe(1024);
      expect(memory.buffer.byteLength).toBe(reserved);
    }),
  );
});

test('memory grows only if no free block fits, also where others of about the same size were freed before', () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 4096 });
  const heap = createHeap(memory, 1000);
  const sizes = [66, 70, 78].map((size) => size * megabyte);
  const addresses = sizes.map((size) => {
    const address = heap.allocate(size);
    // Keeps the next block apart.
    heap.allocate(64);
    return address;
  });
  const reserved = memory.buffer.byteLength;
  for (const [k, address] of addresses.entries()) heap.release(address, sizes[k] ?? 0);
  const again = [...sizes].reverse().map((size) => heap.allocate(size));
  expect(again).toEqual([...addresses].reverse());
  expect(memory.buffer.byteLength).toBe(reserved);
});

test('the memory of empty can be written and computed on in place, without a copy', async () => {
  const backend = await wasm.open();
  using x = empty([2, 2], { backend });
  x.view().set([0, 0, 1, 1]);
  using s = softmax(x, { out: x });
  expect([...s.view()]).toEqual([0.5, 0.5, 0.5, 0.5]);
});

test('blocks in use keep their address and contents when the memory grows', async () => {
  const backend = await wasm.open();
  using small = tensor([1, 2, 3], { backend });
  const before = small.view().buffer.byteLength;
  const large = Array.from({ length: 8 }, () => empty([8 * megabyte], { backend }));
  expect(small.view().buffer.byteLength).toBeGreaterThan(before);
  expect([...small.view()]).toEqual([1, 2, 3]);
  using s = softmax(small);
  expect(s.dataSync()[2]).toBeCloseTo(0.6652409, 6);
  for (const block of large) block.dispose();
});

test('memory counts what the caller allocated and has not freed', async () => {
  const backend = await wasm.open({ threads: 1 });
  expect(backend.memory?.()).toEqual({ buffers: 0, bytes: 0 });
  const [single, double] = [backend.alloc(3, 'float32'), backend.alloc(5, 'float64')];
  expect(backend.memory?.()).toEqual({ buffers: 2, bytes: 52 });
  expect(codeOf(() => backend.alloc(2 ** 31, 'float32'))).toBe('ERR_OUT_OF_MEMORY');
  backend.free(single);
  expect(backend.memory?.()).toEqual({ buffers: 1, bytes: 40 });
  backend.free(double);
  expect(backend.memory?.()).toEqual({ buffers: 0, bytes: 0 });
  backend.alloc(3, 'float32');
  await backend.close();
  expect(backend.memory?.()).toEqual({ buffers: 0, bytes: 0 });
});

test('a request beyond 4 GiB is ERR_OUT_OF_MEMORY, and existing data is unaffected', async () => {
  const backend = await wasm.open();
  using x = tensor([1, 2, 3], { backend });
  expect(codeOf(() => backend.alloc(2 ** 31, 'float32'))).toBe('ERR_OUT_OF_MEMORY');
  expect(codeOf(() => backend.alloc(backend.supports.limits.elements + 2 ** 21, 'float32'))).toBe('ERR_OUT_OF_MEMORY');
  expect(codeOf(() => backend.alloc(2 ** 53, 'bool'))).toBe('ERR_OUT_OF_MEMORY');
  using s = softmax(x);
  expect([...x.dataSync()]).toEqual([1, 2, 3]);
  expect(s.dataSync()[2]).toBeCloseTo(0.6652409, 6);
});

test.each(inject('everything') ? [1, 3] : [3])(
  'on %i threads, memory between 2 and 4 GiB works like any other',
  async (threads) => {
    const backend = await openThreads(threads);
    const alone = await wasm.open({ relaxedSimd: false });
    const fill = empty([2.5 * 2 ** 28], { backend }); // 2.5 GiB, which are never accessed
    const host = Float32Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 31);
    for (const shape of [
      [100_000, 3],
      [300, 1000],
    ]) {
      const computed = [backend, alone].map((on) =>
        scope(() => {
          const x = tensor(host, { shape, backend: on });
          const s = softmax(x, { axis: 0, temperature: 2 });
          return [softmax(x), logSoftmax(x), s, softmax.vjp(s, x)].map((result) => result.dataSync());
        }),
      );
      expect(computed[0].map((result, i) => sameBits(result, computed[1][i]))).toEqual([true, true, true, true]);
    }
    const rest: Tensor[] = [];
    for (const length of [2 ** 24, 2 ** 14, 16]) {
      expect(
        codeOf(() => {
          for (;;) rest.push(empty([length], { backend }));
        }),
      ).toBe('ERR_OUT_OF_MEMORY');
    }
    const [last] = rest.slice(-1);
    last.view().fill(0);
    softmax(last, { out: last });
    expect(last.dataSync()[15]).toBe(1 / 16);
    for (const block of rest) block.dispose();
    using again = empty([2 ** 27], { backend });
    expect(again.view().length).toBe(2 ** 27);
    fill.dispose();
    await backend.close();
  },
);

test('an operation in place that runs out of scratch memory leaves its input unchanged', async () => {
  const backend = await wasm.open({ relaxedSimd: false });
  const classes = 2 ** 16;
  const x = empty([1, classes], { backend });
  x.view().fill(1);
  const mask = tensor(
    Uint8Array.from({ length: classes }, (_, c) => c % 2),
    { shape: [1, classes], dtype: 'bool', backend },
  );
  const blocks: Tensor[] = [];
  const grow = noMorePages();
  for (const length of [2 ** 18, 2 ** 16]) {
    expect(
      codeOf(() => {
        for (;;) blocks.push(empty([length], { backend }));
      }),
    ).toBe('ERR_OUT_OF_MEMORY');
  }
  for (const op of [softmax, logSoftmax]) {
    expect(codeOf(() => op(x, { out: x, mask, temperature: 2 }))).toBe('ERR_OUT_OF_MEMORY');
    expect(x.dataSync().every((value) => value === 1)).toBe(true);
  }
  expect(grow).toHaveBeenCalled();
  grow.mockRestore();
  for (const block of blocks) block.dispose();
  softmax(x, { out: x, mask, temperature: 2 });
  expect([...x.dataSync().subarray(0, 2)]).toEqual([0, 2 / classes]);
});

test.each(['float32', 'float64'] as const)(
  'no memory is needed for a mean of %s losses once gradients are written',
  async (dtype) => {
    const backend = await wasm.open({ relaxedSimd: false });
    const rows = 4000;
    const target = tensor(new Int32Array(rows), { shape: [rows], backend });
    const x = tensor(
      Array.from({ length: rows * 2 }, (_, i) => Math.sin(i)),
      { shape: [rows, 2], dtype, backend },
    );
    const expected = crossEntropy(x, target);
    const loss = empty([], { dtype, backend });
    const rowLosses = empty([rows], { dtype, backend });
    const grow = noMorePages();
    for (const length of [2 ** 18, 2 ** 14, 2 ** 12]) {
      const fill = () => {
        for (;;) empty([length], { backend });
      };
      expect(codeOf(fill)).toBe('ERR_OUT_OF_MEMORY');
    }
    // What is free now is as much as the losses of the rows take, and less than 16 KiB more.
    rowLosses.dispose();
    crossEntropy(x, target, { out: { loss, gradient: x } });
    expect(grow).toHaveBeenCalled();
    grow.mockRestore();
    expect(loss.dataSync()).toEqual(expected.loss.dataSync());
    expect(x.dataSync()).toEqual(expected.gradient.dataSync());
  },
);

test('operations on tensors of many sizes leave as much memory free as before', async () => {
  const backend = await wasm.open();
  const sizes = Array.from({ length: 97 }, (_, i) => 1 + ((i * 7919) % 5000));
  const round = (i: number) =>
    scope(() => {
      const x = empty([3, sizes[i % sizes.length]], { backend });
      x.view().fill(i % 5);
      const kept = softmax.vjp(softmax(x), x);
      kept.view();
    });
  for (let i = 0; i < sizes.length; i++) round(i);
  const warm = free(backend);
  for (let i = 0; i < 5 * sizes.length; i++) round(i);
  expect(free(backend)).toBe(warm);
});

test('kernels that load whole vectors are right if an operand ends at the end of the memory', async () => {
  for (const classes of inject('everything') ? [1, 2, 3, 5, 7, 9, 11, 13, 17, 33] : [1, 2, 3, 5, 17]) {
    const rows = { outer: 16, classes, inner: 1 };
    const length = 16 * classes;
    // Allocate cache lines until the next one would grow the memory: the operand ends where the last line ends.
    const filled = async (most: number) => {
      const backend = await wasm.open();
      const [out, matrices] = [backend.alloc(length, 'float32'), backend.alloc(length * classes, 'float32')];
      const size = () => backend.view?.(out).buffer.byteLength;
      const full = size();
      let end = 0;
      let lines = 0;
      for (; lines < most && size() === full; lines++) end = backend.alloc(16, 'float32').address + 64;
      return { backend, out, matrices, end, lines };
    };
    const { lines } = await filled(2 ** 20);
    const { backend, out, matrices, end } = await filled(lines - 1);
    const x = { ...out, address: end - 4 * length, length };
    const share = Math.fround(1 / classes);
    backend.view?.(x).fill(share);
    backend.kernels?.sigmoid?.(out, x, length);
    for (const temperature of [1, 2]) {
      const parameters = { temperature, mask: null };
      backend.vjp(out, x, x, rows, parameters);
      backend.jacobian(matrices, x, rows, parameters);
      backend.kernels?.logSoftmax?.(out, x, rows, parameters);
      backend.softmax(out, x, rows, parameters);
      expect(backend.view?.(out).every((value) => Math.abs(value * classes - 1) < 1e-6)).toBe(true);
    }
    const last = { ...x, address: end - 4 * classes, length: classes };
    const [whole, row] = [[16, classes, 1] as const, [1, classes, 1] as const];
    backend.basis?.binary(out, 'add', { buffer: x, extent: whole }, { buffer: last, extent: row }, whole);
    expect(backend.view?.(out).every((value) => value === 2 * share)).toBe(true);
  }
});

test('no kernel reads far beyond an operand that ends at the end of the memory: columns, and rows that are nearly one-hot', async () => {
  const backend = await wasm.open({ relaxedSimd: false });
  const [out, matrices] = [backend.alloc(4096, 'float32'), backend.alloc(4096 * 8, 'float32')];
  const size = () => backend.view?.(out).buffer.byteLength ?? 0;
  // One block up to 64 bytes before the end, where the heap would grow the memory.
  const probe = backend.alloc(16, 'float32');
  const length = (size() - 64 - probe.address) / 4;
  backend.free(probe);
  const all = backend.alloc(length, 'float32');
  expect(all.address + 4 * length + 64).toBe(size());
  for (const rows of [
    ...[2, 3, 5, 8].map((classes) => ({ outer: 1, classes, inner: 67 })),
    ...[17, 64, 200].map((classes) => ({ outer: 4, classes, inner: 1 })),
  ]) {
    const { outer, classes, inner } = rows;
    const count = outer * classes * inner;
    const x = { ...all, address: all.address + 4 * (length - count), length: count };
    const result = { ...out, length: count };
    // The logit of class 1 is far above the others.
    backend
      .view?.(x)
      .set(Float32Array.from({ length: count }, (_, i) => -30 * Number(Math.floor(i / inner) % classes !== 1)));
    const loss = Math.fround((classes - 1) * Math.exp(-30));
    for (const temperature of [1, 2]) {
      const parameters = { temperature, mask: null };
      backend.softmax(result, x, rows, parameters);
      backend.vjp(result, x, x, rows, parameters);
      backend.kernels?.logSumExp?.(result, x, rows, parameters);
      backend.kernels?.logSoftmaxVjp?.(result, x, x, rows, parameters);
      backend.kernels?.logSoftmaxJvp?.(result, x, x, rows, parameters);
      if (classes <= 8) {
        backend.jacobian(matrices, x, rows, parameters);
        backend.kernels?.logSoftmaxJacobian?.(matrices, x, rows, parameters);
      }
    }
    backend.kernels?.logSoftmax?.(result, x, rows, { temperature: 1, mask: null });
    const values = backend.view?.(result) ?? [];
    expect(Math.abs(values[inner] / -loss - 1)).toBeLessThan(1e-6);
    expect(size()).toBe(all.address + 4 * length + 64);
  }
});

test.each([1, 2])('on %i threads, no operation of the family leaks memory', async (threads) => {
  const backend = await openThreads(threads);
  // Some need more than the permanent scratch memory.
  const shapes = [1, 2, 3, 7, 40, 64, 257, 2100].flatMap((classes) => [
    [1, classes],
    [5, classes],
  ]);
  const masks = shapes.map(([rows, classes]) => Array.from({ length: rows }, () => Array(classes).fill(true, 0)));
  for (const mask of masks) for (const row of mask) for (let c = 1; c < row.length; c += 3) row[c] = false;
  const round = (i: number) =>
    scope(() => {
      const [rows, classes] = shapes[i % shapes.length];
      const mask = masks[i % shapes.length];
      const x = empty([rows, classes], { backend, dtype: i % 3 ? 'float32' : 'float64' });
      x.view().fill(i % 7);
      const s = softmax(x, { temperature: 1 + (i % 2), mask });
      softmax.vjp(s, x);
      if (classes < 100) softmax.jacobian(s);
      logSoftmax.vjp(logSoftmax(x, { axis: 0 }), x, { axis: 0 });
      logSumExp(x, { mask });
      crossEntropy(x, new Array(rows).fill(0), { labelSmoothing: (i % 4) / 10, mask, temperature: 1 + (i % 3) });
      sigmoid.vjp(sigmoid(x), x);
    });
  // Each shape in each dtype, and with each of the options.
  for (let i = 0; i < 48; i++) round(i);
  const warm = free(backend);
  for (let i = 0; i < 48; i++) round(i);
  expect(free(backend)).toBe(warm);
  await backend.close();
});

test('fromBuffer takes only a buffer of the backend', async () => {
  const [first, second] = [await wasm.open(), await wasm.open()];
  expect(first.name).toBe('wasm');
  expectOwnBuffers(first, second, { tellsFreed: false });
  for (const backend of [first, second]) await backend.close();
});

test('a scope returns the view of a tensor that lives on, beside the memory of those that it disposes', async () => {
  const backend = await wasm.open();
  const outer = tensor([1, 2], { backend });
  const view = scope(() => {
    softmax(tensor([3, 4], { backend }));
    return outer.view();
  });
  expect([...view]).toEqual([1, 2]);
  expect(() => scope(() => softmax(outer).view())).toThrow('the view() of a tensor that the scope disposes');
  await backend.close();
});
