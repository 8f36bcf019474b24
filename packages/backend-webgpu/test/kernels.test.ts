import type { Kernels, Rows } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { type WebgpuBackend, type WebgpuBuffer, webgpu } from '../src/index.js';
import { newDevice } from './device.js';
import { type Traced, traced } from './traced.js';

interface Bench {
  readonly backend: WebgpuBackend;
  readonly trace: Traced;
  /** A buffer of so many elements, of no interest or of these. */
  buffer(values: number | Float32Array, dtype?: 'float32' | 'int32'): WebgpuBuffer;
  close(): void;
}

async function open(features: readonly GPUFeatureName[] = []): Promise<Bench> {
  const device = await newDevice({ requiredFeatures: features });
  const trace = traced(device);
  const backend = await webgpu.open({ device: trace.device });
  return {
    backend,
    trace,
    buffer(values, dtype = 'float32') {
      const made = backend.alloc(typeof values === 'number' ? values : values.length, dtype);
      if (typeof values !== 'number') backend.write(made, values);
      return made;
    },
    close() {
      backend.close();
      device.destroy();
    },
  };
}

const plain = { temperature: 1, mask: null } as const;

type Operation =
  | 'softmax'
  | 'vjp'
  | 'jacobian'
  | 'basis.reduce'
  | Extract<keyof Kernels<unknown>, 'logSoftmax' | 'logSoftmaxVjp' | 'logSumExp' | 'crossEntropy'>;

function enqueue({ backend, buffer }: Bench, operation: Operation, rows: Rows): void {
  const { outer, classes, inner } = rows;
  const count = outer * inner;
  const size = count * classes;
  const x = buffer(size);
  const { kernels, basis } = backend;
  switch (operation) {
    case 'softmax':
      return void backend.softmax(buffer(size), x, rows);
    case 'vjp':
      return void backend.vjp(buffer(size), x, buffer(size), rows);
    case 'jacobian':
      return void backend.jacobian(buffer(size * classes), x, rows);
    case 'basis.reduce':
      return void basis.reduce(buffer(count), 'sum', x, rows);
    case 'logSoftmax':
      return void kernels.logSoftmax(buffer(size), x, rows, plain);
    case 'logSoftmaxVjp':
      return void kernels.logSoftmaxVjp(buffer(size), x, buffer(size), rows, 1);
    case 'logSumExp':
      return void kernels.logSumExp(buffer(count), x, rows, plain);
    case 'crossEntropy':
      return void kernels.crossEntropy({ loss: buffer(count), gradient: buffer(size) }, x, rows, {
        ...plain,
        target: { kind: 'indices', buffer: buffer(count, 'int32') },
        weight: buffer(classes),
        labelSmoothing: 0.1,
        ignoreIndex: -100,
        scale: 1,
      });
  }
}

const layouts: readonly Rows[] = [
  { outer: 65, classes: 3, inner: 1 },
  { outer: 3, classes: 1000, inner: 1 },
  { outer: 1, classes: 40_000, inner: 1 },
  { outer: 2, classes: 7, inner: 5 },
  { outer: 1, classes: 33_000, inner: 2 },
];
const operations: readonly Operation[] = [
  'softmax',
  'vjp',
  'logSoftmax',
  'logSoftmaxVjp',
  'logSumExp',
  'crossEntropy',
  'basis.reduce',
];

describe('what statistics tell of a kernel is what its loads and stores count on the device', () => {
  test.each(layouts)('$outer × $classes × $inner', async (rows) => {
    const bench = await open();
    await bench.trace.told();
    for (const operation of operations) {
      enqueue(bench, operation, rows);
      await bench.backend.sync();
      const { loads, stores } = await bench.trace.told();
      const { bytesRead, bytesWritten } = bench.backend.statistics().operations[operation];
      expect({ operation, loads: 4 * loads, stores: 4 * stores }).toEqual({
        operation,
        loads: bytesRead,
        stores: bytesWritten,
      });
    }
    bench.close();
  });

  test.each([
    [70, 3],
    [5, 10],
    [3, 256],
    [2, 511],
    [1, 513],
    [1, 1000],
  ])('the Jacobian of %i rows of %i', async (outer, classes) => {
    const bench = await open();
    await bench.trace.told();
    enqueue(bench, 'jacobian', { outer, classes, inner: 1 });
    await bench.backend.sync();
    const { loads, stores } = await bench.trace.told();
    const { dispatches, bytesRead, bytesWritten } = bench.backend.statistics().operations.jacobian;
    expect(dispatches).toBe(1);
    expect([4 * loads, 4 * stores]).toEqual([bytesRead, bytesWritten]);
    expect(stores).toBe(outer * classes ** 2);
    // Each value once a workgroup, of which there are several where a matrix has more than 65536 entries.
    if (classes <= 256) expect(loads).toBe(outer * classes);
    else expect(loads).toBeLessThanOrEqual(stores / 64);
    bench.close();
  });
});

describe('neighbouring invocations load neighbouring elements', () => {
  test.each([
    [{ outer: 2, classes: 7, inner: 300 }, 256],
    [{ outer: 2, classes: 50, inner: 300 }, 64],
    [{ outer: 1, classes: 2000, inner: 300 }, 16],
  ])('along the inner axis of %o, %i at a time', async (rows, run) => {
    const bench = await open();
    await bench.trace.told();
    enqueue(bench, 'softmax', rows);
    await bench.backend.sync();
    const { firstLoads } = await bench.trace.told();
    expect(firstLoads).toHaveLength(256);
    for (const [k, index] of firstLoads.entries()) if (k % run > 0) expect(index).toBe(firstLoads[k - 1] + 1);
    bench.close();
  });

  test('along a long row, four elements each', async () => {
    const bench = await open();
    await bench.trace.told();
    enqueue(bench, 'softmax', { outer: 1, classes: 4096, inner: 1 });
    await bench.backend.sync();
    expect((await bench.trace.told()).firstLoads).toEqual(Array.from({ length: 256 }, (_, k) => k));
    bench.close();
  });
});

describe('who computes a row', () => {
  const programOf = ({ trace }: Bench, name: string) => trace.programs.findLast((p) => p.name === name)?.code ?? '';

  test('invocations of a subgroup meet by shuffles where the device has them, and only there', async () => {
    const rows = { outer: 3, classes: 1000, inner: 1 };
    const results: ArrayLike<number>[] = [];
    for (const features of [['subgroups'], []] as const) {
      const bench = await open(features);
      const x = bench.buffer(Float32Array.from({ length: 3000 }, (_, i) => ((i * 7919) % 4001) / 100 - 20));
      const s = bench.buffer(3000);
      bench.backend.softmax(s, x, rows);
      results.push(await bench.backend.read(s));
      const code = programOf(bench, 'softmax');
      expect(code.includes('subgroupShuffleXor')).toBe(features.length > 0);
      expect(code.includes('enable subgroups;')).toBe(features.length > 0);
      expect(code).toContain('workgroupBarrier');
      bench.close();
    }
    expect(results[0]).toEqual(results[1]);
  });

  test('elements are loaded four at a time where the length of a row is a multiple of 4', async () => {
    const bench = await open();
    for (const [classes, four] of [
      [8, true],
      [1000, true],
      [10, false],
      [1001, false],
    ] as const) {
      enqueue(bench, 'softmax', { outer: 2, classes, inner: 1 });
      expect(programOf(bench, 'softmax').includes('logits: array<vec4<u32>>')).toBe(four);
    }
    bench.close();
  });

  test.each([
    [1000, 3, 4],
    [1000, 10, 16],
    [1000, 100, 63],
    [100, 4096, 100],
  ])('%i rows of %i are %i workgroups', async (outer, classes, workgroups) => {
    const bench = await open();
    enqueue(bench, 'softmax', { outer, classes, inner: 1 });
    await bench.backend.sync();
    expect(bench.trace.grids.at(-1)).toEqual([workgroups, 1]);
    bench.close();
  });

  test('one row of 10,000,000 has 611 workgroups busy in both of its dispatches', async () => {
    const device = await newDevice();
    const trace = traced(device, false);
    const backend = await webgpu.open({ device: trace.device });
    const before = trace.grids.length;
    const [x, s] = [backend.alloc(10_000_000, 'float32'), backend.alloc(10_000_000, 'float32')];
    backend.softmax(s, x, { outer: 1, classes: 10_000_000, inner: 1 });
    await backend.sync();
    expect(trace.grids.slice(before)).toEqual([
      [611, 1],
      [611, 1],
    ]);
    backend.close();
    device.destroy();
  });
});

test('more than 65535 workgroups: every row of 16,777,217 is computed', async () => {
  const bench = await open();
  const rows = { outer: 256 * 65_536 + 1, classes: 1, inner: 1 };
  const x = Float32Array.from({ length: rows.outer }, (_, row) => row % 1_000_003);
  const [logits, out] = [bench.buffer(x), bench.buffer(rows.outer)];
  bench.backend.kernels.logSumExp(out, logits, rows, plain);
  const y = await bench.backend.read(out);
  expect(bench.trace.grids.at(-1)).toEqual([32_769, 2]);
  expect(y.every((value, row) => value === x[row])).toBe(true);
  bench.close();
});
