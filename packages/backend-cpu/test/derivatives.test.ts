import { type Rows, softmax, tensor } from '@softgrad/core';
import { reference } from '@softgrad/core/conformance';
import { beforeAll, describe, expect, test } from 'vitest';
import { rowsPerBlock } from '../src/blocks.js';
import { type CpuBackend, cpu } from '../src/index.js';
import { shortRow } from '../src/kernels/jacobian.js';
import { leastSearched } from '../src/kernels/vjp/short.js';
import { blockElements } from '../src/kernels/vjp/single.js';
import type { FloatArray } from '../src/storage.js';
import { tileElements } from '../src/tiles.js';
import { largestError, randomFrom } from './accuracy.js';
import { computed, type DType, dtypes, expectWithin, floats } from './layouts.js';

/** Both sides of the thresholds of the derivatives and of log-softmax, and rows that one entry dominates, where differences would cancel. */

let backend: CpuBackend;
let kernels: CpuBackend['kernels'];
beforeAll(async () => {
  backend = await cpu.open();
  kernels = backend.kernels;
});

const plain = { temperature: 1, mask: null };

/** Rows of probabilities, one of them `top`, at another index in each row, and the rest spread over the others. */
function dominated({ outer, classes }: Rows, top: number, dtype: DType): FloatArray {
  const s = floats(outer * classes, dtype);
  for (let row = 0; row < outer; row++) {
    const own = (row * 5) % classes;
    const shares = Array.from({ length: classes }, (_, c) => (c === own ? 0 : 1 + (c % 3)));
    const total = shares.reduce((sum, share) => sum + share, 0);
    s.set(
      shares.map((share, c) => (c === own ? top : ((1 - top) * share) / total)),
      row * classes,
    );
  }
  return s;
}

/** What remains of s_i Σ_j s_j (g_i − g_j) where each difference is taken by itself. */
function remaining(s: FloatArray, g: FloatArray, rows: Rows): Float64Array {
  const out = new Float64Array(s.length);
  for (const at of reference.rowIndices(rows)) {
    for (const i of at) for (const j of at) out[i] += s[i] * s[j] * Math.abs(g[i] - g[j]);
  }
  return out;
}

/** The size of the terms of `s_i (g_i − o − Σ s (g − o))`, o the cotangent of a probability above ½ or 0. */
function centredSizes(s: Float64Array, g: Float64Array, { classes }: Rows, temperature: number): Float64Array {
  const sizes = new Float64Array(s.length);
  for (let start = 0; start < s.length; start += classes) {
    const row = s.subarray(start, start + classes);
    const top = row.findIndex((p) => p > 0.5);
    const moved = g.subarray(start, start + classes).map((v) => Math.abs(v - (top < 0 ? 0 : g[start + top])));
    const mean = row.reduce((sum, p, c) => sum + p * moved[c], 0);
    for (const [c, p] of row.entries()) sizes[start + c] = (p * (moved[c] + mean)) / temperature;
  }
  return sizes;
}

describe('in float64', () => {
  test.each([1, 0.01, 2.87, 1e-300, 1e300])(
    'the vjp at temperature %d is within two ULP of what is attainable, three where 1 / T rounds',
    (temperature) => {
      const random = randomFrom(11);
      const units = temperature === 1 ? 2 : 3;
      for (const classes of [4, 5, 7, 8, 17, 130]) {
        const rows = { outer: Math.ceil(500 / classes), classes, inner: 1 };
        for (const range of [1, 20, 80]) {
          const x = Float64Array.from({ length: rows.outer * classes }, () => 2 * range * (random() - 0.5));
          const s = reference.softmax(x, rows);
          const g = s.map(() => Math.round((2 * random() - 1) * 2 ** 20) / 2 ** 20);
          const made = (values: Float64Array) => tensor(values, { shape: [rows.outer, classes], backend });
          const out = softmax.vjp(made(s), made(g), { temperature }).dataSync() as Float64Array;
          const expected = reference.softmaxVjp(s, g, rows, { temperature });
          const label = `${classes} classes, ±${range}`;
          expectWithin(units, out, expected, 'float64', label, centredSizes(s, g, rows, temperature));
        }
      }
    },
  );

  test.each([1, 2.87, 0.7])(
    'the vjp of log-softmax at temperature %d is within two ULP of its terms',
    (temperature) => {
      const random = randomFrom(21);
      for (const classes of [2, 3, 5, 10]) {
        const rows = { outer: Math.ceil(12_000 / classes), classes, inner: 1 };
        const x = Float64Array.from(
          { length: rows.outer * classes },
          (_, i) => random() - (i % classes === 1 ? 0 : 3 * random()),
        );
        const y = reference.logSoftmax(x, rows);
        const g = y.map(() => 2 * random() - 1);
        const sizes = new Float64Array(y.length);
        for (const at of reference.rowIndices(rows)) {
          const total = at.reduce((sum, i) => sum + g[i], 0);
          for (const i of at) {
            const p = Math.exp(y[i]);
            const terms = p > 0.5 ? [(1 - p) * g[i], p * (total - g[i])] : [g[i], p * total];
            sizes[i] = Math.max(...terms.map(Math.abs)) / temperature;
          }
        }
        const out = computed(y.length, g, 'float64', (result, v) =>
          kernels.logSoftmaxVjp(result, y, v, rows, { temperature }),
        );
        const expected = reference.logSoftmaxVjp(y, g, rows, { temperature });
        expectWithin(2, out, expected, 'float64', `${classes} classes`, sizes);
      }
    },
  );

  test('float32 cotangents of a long row may have 2^20 in common', () => {
    const classes = 300_007;
    const s = new Float32Array(classes).fill(1 / classes);
    const g = s.map((_, k) => 2 ** 20 + (k % 2));
    const out = new Float32Array(classes);
    backend.vjp(out, s, g, { outer: 1, classes, inner: 1 }, plain);
    // Σ s is not 1.
    const expected = [0, 1].map((even) => s[0] * (even * (s[0] * classes) - s[0] * (classes >> 1)));
    const largest = Math.max(...expected.map((value, k) => Math.abs(out[k] - value)));
    expect(largest).toBeLessThan(s[0] * 2 ** -23);
    expect(out.every((value, k) => value === out[k % 2])).toBe(true);
  });

  test('the vjp of a long row of tiny probabilities is within two ULP', () => {
    const period = 4096;
    const repeats = 128;
    const random = randomFrom(5);
    const x = Float64Array.from({ length: period }, () => 16 * random());
    const rows = { outer: 1, classes: period, inner: 1 };
    const s = reference.softmax(x, rows);
    const g = s.map(() => Math.round((2 * random() - 1) * 2 ** 20) / 2 ** 20);
    const long = Float64Array.from({ length: period * repeats }, (_, k) => s[k % period] / repeats);
    const directions = Float64Array.from(long, (_, k) => g[k % period]);
    const out = computed(long.length, directions, 'float64', (result, v) =>
      backend.vjp(result, long, v, { ...rows, classes: long.length }, plain),
    );
    const expected = reference.softmaxVjp(s, g, rows);
    const sizes = centredSizes(s, g, rows, 1);
    for (const part of [0, 100, repeats - 1]) {
      const actual = out.slice(part * period, (part + 1) * period).map((value) => value * repeats);
      expectWithin(2, actual, expected, 'float64', `part ${part}`, sizes);
    }
  });

  test.each([1, 3])('Σ s is in the vjp of probabilities that do not sum to 1, at temperature %d', (temperature) => {
    // Σ s counts as 1 within 2^-40 of it.
    for (const scale of [1 + 2 ** -39, 1 - 2 ** -31, 1 + 2 ** -28, 1 - 2 ** -20, 1.5]) {
      for (const top of [0.1, 0.9]) {
        const rows = { outer: 1, classes: 11, inner: 1 };
        const s = Float64Array.from(dominated(rows, top, 'float64'), (p) => p * scale);
        const g = s.map((_, k) => Math.cos(k * k) + 2 ** 30);
        const out = computed(s.length, g, 'float64', (result, v) => backend.vjp(result, s, v, rows, { temperature }));
        const sizes = top > 0.5 ? centredSizes(s, g, rows, temperature) : s.map((p) => (p * 2 ** 31) / temperature);
        const expected = reference.softmaxVjp(s, g, rows, { temperature });
        expectWithin(8, out, expected, 'float64', `Σ s = ${scale}, largest ${top}`, sizes);
      }
    }
  });
});

test('the vjp in float32 is rounded once, however little a probability is short of 1', () => {
  const random = randomFrom(3);
  for (const classes of [5, 16, 40]) {
    const rows = { outer: 1200, classes, inner: 1 };
    const top = (row: number) => row % classes;
    const left = (row: number) => 2 ** -(4 + (row % 28));
    const s = new Float32Array(rows.outer * classes);
    // Cotangents on one side of that of the largest probability, so that nothing cancels.
    const g = s.map((_, k) => (k % classes === top(Math.floor(k / classes)) ? -1 - random() : random()));
    for (let row = 0; row < rows.outer; row++) {
      const weights = Array.from({ length: classes }, (_, c) => (c === top(row) ? 0 : random()));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      s.set(
        weights.map((weight, c) => (c === top(row) ? 1 - left(row) : (left(row) * weight) / total)),
        row * classes,
      );
    }
    const out = new Float32Array(s.length);
    backend.vjp(out, s, g, rows, plain);
    expect(largestError(out, reference.softmaxVjp(s, g, rows), 'float32'), `${classes}`).toBeLessThan(0.505);
  }
});

test('the Jacobian in float32 is within an ULP whatever Σ s is', () => {
  for (const classes of [3, 10, 17, 128]) {
    for (const scale of [1 - 2 ** -20, 1 + 2 ** -22]) {
      const rows = { outer: 1, classes, inner: 1 };
      const s = Float32Array.from(dominated(rows, 0.49, 'float32'), (p) => p * scale);
      const out = computed(classes ** 2, s, 'float32', (result, p) => backend.jacobian(result, p, rows, plain));
      expectWithin(1, out, reference.softmaxJacobian(s, rows), 'float32', `${classes} classes, Σ s = ${scale}`);
    }
  }
});

describe.each(dtypes)('in %s', (dtype) => {
  test('the diagonal of a long, nearly one-hot row is within two ULP', () => {
    const random = randomFrom(7);
    for (const classes of [17, 1000]) {
      const rows = { outer: 1, classes, inner: 1 };
      for (const left of [2 ** -2, 2 ** -20, 2 ** -50]) {
        const weights = Array.from({ length: classes }, (_, c) => (c === 5 ? 0 : random()));
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const s = floats(classes, dtype);
        s.set(weights.map((weight, c) => (c === 5 ? 1 - left : (left * weight) / total)));
        const out = computed(classes ** 2, s, dtype, (result, p) => backend.jacobian(result, p, rows, plain));
        const [actual, expected] = [out, reference.softmaxJacobian(s, rows)].map((m) =>
          m.slice(5 * classes + 5, 5 * classes + 6),
        );
        expectWithin(2, actual as FloatArray, expected ?? [], dtype, `${classes} classes, 1 − s = ${left}`);
      }
    }
  });

  test('the Jacobian is right on both sides of the length of short rows, wherever the largest probability is', () => {
    for (let classes = 2; classes < shortRow + 5; classes++) {
      const rows = { outer: 4, classes, inner: 1 };
      for (const top of [0.3, 0.5, 0.5 + 2 ** -20, 1 - 2 ** -20]) {
        const s = dominated(rows, top, dtype);
        const out = computed(s.length * classes, s, dtype, (result, p) => backend.jacobian(result, p, rows, plain));
        const expected = reference.softmaxJacobian(s, rows);
        // In long rows of float64, 1 − s_i stands for Σ s_j up to ½, which is right to the rounding of the probabilities.
        const units = dtype === 'float32' ? 1 : classes < shortRow ? 3 : 3 + classes / 2;
        expectWithin(units, out, expected, dtype, `${classes} classes, largest ${top}`);
      }
    }
  });

  test('the vjp is right on both sides of its blocks', () => {
    const lengths = [1, 2, 3, 4, 5, 6, 7, 8].map((length) => blockElements - 4 + length);
    for (const classes of [...lengths, 2 * blockElements, 2 * blockElements + 3]) {
      const rows = { outer: 2, classes, inner: 1 };
      for (const top of [0.01, 1 - 2 ** -22]) {
        const s = dominated(rows, top, dtype);
        const g = s.map((_, k) => Math.cos(k * k));
        const out = computed(s.length, g, dtype, (result, v) => backend.vjp(result, s, v, rows, plain));
        // Of the mean no more than its rounding is known.
        const sizes = top > 0.5 ? remaining(s, g, rows) : Float64Array.from(s, (p) => 2 * p);
        expectWithin(8, out, reference.softmaxVjp(s, g, rows), dtype, `${classes} classes, largest ${top}`, sizes);
      }
    }
  });

  test.each([0, 3, 2 ** 20])(
    'the vjp of cotangents near %d is right on both sides of where the largest probability has its cotangent taken off',
    (offset) => {
      for (const classes of [2, 3, 4, 7, leastSearched - 1, leastSearched, 40]) {
        for (const rows of [
          { outer: 3, classes, inner: 1 },
          { outer: 1, classes, inner: 3 },
        ]) {
          for (const top of [0.5 + 2 ** -18, 0.75, 15 / 16, 31 / 32, 1 - 2 ** -23]) {
            const contiguous = dominated({ outer: 3, classes, inner: 1 }, top, dtype);
            const s = contiguous.map(
              (_, k) => contiguous[rows.inner === 1 ? k : (k % 3) * classes + Math.floor(k / 3)],
            );
            const g = s.map((_, k) => Math.cos(k * k) + offset);
            const out = computed(s.length, g, dtype, (result, v) => backend.vjp(result, s, v, rows, plain));
            const expected = reference.softmaxVjp(s, g, rows);
            expectWithin(8, out, expected, dtype, `${classes} classes, largest ${top}`, remaining(s, g, rows));
          }
        }
      }
    },
  );

  test('the vjp keeps its digits where all but tiny probabilities have one cotangent', () => {
    for (const classes of [4, 7, leastSearched - 1, leastSearched, 19, 2 * blockElements + 3]) {
      for (const top of [0.5 + 2 ** -18, 2 / 3, 15 / 16, 1 - 2 ** -20]) {
        for (const tiny of [1e-3, 1e-6, 1e-9, 2 ** -90]) {
          for (let at = 0; at < classes; at += 3) {
            const s = floats(classes, dtype).fill(0);
            s[at] = top;
            s[(at + 2) % classes] = tiny;
            s[(at + 1) % classes] = Math.max(0, 1 - top - tiny);
            const g = s.map((p) => (p === s[(at + 2) % classes] ? -1 : 2));
            const rows = { outer: 1, classes, inner: 1 };
            const out = computed(classes, g, dtype, (result, v) => backend.vjp(result, s, v, rows, plain));
            const label = `${classes} classes, ${top} at ${at}, ${tiny}`;
            expectWithin(8, out, reference.softmaxVjp(s, g, rows), dtype, label, remaining(s, g, rows));
          }
        }
      }
    }
  });

  test('log-softmax and its derivatives do not cancel in a row that one entry dominates, whatever the gap', () => {
    for (const gap of [-0.1, 0, 1e-4, 0.5, 0.7, 1, 5, 17, 20, 40, 80]) {
      for (const inner of [1, 2]) {
        const rows = { outer: 1, classes: 3, inner };
        for (let top = 0; top < 3; top++) {
          const x = floats(3 * inner, dtype);
          for (let c = 0; c < 3; c++)
            for (let i = 0; i < inner; i++) x[c * inner + i] = c === top ? gap + 10 : 10 - c / 8;
          const y = computed(x.length, x, dtype, (out, logits) => kernels.logSoftmax(out, logits, rows, plain));
          const label = `gap ${gap} at ${top}`;
          expect(largestError(y, reference.logSoftmax(x, rows), dtype), label).toBeLessThanOrEqual(2);
          const g = x.map((_, k) => (Math.floor(k / inner) === top ? 1 : 0));
          const vjp = computed(x.length, g, dtype, (out, v) =>
            kernels.logSoftmaxVjp(out, y, v, rows, { temperature: 1 }),
          );
          expectWithin(4, vjp, reference.logSoftmaxVjp(y, g, rows), dtype, `vjp ${label}`);
          const jvp = computed(x.length, g, dtype, (out, v) =>
            kernels.logSoftmaxJvp(out, y, v, rows, { temperature: 1 }),
          );
          // What is left of the row is Σ p of the others, not 1 − p.
          const left = x.map((_, k) => {
            let sum = 0;
            for (let c = 0; c < 3; c++) if (c !== top) sum += Math.exp(y[c * inner + (k % inner)]);
            return Math.floor(k / inner) === top ? sum : sum - 1;
          });
          expectWithin(4, jvp, left, dtype, `jvp ${label}`);
          const jacobian = computed(3 * x.length, y, dtype, (out, v) =>
            kernels.logSoftmaxJacobian(out, v, rows, { temperature: 1 }),
          );
          expectWithin(4, jacobian, reference.logSoftmaxJacobian(y, rows), dtype, `Jacobian ${label}`);
        }
      }
    }
  });

  test('the vjp of log-softmax keeps the digits of small cotangents beside large ones that cancel', () => {
    const random = randomFrom(13);
    const sizes = dtype === 'float32' ? [1e2, 1e4] : [1e4, 1e9];
    for (const classes of [3, 4, 10, 17, 128, 129, 1000]) {
      const rows = { outer: 4, classes, inner: 1 };
      for (const size of sizes) {
        for (const top of [1 / classes, 0.45, 0.6, 1 - 2 ** -10]) {
          const y = dominated(rows, top, dtype).map((p) => Math.log(p));
          // Where the largest probability is, at the end, and small ones.
          const large = (k: number, own: number) => (k === own ? size : k === (own + 1) % classes ? -size : 0);
          const g = y.map((_, k) => random() - 0.5 + large(k % classes, (Math.floor(k / classes) * 5) % classes));
          const out = computed(g.length, g, dtype, (result, v) =>
            kernels.logSoftmaxVjp(result, y, v, rows, { temperature: 1 }),
          );
          const terms = y.map((log, k) => {
            const start = k - (k % classes);
            let total = 0;
            for (let c = 0; c < classes; c++) total += g[start + c];
            const p = Math.exp(log);
            return p > 0.5
              ? Math.abs(g[k] * Math.expm1(log)) + Math.abs(p * (total - g[k]))
              : Math.abs(g[k]) + Math.abs(p * total);
          });
          const expected = reference.logSoftmaxVjp(y, g, rows);
          expectWithin(
            4,
            out,
            expected,
            dtype,
            `${classes} classes, largest ${top}, ±${size}`,
            Float64Array.from(terms),
          );
        }
      }
    }
  });

  test('an infinite cotangent gives what the formula gives, although sums are compensated', () => {
    const signs = (values: ArrayLike<number>) => Array.from(values, Math.sign);
    for (const classes of [3, 9, 129]) {
      const rows = { outer: 1, classes, inner: 1 };
      for (const top of [1 / classes, 0.6]) {
        const s = dominated(rows, top, dtype);
        const y = s.map((p) => Math.log(p));
        const t = s.map((_, k) => (k % 3) - 1);
        for (const place of [0, 1, classes - 1]) {
          for (const infinite of [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
            const label = `${classes} classes, largest ${top}, ${infinite} at ${place}`;
            const g = s.map((_, k) => (k === place ? infinite : k % 4));
            const result = (kernel: (out: FloatArray, v: FloatArray) => void) => {
              const out = computed(classes, g, dtype, kernel);
              expect(out.some(Number.isFinite), label).toBe(false);
              return signs(out);
            };
            const logVjp = result((out, v) => kernels.logSoftmaxVjp(out, y, v, rows, { temperature: 1 }));
            expect(logVjp, label).toEqual(signs(reference.logSoftmaxVjp(y, g, rows)));
            const logHvp = result((out, v) => kernels.logSoftmaxHvp(out, y, v, t, rows, { temperature: 1 }));
            expect(logHvp, label).toEqual(signs(reference.logSoftmaxHvp(y, g, t, rows)));
            const vjp = result((out, v) => backend.vjp(out, s, v, rows, { temperature: 1 }));
            const ofFormula = Array.from(s, (_, k) => (k === place ? Number.NaN : Math.sign(-infinite)));
            if (dtype === 'float64' && classes > 3) expect(vjp, label).toEqual(ofFormula);
          }
        }
      }
    }
  });

  test('log-softmax is right in every block and tile, beside rows that need a shift too', () => {
    const random = randomFrom(3);
    for (const classes of [4, 5, 700]) {
      const count = dtype === 'float32' ? rowsPerBlock(classes) : Math.max(1, Math.floor(tileElements / classes));
      for (const outer of [count, count + 1, 2 * count + 1]) {
        const rows = { outer, classes, inner: 1 };
        const x = floats(outer * classes, dtype).map(() => 30 * (random() - 0.5));
        if (outer > count) x[count * classes + 1] = 1e5;
        const out = computed(x.length, x, dtype, (result, logits) => kernels.logSoftmax(result, logits, rows, plain));
        expect(largestError(out, reference.logSoftmax(x, rows), dtype), `${outer} × ${classes}`).toBeLessThanOrEqual(2);
      }
    }
  });

  test('a mask repeats over the tiles of contiguous rows', () => {
    const classes = 64;
    const perTile = Math.floor(tileElements / classes);
    for (const blocks of [1, 2, perTile - 1, perTile, perTile + 1]) {
      const rows = { outer: 2 * blocks < perTile ? 4 * blocks : 2 * blocks, classes, inner: 1 };
      const x = floats(rows.outer * classes, dtype).map((_, k) => (k % 11) - 5);
      const buffer = Uint8Array.from({ length: blocks * classes }, (_, k) => Number((k * k) % 7 > 2));
      const y = floats(x.length, dtype);
      kernels.logSoftmax(y, x, rows, { temperature: 1, mask: { buffer, outer: blocks } });
      const s = floats(x.length, dtype);
      backend.softmax(s, x, rows, { temperature: 1, mask: { buffer, outer: blocks } });
      const kept = (_: number, k: number) => buffer[k % buffer.length] !== 0;
      const label = `${blocks} blocks`;
      expect(
        y.every((value, k) => kept(value, k) === Number.isFinite(value)),
        label,
      ).toBe(true);
      expect(
        s.every((value, k) => kept(value, k) === value > 0),
        label,
      ).toBe(true);
      expect(
        y.every((value, k) => Math.abs(Math.exp(value) - s[k]) < 1e-6),
        label,
      ).toBe(true);
    }
  });
});
