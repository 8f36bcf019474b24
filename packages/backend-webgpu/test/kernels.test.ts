import type { Kernels, Rows } from '@softgrad/core';
import { reference } from '@softgrad/core/conformance';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type WebgpuBackend, type WebgpuBuffer, webgpu } from '../src/index.js';
import { altered, newDevice, newDeviceWithSubgroups, newNullDevice } from './device.js';
import { type Traced, traced } from './traced.js';

interface Bench {
  readonly backend: WebgpuBackend;
  readonly trace: Traced;
  /** A buffer with a number of unspecified elements, or with these elements. */
  buffer(values: number | Float32Array, dtype?: 'float32' | 'int32'): WebgpuBuffer;
  close(): void;
}

const open = async () => benchOn(await newDeviceWithSubgroups());

/** For tests of programs and grids rather than results. */
const openNull = async () => benchOn(await newNullDevice());

async function benchOn(device: GPUDevice): Promise<Bench> {
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
  | Extract<
      keyof Kernels<unknown>,
      'logSoftmax' | 'logSoftmaxVjp' | 'logSumExp' | 'softmaxHvp' | 'logSumExpHvp' | 'crossEntropy'
    >;

function enqueue({ backend, buffer }: Bench, operation: Operation, rows: Rows): void {
  const { outer, classes, inner } = rows;
  const count = outer * inner;
  const size = count * classes;
  // A row with NaN, left over in its buffer, would not load its weights.
  const x = buffer(new Float32Array(size));
  const { kernels, basis } = backend;
  switch (operation) {
    case 'softmax':
      return void backend.softmax(buffer(size), x, rows, plain);
    case 'vjp':
      return void backend.vjp(buffer(size), x, buffer(size), rows, plain);
    case 'jacobian':
      return void backend.jacobian(buffer(size * classes), x, rows, plain);
    case 'basis.reduce':
      return void basis.reduce(buffer(count), 'sum', x, rows);
    case 'logSoftmax':
      return void kernels.logSoftmax(buffer(size), x, rows, plain);
    case 'logSoftmaxVjp':
      return void kernels.logSoftmaxVjp(buffer(size), x, buffer(size), rows, { temperature: 1 });
    case 'logSumExp':
      return void kernels.logSumExp(buffer(count), x, rows, plain);
    case 'softmaxHvp':
      return void kernels.softmaxHvp(buffer(size), x, buffer(size), buffer(size), rows, { temperature: 1 });
    case 'logSumExpHvp':
      return void kernels.logSumExpHvp(buffer(size), x, buffer(count), buffer(size), rows, plain);
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

const operations: readonly Operation[] = [
  'softmax',
  'vjp',
  'logSoftmax',
  'logSoftmaxVjp',
  'logSumExp',
  'logSumExpHvp',
  'softmaxHvp',
  'crossEntropy',
  'basis.reduce',
];
/** Operations with two inputs per element, without output elements, and with every kind of input and output. Others differ only in arithmetic. */
const kinds: readonly Operation[] = ['vjp', 'logSumExp', 'crossEntropy'];
// long-rows.test.ts covers rows of several workgroups with every input.
const layouts: readonly (readonly [Rows, readonly Operation[]])[] = [
  [{ outer: 65, classes: 3, inner: 1 }, operations],
  [{ outer: 3, classes: 20, inner: 1 }, kinds],
  [{ outer: 2, classes: 7, inner: 5 }, kinds],
  [{ outer: 1, classes: 33_000, inner: 2 }, ['logSumExp', 'logSumExpHvp']],
  [{ outer: 2, classes: 40_000, inner: 1 }, ['softmaxHvp']],
];

describe('counted on the device', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await open();
  });
  afterAll(() => bench.close());

  /** The loads and stores of one call, and the counts of its statistics. */
  async function counted(operation: Operation, rows: Rows) {
    // The hvp of log-sum-exp is two operations.
    const statistics = () =>
      Object.values(bench.backend.statistics().operations).reduce(
        (sum, { dispatches, bytesRead, bytesWritten }) => ({
          dispatches: sum.dispatches + dispatches,
          bytesRead: sum.bytesRead + bytesRead,
          bytesWritten: sum.bytesWritten + bytesWritten,
        }),
        { dispatches: 0, bytesRead: 0, bytesWritten: 0 },
      );
    await bench.trace.told();
    const before = statistics();
    enqueue(bench, operation, rows);
    await bench.backend.sync();
    const after = statistics();
    return {
      ...(await bench.trace.told()),
      dispatches: after.dispatches - before.dispatches,
      bytesRead: after.bytesRead - before.bytesRead,
      bytesWritten: after.bytesWritten - before.bytesWritten,
    };
  }

  test.each(layouts)('loads and stores are those of the statistics: %o', async (rows, tried) => {
    for (const operation of tried) {
      const { loads, stores, bytesRead, bytesWritten } = await counted(operation, rows);
      expect(loads, operation).toBeGreaterThan(0);
      expect({ operation, loads: 4 * loads, stores: 4 * stores }).toEqual({
        operation,
        loads: bytesRead,
        stores: bytesWritten,
      });
    }
  });

  test.each([
    // Two workgroups, the second with fewer rows.
    [400, 3],
    [5, 10],
    [3, 256],
    [2, 511],
    [1, 513],
  ])('loads and stores of the Jacobian of %i rows of %i are those of the statistics', async (outer, classes) => {
    const { loads, stores, firstStores, dispatches, bytesRead, bytesWritten } = await counted('jacobian', {
      outer,
      classes,
      inner: 1,
    });
    expect(dispatches).toBe(1);
    expect([4 * loads, 4 * stores]).toEqual([bytesRead, bytesWritten]);
    expect(stores).toBe(outer * classes ** 2);
    // Each value once per workgroup; there are several workgroups if a matrix has more than 65536 entries, and they share it.
    if (classes <= 256) {
      expect(loads).toBe(outer * classes);
    } else {
      expect(loads).toBeLessThanOrEqual(stores / 64);
      expect(firstStores).toBeLessThanOrEqual(65_536);
    }
  });

  test.each([
    [{ outer: 2, classes: 8, inner: 300 }, 256],
    [{ outer: 2, classes: 9, inner: 300 }, 64],
    [{ outer: 2, classes: 512, inner: 300 }, 64],
    [{ outer: 1, classes: 513, inner: 300 }, 16],
  ])(
    'neighbouring invocations load neighbouring elements along the inner axis of %o, %i at a time',
    async (rows, run) => {
      const { firstLoads } = await counted('softmax', rows);
      expect(firstLoads).toHaveLength(256);
      for (const [k, index] of firstLoads.entries()) if (k % run > 0) expect(index).toBe(firstLoads[k - 1] + 1);
    },
  );

  test('neighbouring invocations load neighbouring elements along a long row, four each', async () => {
    const { firstLoads } = await counted('softmax', { outer: 1, classes: 4096, inner: 1 });
    expect(firstLoads).toEqual(Array.from({ length: 256 }, (_, k) => k));
  });
});

test('more workgroups than one dimension allows are arranged in two', async () => {
  const device = await newDeviceWithSubgroups();
  const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
  const limits = { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupsPerDimension: 7 };
  const trace = traced(altered(device, { limits }));
  const backend = await webgpu.open({ device: trace.device });
  for (const rows of [
    { outer: 3000, classes: 3, inner: 1 },
    { outer: 5, classes: 33, inner: 300 },
    { outer: 3, classes: 40_000, inner: 1 },
  ]) {
    const size = rows.outer * rows.classes * rows.inner;
    const x = Float32Array.from({ length: size }, (_, i) => ((i * 7919) % 4001) / 100 - 20);
    const expected = reference.softmax(x, rows);
    const [logits, out] = [backend.alloc(size, 'float32'), backend.alloc(size, 'float32')];
    backend.write(logits, x);
    backend.softmax(out, logits, rows, plain);
    const s = await backend.read(out);
    expect(expected.every((p, i) => Math.abs(s[i] - p) <= 8 * 2 ** -24 * p + 2 ** -126)).toBe(true);
    backend.kernels.sigmoid(out, logits, size);
    const y = await backend.read(out);
    expect(x.every((value, i) => Math.abs(y[i] - 1 / (1 + Math.exp(-value))) <= 2 ** -22)).toBe(true);
  }
  // Matrices in bands of whole rows, and in tiles.
  for (const rows of [
    { outer: 3000, classes: 3, inner: 1 },
    { outer: 1, classes: 700, inner: 1 },
  ]) {
    const size = rows.outer * rows.classes;
    const x = Float32Array.from({ length: size }, (_, i) => ((i * 7919) % 97) / 97);
    const s = Float32Array.from(reference.softmax(x, rows));
    const [probabilities, out] = [backend.alloc(size, 'float32'), backend.alloc(size * rows.classes, 'float32')];
    backend.write(probabilities, s);
    await trace.told();
    backend.jacobian(out, probabilities, rows, plain);
    const actual = await backend.read(out);
    // The last workgroups of the grid, which are too many, store nothing.
    expect((await trace.told()).stores).toBe(actual.length);
    const expected = reference.softmaxJacobian(s, rows);
    expect(expected.every((value, i) => Math.abs(actual[i] - value) <= 2 ** -22)).toBe(true);
  }
  expect(Math.max(...trace.grids.map(([x]) => x))).toBeLessThanOrEqual(7);
  expect(Math.max(...trace.grids.map(([, y]) => y))).toBeGreaterThan(1);
  backend.close();
  device.destroy();
});

describe('work distribution', () => {
  const programOf = ({ trace }: Bench, name: string) => trace.programs.findLast((p) => p.name === name)?.code ?? '';

  test('invocations of a subgroup exchange states by shuffles only if the device has them', async () => {
    const rows = { outer: 3, classes: 1000, inner: 1 };
    const results: ArrayLike<number>[] = [];
    for (const features of [['subgroups'], []] as const) {
      const bench = await benchOn(await newDevice({ requiredFeatures: [...features] }));
      const x = bench.buffer(Float32Array.from({ length: 3000 }, (_, i) => ((i * 7919) % 4001) / 100 - 20));
      const s = bench.buffer(3000);
      bench.backend.softmax(s, x, rows, plain);
      results.push(await bench.backend.read(s));
      const code = programOf(bench, 'softmax');
      expect(code.includes('subgroupShuffleXor')).toBe(features.length > 0);
      expect(code.includes('enable subgroups;')).toBe(features.length > 0);
      expect(code).toContain('workgroupBarrier');
      bench.close();
    }
    expect(results[0]).toEqual(results[1]);
  });

  test('invocations that share nothing do not wait for each other', async () => {
    const bench = await openNull();
    // A row for each invocation; the target of a row is loaded once for all of its invocations.
    const rows = { outer: 65, classes: 3, inner: 1 };
    for (const [name, waits] of [
      ['softmax', false],
      ['vjp', false],
      ['softmaxHvp', false],
      ['crossEntropy', true],
    ] as const) {
      enqueue(bench, name, rows);
      expect([name, programOf(bench, name).includes('workgroupBarrier')]).toEqual([name, waits]);
    }
    bench.close();
  });

  test('elements are loaded four at a time if the length of a row is a multiple of 4', async () => {
    const bench = await openNull();
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
    const bench = await openNull();
    enqueue(bench, 'softmax', { outer, classes, inner: 1 });
    await bench.backend.sync();
    expect(bench.trace.grids.at(-1)).toEqual([workgroups, 1]);
    bench.close();
  });

  test('one row of 10,000,000 uses 611 workgroups in both of its dispatches', async () => {
    const device = await newNullDevice();
    const trace = traced(device, false);
    const backend = await webgpu.open({ device: trace.device });
    const before = trace.grids.length;
    const [x, s] = [backend.alloc(10_000_000, 'float32'), backend.alloc(10_000_000, 'float32')];
    backend.softmax(s, x, { outer: 1, classes: 10_000_000, inner: 1 }, plain);
    await backend.sync();
    expect(trace.grids.slice(before)).toEqual([
      [611, 1],
      [611, 1],
    ]);
    backend.close();
    device.destroy();
  });
});

test.each([1, 2])('a mask of three of twelve blocks of rows is that of the others in turn, inner %i', async (inner) => {
  const { backend, buffer, close } = await open();
  const rows = { outer: 12, classes: 5, inner };
  const logits = Float32Array.from({ length: 60 * inner }, (_, k) => ((k * 7) % 11) / 4);
  const mask = Uint8Array.from({ length: 15 * inner }, (_, k) => ((k * 5) % 7 < 3 ? 0 : 1));
  const masked = backend.alloc(mask.length, 'bool');
  backend.write(masked, mask);
  const out = buffer(logits.length);
  backend.softmax(out, buffer(logits), rows, { temperature: 1, mask: { buffer: masked, outer: 3 } });
  const whole = Uint8Array.from(logits, (_, k) => mask[k % mask.length]);
  const expected = reference.softmax(logits, rows, { mask: whole });
  const errors = Array.from(await backend.read(out), (value, k) => Math.abs(value - expected[k]));
  expect(Math.max(...errors)).toBeLessThan(1e-6);
  close();
});
