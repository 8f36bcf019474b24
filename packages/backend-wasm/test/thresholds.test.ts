import type { Backend, FloatDType, Rows } from '@softgrad/core';
import { plain, plainCrossEntropy, reference, tolerance } from '@softgrad/core/conformance';
import { describe, expect, inject, test } from 'vitest';
import { type WasmBuffer, wasm } from '../src/index.js';
import { defined } from './defines.js';
import { compute, random, softmaxRow, ulp } from './ulp.js';

const backend = await wasm.open({ relaxedSimd: false });

type Host = Float32Array | Float64Array;

const hostOf = (dtype: FloatDType, values: readonly number[]): Host =>
  dtype === 'float64' ? Float64Array.from(values) : Float32Array.from(values);

/** A threshold with its neighbours, and multiples of it from 0.8 to 2, of which `npm run test:all` has the neighbours too. */
function around(value: number): readonly number[] {
  const multiples = [0.8, 1, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.5, 1.87, 2].map((by) => Math.round(by * value));
  const some = inject('everything') ? multiples : [value];
  return [...new Set([...some.flatMap((multiple) => [multiple - 1, multiple, multiple + 1]), ...multiples])];
}

/** The names of the results of softmax, logSoftmax, logSumExp and crossEntropy that are further off than allowed. */
function faults(x: Host, rows: Rows, temperature = 1): readonly string[] {
  const dtype: FloatDType = x instanceof Float64Array ? 'float64' : 'float32';
  const precision = tolerance.operationPrecision(backend.supports, dtype);
  const { kernels } = backend;
  const options = { temperature };
  const parameters = { temperature, mask: null };
  const found: string[] = [];
  const compare = (
    name: string,
    actual: ArrayLike<number>,
    expected: ArrayLike<number>,
    bound: (i: number) => number,
  ) => {
    const i = Array.from(expected, (_, at) => at).find(
      (at) => !Object.is(actual[at] + 0, expected[at] + 0) && !(Math.abs(actual[at] - expected[at]) <= bound(at)),
    );
    if (i !== undefined) found.push(`${name}, T = ${temperature}: ${actual[i]} at ${i}, expected ${expected[i]}`);
  };
  const p = reference.softmax(x, rows, options);
  const steps = dtype === 'float32' ? 3 : 2;
  const least = dtype === 'float32' ? 1e-30 : 1e-290;
  const probability = (i: number) => steps * ulp(Math.max(p[i], p[i] < least ? ulp(least, dtype) : 0), dtype);
  const s = compute(backend, [x], (out, input) => backend.softmax(out, input, rows, parameters));
  compare('softmax', s, p, probability);
  const logs = reference.logSoftmax(x, rows, options);
  const logBounds = tolerance.logSoftmaxTolerance(precision, x, logs, rows, options);
  const y = compute(backend, [x], (out, input) => kernels?.logSoftmax?.(out, input, rows, parameters));
  compare('logSoftmax', y, logs, (i) => logBounds[i]);
  const sums = reference.logSumExp(x, rows, options);
  const sumBounds = tolerance.logSumExpTolerance(precision, x, sums, rows, options);
  const l = compute(backend, [x], (out, input) => kernels?.logSumExp?.(out, input, rows, parameters));
  compare('logSumExp', l, sums, (i) => sumBounds[i]);
  const [gradient, loss] = crossEntropy(backend, x, rows, temperature);
  for (let row = 0; row < rows.outer; row++) {
    const at = row * rows.classes + targetOf(row, rows);
    compare('loss', [loss[row]], [-logs[at]], () => logBounds[at]);
    const own = Array.from(gradient).slice(row * rows.classes, (row + 1) * rows.classes);
    const first = row * rows.classes;
    const wanted = own.map((_, c) => (p[first + c] - (first + c === at ? 1 : 0)) / temperature);
    compare('gradient', own, wanted, (c) => {
      const bound = first + c === at ? 4 * precision.unit : probability(first + c);
      return (bound + 3 * precision.unit * p[first + c]) / Math.abs(temperature);
    });
  }
  return found;
}

/** The largest error of probabilities, in ULP; below the normal numbers, in ULP of the smallest normal number. */
function softmaxErrors(s: ArrayLike<number>, x: Host, { outer, classes }: Rows, dtype: FloatDType): number {
  const errors = Array.from({ length: outer }, (_, row) =>
    Array.from(
      softmaxRow(x, (c) => row * classes + c, classes),
      (p, c) => Math.abs(s[row * classes + c] - p) / ulp(p, dtype),
    ),
  );
  return Math.max(...errors.flat().map((error) => (error >= 0 ? error : Number.POSITIVE_INFINITY)));
}

const targetOf = (row: number, { classes }: Rows) => (row * 3 + 1) % classes;

function crossEntropy(on: Backend<WasmBuffer>, x: Host, rows: Rows, temperature: number): readonly ArrayLike<number>[] {
  const target = on.alloc(rows.outer, 'int32');
  const loss = on.alloc(rows.outer, x instanceof Float64Array ? 'float64' : 'float32');
  on.write(
    target,
    Int32Array.from({ length: rows.outer }, (_, row) => targetOf(row, rows)),
  );
  const gradient = compute(on, [x], (out, input) =>
    on.kernels?.crossEntropy?.({ loss, gradient: out }, input, rows, {
      ...plainCrossEntropy,
      temperature,
      target: { kind: 'indices', buffer: target },
    }),
  );
  const losses = on.readSync?.(loss) ?? [];
  for (const buffer of [target, loss]) on.free(buffer);
  return [gradient, losses];
}

describe.each(['float32', 'float64'] as const)('%s', (dtype) => {
  test('a block in which one logit is below the others by about NEAR loses no probability', () => {
    for (const gap of around(defined('NEAR', dtype))) {
      for (const classes of [2, 3, 5, 17]) {
        const x = hostOf(dtype, new Array(4 * classes).fill(20));
        x[classes + 1] -= gap;
        expect({ gap, classes, faults: faults(x, { outer: 4, classes, inner: 1 }) }).toEqual({
          gap,
          classes,
          faults: [],
        });
      }
    }
  });

  test('the largest and the smallest logit of a block are found at every place', () => {
    const near = defined('NEAR', dtype);
    for (const classes of [5, 17]) {
      const rows = { outer: 4, classes, inner: 1 };
      for (let at = 0; at < 4 * classes; at++) {
        // A logit above the others by nearly NEAR, whose exponential would overflow relative to them, and one below them by more than NEAR.
        for (const gap of [0.9 * near, -1.12 * near]) {
          const x = hostOf(dtype, new Array(4 * classes).fill(0));
          x[at] = Math.round(gap);
          const s = compute(backend, [x], (out, input) => backend.softmax(out, input, rows, plain));
          const errors = softmaxErrors(s, x, rows, dtype);
          expect({ classes, at, gap, within: errors <= 3 }).toEqual({ classes, at, gap, within: true });
        }
      }
    }
  });

  test('rows of logits of about ±REDUCIBLE · T are as accurate as others, at any temperature', () => {
    const next = random(7);
    for (const size of around(defined('REDUCIBLE', dtype))) {
      for (const temperature of inject('everything') ? [1, 2.87, 0.37, -2.87, 1000] : [1, -2.87, 1000]) {
        for (const [outer, classes] of [
          [5, 5],
          [1, 33],
        ]) {
          const x = hostOf(
            dtype,
            Array.from(
              { length: outer * classes },
              () => size * temperature * (next() < 0.05 ? -1 : 1) + next() * temperature,
            ),
          );
          const wrong = faults(x, { outer, classes, inner: 1 }, temperature);
          expect({ size, temperature, classes, wrong }).toEqual({ size, temperature, classes, wrong: [] });
        }
      }
    }
  });

  test('x/T far above REDUCIBLE is as accurate as others at temperatures around 1 / REDUCIBLE and below', () => {
    const next = random(2);
    const rows = { outer: 5, classes: 7, inner: 1 };
    for (const temperature of [0.01, -0.03, 1e-12]) {
      for (const times of [3, 8, 30, 60]) {
        const top = times * defined('REDUCIBLE', dtype);
        const x = hostOf(
          dtype,
          Array.from({ length: rows.outer * rows.classes }, () => temperature * (top + next() * 6)),
        );
        const wrong = faults(x, rows, temperature);
        expect({ temperature, times, wrong }).toEqual({ temperature, times, wrong: [] });
      }
    }
  });

  test('a probability of exactly ½ is not taken for one above ½, which would be looked for in the rows that follow', () => {
    for (const classes of [5, 16, 40, 5000]) {
      const rows = { outer: 3, classes, inner: 1 };
      const s = hostOf(dtype, new Array(3 * classes).fill(0));
      const g = s.map((_, i) => i % 13);
      for (const row of [0, 2]) {
        s.fill(0.25, (row + 1) * classes - 3, (row + 1) * classes - 1);
        s[(row + 1) * classes - 1] = 0.5;
      }
      s[classes] = 1;
      g[classes] = 2 ** 90;
      const dx = compute(backend, [s, g], (out, a, b) => backend.vjp(out, a, b, rows, plain));
      for (const row of [0, 2]) {
        const at = Array.from({ length: classes }, (_, c) => row * classes + c);
        const dot = at.reduce((sum, i) => sum + s[i] * g[i], 0);
        expect(at.map((i) => dx[i] + 0)).toEqual(at.map((i) => s[i] * (g[i] - dot) + 0));
      }
    }
  });

  test('a long row whose first vectors are below all others by about WINDOW or more is as accurate as others', () => {
    // The row has only two different probabilities, which a closed form gives.
    const first = 4 * defined('W', dtype);
    const window = defined('WINDOW', dtype);
    const above = [1.1, 1.2, 1.3, 1.38, 1.5].map((by) => Math.round(by * window));
    for (const classes of inject('everything') ? [128_256, 3_000_000] : [128_256]) {
      const x = hostOf(dtype, new Array(classes).fill(0));
      for (const gap of classes > 200_000 ? [window, ...above] : [...around(window), ...above]) {
        x.fill(gap, first);
        const s = compute(backend, [x], (out, input) =>
          backend.softmax(out, input, { outer: 1, classes, inner: 1 }, plain),
        );
        const rest = 1 / (classes - first + first * Math.exp(-gap));
        const small = rest * Math.exp(-gap);
        const errors = [Math.abs(s[classes - 1] - rest) / ulp(rest, dtype), Math.abs(s[0] - small) / ulp(small, dtype)];
        const few = dtype === 'float32' ? 3 : 4;
        expect({ classes, gap, within: errors.map((error) => error <= few) }).toEqual({
          classes,
          gap,
          within: [true, true],
        });
      }
    }
  });

  test('exp is right on both sides of 0, of RAISED and of the overflow threshold', () => {
    const points = [
      0,
      defined('RAISED', dtype) * Math.LN2,
      defined('GREATEST', dtype),
      dtype === 'float32' ? 88.72 : 709.78,
    ];
    const x = hostOf(
      dtype,
      points.flatMap((point) =>
        [-point, point].flatMap((at) => [-3, -1, -0.25, -1e-9, 0, 1e-9, 0.25, 1, 3].map((d) => at + d)),
      ),
    );
    const y = compute(backend, [x], (out, input) => backend.basis?.unary(out, 'exp', input, x.length));
    const greatest = dtype === 'float32' ? 2 ** 128 : Number.POSITIVE_INFINITY;
    for (let i = 0; i < x.length; i++) {
      const expected = Math.exp(x[i]) >= greatest ? Number.POSITIVE_INFINITY : Math.exp(x[i]);
      const isRight = y[i] === expected || Math.abs(y[i] - expected) <= 1.5 * ulp(expected, dtype);
      expect({ x: x[i], isRight }).toEqual({ x: x[i], isRight: true });
    }
  });

  test("the diagonal of log-softmax's Jacobian is 1 − exp(y) within 2 ULP, for y from −40 to 0", () => {
    const ys = Array.from({ length: 400 }, (_, i) => -(2 ** (-60 + i / 6.3))).filter((y) => y > -40);
    for (const y of [...ys, ...[-0.349, -0.35, -0.351, -0.36, -0.3, 0]]) {
      for (const temperature of [1, -2.5]) {
        const log = hostOf(dtype, [y, -1]);
        const out = backend.alloc(4, dtype);
        const input = backend.alloc(2, dtype);
        backend.write(input, log);
        backend.kernels?.logSoftmaxJacobian?.(out, input, { outer: 1, classes: 2, inner: 1 }, { temperature });
        const [diagonal, beside] = backend.readSync?.(out) ?? [];
        const expected = -Math.expm1(log[0]) / temperature;
        const off = -Math.exp(-1) / temperature;
        expect({ y, error: Math.abs(diagonal - expected) <= 2 * ulp(expected, dtype) }).toEqual({ y, error: true });
        expect(Math.abs(beside - off)).toBeLessThanOrEqual(2 * ulp(off, dtype));
        for (const buffer of [out, input]) backend.free(buffer);
      }
    }
  });
});
