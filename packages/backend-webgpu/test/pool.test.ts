import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bufferPool, type Slot, sizeClass } from '../src/pool.js';
import { grid } from '../src/queue.js';

const largest = 2 ** 30;

test('a size class is at least what was asked for, at most a quarter more, a multiple of 64, and within the limit', () => {
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

test('a pool holds what was given back and not taken, never more than its bound, and destroys the rest once', () => {
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

test('a grid has all workgroups, no dimension above the limit, and less than one surplus row', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 31 }), (workgroups) => {
      const [x, y] = grid(workgroups, 65535);
      expect(x * y).toBeGreaterThanOrEqual(workgroups);
      expect(x * y - workgroups).toBeLessThan(y);
      expect(Math.max(x, y)).toBeLessThanOrEqual(65535);
    }),
  );
});
