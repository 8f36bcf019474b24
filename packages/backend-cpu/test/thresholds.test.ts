import { plain } from '@softgrad/core/conformance';
import { beforeAll, describe, expect, test } from 'vitest';
import { blockElements, rowsPerBlock } from '../src/blocks.js';
import { doubleLimit } from '../src/exp-double.js';
import { singleLimit } from '../src/exp-single.js';
import { type CpuBackend, cpu } from '../src/index.js';
import * as double from '../src/kernels/softmax-double.js';
import { leastExponent, vanishing } from '../src/kernels/softmax-double-hard.js';
import * as single from '../src/kernels/softmax-single.js';
import * as splits from '../src/splits.js';
import type { FloatArray } from '../src/storage.js';
import { leastColumns, mostElements, tileElements } from '../src/tiles.js';
import { expectShares, repeating, type Tolerance } from './few-values.js';
import { type DType, dtypes, floats, guarded } from './layouts.js';

/** Both sides of every threshold at which softmax takes another way: lengths of rows, blocks, parts and tiles, and sizes of logits. */

let backend: CpuBackend;
beforeAll(async () => {
  backend = await cpu.open();
});

const values = [0.3, -1.2, 2.1, 0.7, -3];
const minus = Number.NEGATIVE_INFINITY;
const { shortRow, longRow, perBlock } = {
  shortRow: { float32: single.shortRow, float64: double.shortRow },
  longRow: { float32: single.longRow, float64: double.longRow },
  perBlock: {
    float32: rowsPerBlock,
    float64: (classes: number) => Math.floor(double.blockElements / classes),
  },
};

/** Softmax of contiguous rows, between guard values and in place. */
function softmaxRows(logits: readonly number[][], dtype: DType): FloatArray {
  const classes = logits[0].length;
  const rows = { outer: logits.length, classes, inner: 1 };
  const x = floats(classes * logits.length, dtype);
  logits.forEach((row, r) => {
    x.set(row, r * classes);
  });
  const [apart, inPlace] = [guarded(x.length, dtype), guarded(x, dtype)];
  backend.softmax(apart.values, x, rows, plain);
  backend.softmax(inPlace.values, inPlace.values, rows, plain);
  expect(apart.intact() && inPlace.intact()).toBe(true);
  expect(Buffer.compare(bytes(apart.values), bytes(inPlace.values))).toBe(0);
  return apart.values;
}

/** Compared at once, since an assertion on each of many elements takes longer than computing them. */
function bytes(values: FloatArray): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function expectRows(logits: readonly number[][], dtype: DType, label: string, tolerance: Tolerance = {}): void {
  const out = softmaxRows(logits, dtype);
  const classes = logits[0].length;
  logits.forEach((row, r) => {
    const result = out.subarray(r * classes, (r + 1) * classes);
    if (row.some(Number.isNaN)) expect(result.every(Number.isNaN), label).toBe(true);
    else
      expectShares(result, dtype === 'float32' ? Float32Array.from(row) : row, dtype, `${label}, row ${r}`, tolerance);
  });
}

function rowsOf(outer: number, classes: number): number[][] {
  return Array.from({ length: outer }, (_, row) => repeating(classes, values, row));
}

describe.each(dtypes)('softmax in %s is right on both sides of', (dtype) => {
  test('the length up to which the rows of a block are taken together, and every remainder of a loop over four', () => {
    for (let classes = 1; classes <= shortRow[dtype] + 4; classes++)
      expectRows(rowsOf(3, classes), dtype, `3 × ${classes}`);
  });

  test('a block of short rows, and a row that needs a shift changes nothing but itself', () => {
    for (const classes of [3, 4, 5, shortRow[dtype] - 2, shortRow[dtype] - 1]) {
      const count = perBlock[dtype](classes);
      for (const outer of [count - 1, count, count + 1, 2 * count + 1]) {
        const logits = rowsOf(outer, classes);
        expectRows(logits, dtype, `${outer} × ${classes}`);
        logits[outer - 1][0] = minus;
        logits[outer - 1][1] = 2000;
        logits[outer - 2][1] = Number.NaN;
        expectRows(logits, dtype, `${outer} × ${classes}, shifted`);
      }
    }
  });

  test('a block of exponentials, and one of sums', () => {
    for (const length of [blockElements, splits.blockElements]) {
      for (const classes of [length - 1, length, length + 1, 2 * length + 1]) {
        expectRows(rowsOf(2, classes), dtype, `2 × ${classes}`);
      }
    }
  });

  test('the length from which exponentials are taken twice, in rows that need a shift too', () => {
    expectRows(rowsOf(1, longRow[dtype]), dtype, 'as long');
    const logits = rowsOf(3, longRow[dtype] + 5);
    expectRows(logits.slice(1), dtype, 'longer');
    logits[0][longRow[dtype] + 1] = 1e4;
    logits[1][0] = minus;
    expectRows(logits, dtype, 'longer, and some need a shift');
  });
});

describe.each(dtypes)('softmax in %s over an inner dimension is right on both sides of', (dtype) => {
  test.each<readonly [string, number, number]>([
    ['a tile', Math.floor(tileElements / 64), 64],
    ['the least columns of a tile', leastColumns, Math.ceil(tileElements / (leastColumns - 1))],
    // Not in float64 as well: how rows come together does not depend on their dtype.
    ...(dtype === 'float32' ? ([['one row a tile', 1, mostElements / leastColumns + 1]] as const) : []),
  ])('%s', (_, columns, classes) => {
    for (const inner of columns === 1 ? [2] : [columns - 1, columns, columns + 1, 2 * columns + 1]) {
      const rows = { outer: columns === 1 ? 1 : 2, classes, inner };
      const x = floats(rows.outer * classes * inner, dtype);
      const count = rows.outer * inner;
      const first = (row: number) => Math.floor(row / inner) * classes * inner + (row % inner);
      for (let row = 0; row < count; row++) {
        for (let k = 0; k < classes; k++) x[first(row) + k * inner] = values[(k + row) % values.length];
      }
      const out = guarded(x, dtype);
      backend.softmax(out.values, out.values, rows, plain);
      expect(out.intact()).toBe(true);
      const [logits, result] = [floats(classes, dtype), floats(classes, dtype)];
      for (let row = 0; row < count; row++) {
        for (let k = 0; k < classes; k++) {
          logits[k] = x[first(row) + k * inner];
          result[k] = out.values[first(row) + k * inner];
        }
        expectShares(result, logits, dtype, `column ${row} of ${inner}, ${classes} classes`);
      }
    }
  });
});

describe.each([
  { dtype: 'float32' as const, limit: singleLimit },
  { dtype: 'float64' as const, limit: doubleLimit },
])('softmax in $dtype is right on both sides of the largest logits that go without a shift', ({ dtype, limit }) => {
  test('four times the same, and each in turn, whatever the sign', () => {
    const half = limit / 2;
    for (const sign of [1, -1]) {
      for (const size of [half - 2 ** -10, half, half + 2 ** -10]) {
        expectRows([repeating(5, [sign * size, sign * size - 1])], dtype, `±${size}`);
        expectRows([repeating(64, [sign * size, sign * size - 1, sign * size - 0.5])], dtype, `±${size}`);
      }
      for (const size of [limit - 0.01, limit, limit + 0.01, 1.3 * limit]) {
        for (let k = 0; k < 7; k++) {
          // The others are as small as makes the row's sum depend on each.
          const logits = repeating(7, [0.5]);
          logits[k] = sign * size;
          expectRows([logits], dtype, `${sign * size} at ${k}`);
          const alike = repeating(7, [minus]);
          alike[k] = sign * size;
          alike[(k + 3) % 7] = sign * size - 1;
          expectRows([alike], dtype, `${sign * size} and −Infinity at ${k}`);
        }
      }
    }
  });

  test('divided by the temperature, with a mask and without', () => {
    for (const temperature of [0.25, -2]) {
      for (const size of [-60, -limit + 0.01, -limit, -limit - 0.01, limit - 0.01, limit, limit + 0.01, 1.3 * limit]) {
        const logits = [size, size - 1, size - 0.5, -1e9].map((x) => x * temperature);
        const x = dtype === 'float32' ? Float32Array.from(logits) : Float64Array.from(logits);
        const rows = { outer: 1, classes: 4, inner: 1 };
        const out = guarded(4, dtype);
        backend.softmax(out.values, x, rows, { temperature, mask: null });
        expectShares(out.values, x, dtype, `${size}, T = ${temperature}`, { temperature });
        const hidden = x.slice();
        hidden[3] = Number.NaN;
        backend.softmax(out.values, hidden, rows, {
          temperature,
          mask: { buffer: Uint8Array.of(1, 1, 1, 0), outer: 1 },
        });
        hidden[3] = temperature > 0 ? minus : -minus;
        expectShares(out.values, hidden, dtype, `${size}, T = ${temperature}, masked`, { temperature });
        expect(out.intact()).toBe(true);
      }
    }
  });
});

test('float32 rows whose largest logit is about as small as leaves out the others are right', () => {
  const least = Math.log(single.leastTotal);
  for (const top of [-2 * singleLimit, -singleLimit - 3, -singleLimit, -100, least - 0.01, least, least + 0.01, 0]) {
    for (const gap of [1, 60, 100, 110]) {
      for (const extra of [[], [-1e9], [minus]]) {
        const logits = [top, top - gap, top - gap / 2, ...extra];
        expectRows([logits], 'float32', `${logits}`);
        expectRows(
          [[...repeating(single.shortRow, [top - gap, top - 2]), ...logits]],
          'float32',
          `${logits} and others`,
        );
      }
    }
  }
});

test('float64 probabilities are right down to the last subnormal, and those beyond are 0', () => {
  for (const top of [0, 3, 3 - doubleLimit, 1 - doubleLimit, -1 - doubleLimit]) {
    for (const far of [leastExponent, leastExponent / 2, vanishing, -540, -700, -708.5, -720, -740, -744]) {
      for (const step of [-0.75, 0, 0.75]) {
        const logits = [top, top + far + step, top - 2];
        expectRows([logits], 'float64', `${logits}`);
        expectRows([[...logits, minus]], 'float64', `${logits} and −Infinity`);
        // Where a logit is smaller than what vanishes, by itself and not beside the largest.
        expectRows([[far + step, far + step - 1, -1e9]], 'float64', `${far + step} beside −1e9`);
      }
    }
  }
});
