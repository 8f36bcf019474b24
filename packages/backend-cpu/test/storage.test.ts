import { isSoftgradError } from '@softgrad/core';
import { beforeAll, expect, test } from 'vitest';
import { type CpuBackend, cpu } from '../src/index.js';
import { keptLength, scratch, singleScratch } from '../src/storage.js';

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
  for (const none of [undefined, {}]) await expect(open(none)).resolves.toMatchObject({ name: 'cpu' });
});
