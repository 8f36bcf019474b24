import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bufferPool, type Slot, sizeClass } from '../src/pool.js';
import { grid } from '../src/queue.js';

const largest = 2 ** 30;

test('a size class is at least the requested size, at most a quarter more, a multiple of 64, and within the limit', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: largest }), (bytes) => {
      const size = sizeClass(bytes, largest);
      expect(size).toBeGreaterThanOrEqual(bytes);
      expect(size).toBeLessThanOrEqual(Math.max(256, Math.min(largest, 1.25 * bytes)));
      expect(size % 64).toBe(0);
      expect(sizeClass(size, largest)).toBe(size);
    }),
  );
});

test('a pool holds the returned buffers, never more than its bound, and retires the rest once', () => {
  const command = fc.record({ take: fc.boolean(), bytes: fc.integer({ min: 1, max: 5000 }) });
  fc.assert(
    fc.property(fc.array(command, { maxLength: 200 }), (commands) => {
      const retired: unknown[] = [];
      const pool = bufferPool(
        10_000,
        largest,
        (size) => ({ size }) as unknown as GPUBuffer,
        (slot) => retired.push(slot),
      );
      const taken: Slot[] = [];
      for (const { take, bytes } of commands) {
        if (take) taken.push(pool.take(bytes));
        else {
          const slot = taken.shift();
          if (slot) pool.give(slot);
        }
        expect(pool.held.bytes).toBeLessThanOrEqual(10_000);
        expect(new Set(taken).size).toBe(taken.length);
      }
      pool.destroy();
      expect(pool.held).toEqual({ buffers: 0, bytes: 0 });
      expect(new Set(retired).size).toBe(retired.length);
      for (const slot of taken) expect(retired).not.toContain(slot);
    }),
  );
});

test('a grid covers all workgroups, with no dimension above the limit and less than one surplus row', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 31 }), (workgroups) => {
      const [x, y] = grid(workgroups, 65535);
      expect(x * y).toBeGreaterThanOrEqual(workgroups);
      expect(x * y - workgroups).toBeLessThan(y);
      expect(Math.max(x, y)).toBeLessThanOrEqual(65535);
    }),
  );
});

test('size classes are multiples of a quarter of a power of 2, clamped to the limit', () => {
  const sizes = [0, 1, 256, 257, 320, 321, 384, 512, 513, 641, 1024, 1025, 1281];
  expect(sizes.map((bytes) => sizeClass(bytes, largest))).toEqual([
    256, 256, 256, 320, 320, 384, 384, 512, 640, 768, 1024, 1280, 1536,
  ]);
  expect([1000, 1100, 1200].map((bytes) => sizeClass(bytes, 1100))).toEqual([1024, 1100, 1200]);
});

/** A pool with a bound, and the sizes of the buffers that it created and retired. */
function watched(boundBytes: number, usable?: (gpu: GPUBuffer) => boolean) {
  const made: number[] = [];
  const retired: Slot[] = [];
  const pool = bufferPool(
    boundBytes,
    largest,
    (size) => {
      made.push(size);
      return { size } as GPUBuffer;
    },
    (slot) => retired.push(slot),
    usable,
  );
  return { pool, made, retired };
}

test('returned buffers are reused for their size class only, the last one first', () => {
  const { pool, made, retired } = watched(10_000);
  const [a, b] = [pool.take(300), pool.take(310)];
  expect([a.byteLength, b.byteLength]).toEqual([320, 320]);
  expect(a.id).not.toBe(b.id);
  pool.give(a);
  pool.give(b);
  expect(pool.held).toEqual({ buffers: 2, bytes: 640 });
  expect(pool.take(400).byteLength).toBe(448);
  expect(pool.take(320)).toBe(b);
  expect(pool.take(257)).toBe(a);
  expect(pool.held).toEqual({ buffers: 0, bytes: 0 });
  expect(made).toEqual([320, 320, 448]);
  expect(retired).toEqual([]);
});

test('beyond the bound the least recently used class shrinks first, by no more than necessary', () => {
  const { pool, retired } = watched(1000);
  const [a, b, c] = [256, 512, 256].map((bytes) => pool.take(bytes));
  for (const slot of [a, b]) pool.give(slot);
  expect(retired).toEqual([]);
  // 1024 bytes: the class of 256 is older, but has just been used again.
  pool.give(c);
  expect(retired).toEqual([b]);
  expect(pool.held).toEqual({ buffers: 2, bytes: 512 });
  pool.destroy();
  expect(new Set(retired)).toEqual(new Set([a, b, c]));

  const exact = watched(512);
  for (const slot of [256, 256, 256].map((bytes) => exact.pool.take(bytes))) exact.pool.give(slot);
  expect(exact.pool.held).toEqual({ buffers: 2, bytes: 512 });
});

test('a buffer whose allocation failed is retired, whether this is known when it is returned or when it is taken', () => {
  const none = new Set<GPUBuffer>();
  const { pool, retired } = watched(10_000, (gpu) => !none.has(gpu));
  const [a, b] = [pool.take(256), pool.take(256)];
  pool.give(b);
  none.add(a.gpu);
  pool.give(a);
  expect(retired).toEqual([a]);
  expect(pool.held).toEqual({ buffers: 1, bytes: 256 });
  none.add(b.gpu);
  const next = pool.take(256);
  expect([a, b]).not.toContain(next);
  expect(retired).toEqual([a, b]);
  expect(pool.held).toEqual({ buffers: 0, bytes: 0 });
});
