import type { BinaryOp, Extent, Operand } from '@softgrad/core';
import { beforeAll, expect, test } from 'vitest';
import { transposeBlock } from '../src/basis.js';
import { type CpuBackend, type CpuBuffer, cpu } from '../src/index.js';
import { randomFrom } from './accuracy.js';
import { dtypes, guarded } from './layouts.js';

let basis: CpuBackend['basis'];
beforeAll(async () => {
  basis = (await cpu.open()).basis;
});

const plus = Number.POSITIVE_INFINITY;
const minus = Number.NEGATIVE_INFINITY;

/** Every extent that broadcasts to `extent`: 1 in any of the dimensions. */
function broadcastsTo([outer, classes, inner]: Extent): Extent[] {
  return [outer, 1].flatMap((o) => [classes, 1].flatMap((c) => [inner, 1].map((i): Extent => [o, c, i])));
}

function at([outer, classes, inner]: Extent, o: number, c: number, i: number): number {
  return ((outer === 1 ? 0 : o) * classes + (classes === 1 ? 0 : c)) * inner + (inner === 1 ? 0 : i);
}

function forEach([outer, classes, inner]: Extent, visit: (k: number, o: number, c: number, i: number) => void): void {
  let k = 0;
  for (let o = 0; o < outer; o++) for (let c = 0; c < classes; c++) for (let i = 0; i < inner; i++) visit(k++, o, c, i);
}

function size([outer, classes, inner]: Extent): number {
  return outer * classes * inner;
}

const whole: Extent = [2, 3, 4];

test('every binary operation is elementwise', () => {
  const results: Record<BinaryOp, number> = { add: 8, sub: 4, mul: 12, div: 3, max: 6, min: 2 };
  for (const [op, result] of Object.entries(results) as [BinaryOp, number][]) {
    const out = new Float64Array(1);
    basis.binary(out, op, 6, { buffer: Float64Array.of(2), extent: [1, 1, 1] }, [1, 1, 1]);
    expect(out[0], op).toBe(result);
    basis.binary(out, op, 2, Number.NaN, [1, 1, 1]);
    expect(out[0], op).toBeNaN();
  }
});

test('operands are broadcast in each dimension, and may be numbers', () => {
  for (const extentA of broadcastsTo(whole)) {
    for (const extentB of broadcastsTo(whole)) {
      const operand = (extent: Extent, factor: number): { buffer: CpuBuffer; extent: Extent } => ({
        buffer: Float64Array.from({ length: extent[0] * extent[1] * extent[2] }, (_, k) => factor * (k + 1)),
        extent,
      });
      const [a, b] = [operand(extentA, 1), operand(extentB, 100)];
      const condition = { buffer: Float64Array.from(b.buffer, (_, k) => [0, 1, -1][k % 3]), extent: extentB };
      const results = [0, 1, 2].map(() => guarded(24, 'float64'));
      const [sum, selected, chosen] = results.map((result) => result.values);
      basis.binary(sum, 'add', a, b, whole);
      basis.select(selected, condition, a, -7, whole);
      basis.select(chosen, a, 5, b, whole);
      forEach(whole, (k, o, c, i) => {
        const [valueA, valueB] = [a.buffer[at(extentA, o, c, i)], b.buffer[at(extentB, o, c, i)]];
        const truth = condition.buffer[at(extentB, o, c, i)] > 0;
        const right = sum[k] === valueA + valueB && selected[k] === (truth ? valueA : -7) && chosen[k] === 5;
        if (!right) expect.fail(`${[sum[k], selected[k], chosen[k]]} at ${[o, c, i]} of ${extentA} and ${extentB}`);
      });
      basis.select(chosen, 0 as Operand<CpuBuffer>, 5, b, whole);
      basis.binary(sum, 'add', 0, b, whole);
      expect(chosen).toEqual(sum);
      expect(results.every((result) => result.intact())).toBe(true);
    }
  }
});

test.each(dtypes)(
  'a mask selects between many elements of %s and a number, whatever its bytes other than 0 are',
  (dtype) => {
    const random = randomFrom(7);
    const extents = [515, 516, 517].flatMap((length): Extent[] => [
      [2, 3, length],
      [2, length, 1],
    ]);
    for (const extent of extents) {
      for (const maskExtent of broadcastsTo(extent)) {
        const bytes = [0, 0, 1, 2, 127, 128, 255];
        const mask = Uint8Array.from({ length: size(maskExtent) }, () => bytes[Math.floor(7 * random())]);
        for (const extentA of broadcastsTo(extent)) {
          const a = guarded(size(extentA), dtype);
          a.values.forEach((_, k) => {
            a.values[k] = random() < 0.1 ? [Number.NaN, plus, -0][k % 3] : random();
          });
          const values = a.values.slice();
          const out = guarded(size(extent), dtype);
          for (const b of [0, -0, -1.5, minus, Number.NaN]) {
            // The last one is written into the operand, where it is as long.
            const to = Number.isNaN(b) && size(extentA) === size(extent) ? a : out;
            basis.select(
              to.values,
              { buffer: mask, extent: maskExtent },
              { buffer: a.values, extent: extentA },
              b,
              extent,
            );
            forEach(extent, (k, o, c, i) => {
              const expected = mask[at(maskExtent, o, c, i)] > 0 ? values[at(extentA, o, c, i)] : b;
              if (!Object.is(to.values[k], expected)) expect.fail(`${to.values[k]} at ${k}, expected ${expected}`);
            });
            expect(to.intact()).toBe(true);
          }
        }
      }
    }
  },
);

test.each(dtypes)('neg changes the sign of %s, that of 0 too', (dtype) => {
  const x = guarded(Float64Array.of(0, 2, -3), dtype);
  basis.unary(x.values, 'neg', x.values, 3);
  expect([...x.values]).toEqual([-0, -2, 3]);
  expect(x.intact()).toBe(true);
});

test('a reduction is over the middle dimension', () => {
  const rows = { outer: 2, classes: 3, inner: 2 };
  const x = Float64Array.of(1, 20, 5, 40, 3, 30, -1, -20, -5, -40, -3, -30);
  const out = guarded(4, 'float64');
  basis.reduce(out.values, 'sum', x, rows);
  expect([...out.values]).toEqual([9, 90, -9, -90]);
  basis.reduce(out.values, 'max', x, rows);
  expect([...out.values]).toEqual([5, 40, -1, -20]);
  expect(out.intact()).toBe(true);
});

test('a sum is compensated whichever of two terms is the larger, and Infinity where it overflows or a term is', () => {
  const sumOf = (...terms: number[]) => {
    const out = new Float64Array(1);
    basis.reduce(out, 'sum', Float64Array.from(terms), { outer: 1, classes: terms.length, inner: 1 });
    return out[0];
  };
  expect(sumOf(1, 1e100, 1, -1e100)).toBe(2);
  expect(sumOf(1e100, 1, -1e100)).toBe(1);
  expect(sumOf(1, -1e100, 1e100)).toBe(1);
  expect(sumOf(0.1, 0.2, -0.3)).toBe(2 ** -55);
  expect(sumOf(1e308, 1e308)).toBe(plus);
  expect(sumOf(-1e308, -1e308, 1)).toBe(minus);
  expect(sumOf(plus, 1)).toBe(plus);
  expect(sumOf(plus, minus)).toBeNaN();
  expect(sumOf()).toBe(0);
});

test('a maximum is NaN where a term is, and −Infinity of none', () => {
  const maxOf = (...terms: number[]) => {
    const out = new Float64Array(1);
    basis.reduce(out, 'max', Float64Array.from(terms), { outer: 1, classes: terms.length, inner: 1 });
    return out[0];
  };
  expect([maxOf(), maxOf(minus), maxOf(-3, -2), maxOf(1, Number.NaN, 2)]).toEqual([minus, minus, -2, Number.NaN]);
});

test('a transposition exchanges the last two dimensions, on both sides of its blocks', () => {
  for (const inner of [1, transposeBlock - 1, transposeBlock, transposeBlock + 1, 2 * transposeBlock + 1]) {
    const rows = { outer: 2, classes: 3, inner };
    const x = Float32Array.from({ length: 6 * inner }, (_, k) => k);
    const out = guarded(x.length, 'float32');
    basis.transpose(out.values, x, rows);
    const expected = new Float32Array(x.length);
    forEach([2, inner, 3], (k, o, i, c) => {
      expected[k] = (o * 3 + c) * inner + i;
    });
    expect(out.values).toEqual(expected);
    expect(out.intact()).toBe(true);
  }
});
