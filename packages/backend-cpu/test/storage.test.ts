import { runInNewContext } from 'node:vm';
import { fromBuffer, hostArray, isSoftgradError, tensor } from '@softgrad/core';
import { beforeAll, describe, expect, test } from 'vitest';
import { type CpuBackend, cpu } from '../src/index.js';
import { createStorage, keptBytes, keptLength, scratch, singleScratch } from '../src/storage.js';

let backend: CpuBackend;
beforeAll(async () => {
  backend = await cpu.open();
});

test('the backend announces what conformance decides by', async () => {
  expect(cpu.name).toBe('cpu');
  await expect(cpu.unavailable()).resolves.toBeNull();
  expect(backend.name).toBe('cpu');
  expect(backend.supports).toEqual({
    dtypes: ['float32', 'float64'],
    inPlace: true,
    limits: { elements: 2 ** 31 - 1, classes: 2 ** 31 - 1 },
    device: 'JavaScript typed arrays, 1 thread',
    subnormals: 'preserve',
    nonFinite: 'ieee',
    expUlp: { base: 1, slope: 0 },
  });
});

test('opening needs no waiting', () => {
  const opened = cpu.openSync();
  expect([opened.name, opened.closed, opened === backend]).toEqual(['cpu', false, false]);
});

test('a backend is closed once it was, and no other', async () => {
  const other = await cpu.open();
  expect(other.closed).toBe(false);
  await other.close();
  expect([other.closed, backend.closed]).toEqual([true, false]);
});

test('memory that the host does not have is ERR_OUT_OF_MEMORY', () => {
  expect(() => backend.alloc(2 ** 52, 'float64')).toThrow(
    expect.toSatisfy((error: unknown) => isSoftgradError(error) && error.code === 'ERR_OUT_OF_MEMORY'),
  );
});

test('a view is the memory itself, a read is a copy', async () => {
  const buffer = backend.alloc(2, 'float32');
  backend.write(buffer, Float32Array.of(1, 2));
  const copy = await backend.read(buffer);
  backend.view(buffer)[0] = 5;
  expect([...backend.readSync(buffer)]).toEqual([5, 2]);
  expect([...copy]).toEqual([1, 2]);
});

describe('freed buffers', () => {
  const sizes = [
    { dtype: 'float32', size: 4 },
    { dtype: 'float64', size: 8 },
    { dtype: 'int32', size: 4 },
    { dtype: 'bool', size: 1 },
  ] as const;

  test('are used again for the same length and dtype, the last one first, each once', () => {
    const { alloc, free } = createStorage();
    const buffers = sizes.map(({ dtype }) => [alloc(100, dtype), alloc(100, dtype), alloc(101, dtype)] as const);
    for (const each of buffers) each.forEach(free);
    for (const [k, { dtype }] of sizes.entries()) {
      const [a, b, c] = buffers[k] ?? [];
      expect(alloc(100, dtype)).toBe(b);
      expect(alloc(100, dtype)).toBe(a);
      const made = alloc(100, dtype);
      expect([a, b, c].includes(made)).toBe(false);
      expect(made).toEqual(hostArray(100, dtype));
      expect(alloc(101, dtype)).toBe(c);
    }
  });

  test.each(sizes)('are kept from 65 bytes to the limit: $dtype', ({ dtype, size }) => {
    const { alloc, free } = createStorage();
    const isKept = (length: number) => {
      const buffer = alloc(length, dtype);
      free(buffer);
      return alloc(length, dtype) === buffer;
    };
    const lengths = [64 / size, 64 / size + 1, keptBytes / size, keptBytes / size + 1];
    expect(lengths.map(isKept)).toEqual([false, true, true, false]);
  });

  test('are all given up if another one would exceed the limit', () => {
    const { alloc, free } = createStorage();
    const half = keptBytes / 2;
    const first = alloc(half, 'bool');
    const second = alloc(half - 100, 'bool');
    free(first);
    free(second);
    // What is used again no longer counts.
    expect(alloc(half, 'bool')).toBe(first);
    const small = alloc(200, 'bool');
    free(small);
    free(first);
    expect(alloc(half, 'bool')).toBe(first);
    expect(alloc(200, 'bool') === small).toBe(false);
    expect(alloc(half - 100, 'bool') === second).toBe(false);
  });

  test('may have exactly the limit together', () => {
    const { alloc, free } = createStorage();
    const [first, second] = [alloc(keptBytes - 65, 'bool'), alloc(65, 'bool')];
    free(first);
    free(second);
    expect([alloc(65, 'bool') === second, alloc(keptBytes - 65, 'bool') === first]).toEqual([true, true]);
  });

  test('belong to one backend, until it is closed', async () => {
    const [first, second] = [cpu.openSync(), cpu.openSync()];
    const buffer = first.alloc(100, 'float64');
    first.free(buffer);
    expect(second.alloc(100, 'float64') === buffer).toBe(false);
    await first.close();
    expect(first.alloc(100, 'float64') === buffer).toBe(false);
  });
});

test.each([
  { source: scratch, Floats: Float64Array },
  { source: singleScratch, Floats: Float32Array },
])('scratch memory is kept, grows, and is not kept beyond its limit: $source.name', ({ source, Floats }) => {
  const take = source();
  const small = take(10);
  expect(small).toBeInstanceOf(Floats);
  expect(small.length).toBeGreaterThanOrEqual(10);
  expect(take(small.length)).toBe(small);
  const larger = take(small.length + 1);
  expect(larger.length).toBeGreaterThan(2 * small.length);
  expect(take(10)).toBe(larger);
  const huge = take(keptLength + 1);
  expect(huge.length).toBe(keptLength + 1);
  expect(take(10)).toBe(larger);
  const most = take(keptLength);
  expect(most.length).toBe(keptLength);
  expect(take(keptLength)).toBe(most);
  expect(source()(10)).not.toBe(most);
});

test('open takes no options: an unknown one is not ignored', async () => {
  const open: (options?: object) => Promise<unknown> = cpu.open;
  await expect(open({ threads: 2 })).rejects.toMatchObject({
    code: 'ERR_VALUE',
    message: "cpu: unknown option 'threads'; expected none",
  });
  for (const [value, shown] of [
    [null, 'null'],
    [2, '2'],
    ['threads=2', 'the text "threads=2"'],
  ]) {
    await expect(open(value as unknown as object)).rejects.toMatchObject({
      code: 'ERR_VALUE',
      message: `cpu: options are ${shown}; expected none`,
    });
  }
  for (const none of [undefined, {}]) await expect(open(none)).resolves.toMatchObject({ name: 'cpu' });
});

test('a part of an array is a buffer, whose memory belongs to the tensor, and to later ones once it is disposed', () => {
  const whole = new Float32Array(60).fill(7);
  const x = fromBuffer(backend, whole.subarray(20, 40), [20], 'float32');
  tensor(
    Float32Array.from({ length: 20 }, (_, k) => k),
    { out: x },
  );
  expect([...whole]).toEqual(Array.from(whole, (_, k) => (k >= 20 && k < 40 ? k - 20 : 7)));
  x.dispose();
  const later = tensor(new Float32Array(20).fill(9), { backend });
  const copy = fromBuffer(backend, backend.alloc(20, 'float32'), [20], 'float32');
  expect([later.view().buffer, copy.view().buffer]).toContain(whole.buffer);
});

test('fromBuffer takes an array of the caller without a copy, and refuses one that kernels do not take', () => {
  const mine = Float32Array.of(1, 2, 3, 4);
  expect(fromBuffer(backend, mine, [2, 2], 'float32').view()).toBe(mine);
  const refused: readonly (readonly [unknown, string, string])[] = [
    [mine, 'float64', 'fromBuffer: the buffer is 4 float32, expected 4 float64 for shape (4,)'],
    [mine.subarray(1), 'float32', 'fromBuffer: the buffer is 3 float32, expected 4 float32 for shape (4,)'],
    [Int32Array.of(1, 2, 3, 4), 'float32', 'fromBuffer: the buffer is 4 int32, expected 4 float32 for shape (4,)'],
    ...[
      new Uint16Array(4),
      new DataView(new ArrayBuffer(16)),
      [1, 2, 3, 4],
      runInNewContext('new Float32Array(4)'),
    ].map((buffer) => [buffer, 'float32', ', allocated by this cpu and not freed'] as const),
  ];
  for (const [buffer, dtype, message] of refused) {
    expect(() => fromBuffer(backend, buffer as never, [4], dtype as 'float32')).toThrow(message);
  }
});
