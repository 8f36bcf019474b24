import { crossEntropy, logSoftmax, type Rows, softmax, tensor } from '@softgrad/core';
import { plainCrossEntropy, reference, referenceCrossEntropy } from '@softgrad/core/conformance';
import { expect, test } from 'vitest';
import { testFarTemperatures } from '../../backend-tfjs/test/far-temperatures.js';
import { cpu } from '../src/index.js';
import type { FloatArray } from '../src/storage.js';
import { randomFrom, ulp } from './accuracy.js';
import { type DType, dtypes, floats } from './layouts.js';

/**
 * Temperatures from one end of the range to the other. Multiplying logits and T by the same power of 2 changes no probability, and divides
 * derivatives by it, so that one reference serves for all. Logits and cotangents have few digits, which remain where they are subnormal.
 */

const backend = cpu.openSync();
const { kernels } = backend;

const base = 1.45;

/** Most of them near the ends of float64's range, where 1 / T, its rounding error or parts of a product may not be in the range. */
function exponents(least: number, most: number): number[] {
  const all = Array.from({ length: most - least + 1 }, (_, k) => least + k);
  return all.filter((exponent) => exponent % (Math.abs(exponent) < 880 ? 55 : 5) === 0);
}

/** Rows from even to nearly one-hot; from three classes on, one probability of each row is 0. */
function problem(classes: number, dtype: DType) {
  const random = randomFrom(classes);
  const rows: Rows = { outer: 3, classes, inner: 1 };
  const few = (size: number) => Math.round((2 * random() - 1) * size * 2 ** 10) / 2 ** 10;
  const length = rows.outer * classes;
  const z = Float64Array.from({ length }, (_, k) => few(1) + (k % classes === 0 ? Math.floor(k / classes) * 12 : 0));
  if (classes > 2) for (let row = 0; row < rows.outer; row++) z[row * classes + 1 + (row % (classes - 1))] = -Infinity;
  const target = Int32Array.from({ length: rows.outer }, (_, row) => (row === 1 ? classes - 1 : 0));
  const s = floats(length, dtype);
  s.set(reference.softmax(z, rows, { temperature: base }));
  const y = floats(length, dtype);
  y.set(reference.logSoftmax(z, rows, { temperature: base }));
  return {
    rows,
    z,
    target,
    s,
    y,
    g: z.map(() => few(4)),
    t: z.map(() => few(4)),
    perRow: Float64Array.from(target, () => few(4)),
  };
}

/** Expects each value within `units` ULP of its own size or, with `ofRow`, of that of the largest of its row. What overflows is an infinity. */
function expectNear(
  actual: FloatArray,
  exact: Float64Array,
  dtype: DType,
  units: number,
  label: string,
  ofRow = 0,
): void {
  const expected = floats(exact.length, dtype);
  expected.set(exact);
  const largest = dtype === 'float32' ? 3.4e38 : 1.7e308;
  for (const [k, value] of expected.entries()) {
    let size = Math.abs(value);
    const start = k - (k % ofRow);
    if (ofRow) for (let c = start; c < start + ofRow; c++) size = Math.max(size, Math.abs(expected[c]));
    const isNear = actual[k] === value || Math.abs(actual[k] - value) <= units * ulp(Math.min(size, largest), dtype);
    if (!isNear) expect.fail(`${label}: ${actual[k]} at ${k}, expected ${value}`);
  }
}

/** A power of 2 that may be beyond the range, in two factors. */
const times = (values: ArrayLike<number>, exponent: number) =>
  Float64Array.from(
    values,
    (value) => value * 2 ** Math.trunc(exponent / 2) * 2 ** (exponent - Math.trunc(exponent / 2)),
  );

test.each(dtypes)('derivatives in %s are right at every temperature', (dtype) => {
  // Its products with 1 / T are the largest that a float32 can have.
  const raised = dtype === 'float32' ? 100 : 0;
  const most = dtype === 'float32' ? 120 : 900;
  for (const classes of [2, 3, 5, 17]) {
    const { rows, s, y, g, t } = problem(classes, dtype);
    const at = { temperature: base };
    const first = {
      vjp: reference.softmaxVjp(s, g, rows, at),
      jacobian: reference.softmaxJacobian(s, rows, at),
      logVjp: reference.logSoftmaxVjp(y, g, rows, at),
      logJvp: reference.logSoftmaxJvp(y, g, rows, at),
      logJacobian: reference.logSoftmaxJacobian(y, rows, at),
      hvp: reference.softmaxHvp(s, g, t, rows, at),
      logHvp: reference.logSoftmaxHvp(y, g, t, rows, at),
    };
    const out = floats(g.length, dtype);
    const matrices = floats(first.jacobian.length, dtype);
    const v = floats(g.length, dtype);
    v.set(times(g, raised));
    for (const exponent of exponents(-1020, 1015)) {
      const sign = exponent % 2 === 0 ? 1 : -1;
      const temperature = sign * base * 2 ** exponent;
      const label = `${classes} classes, T = ${temperature}`;
      const expected = (values: Float64Array, power: number) => times(values, power).map((value) => sign * value);
      backend.vjp(out, s, v, rows, { temperature });
      expectNear(out, expected(first.vjp, raised - exponent), dtype, 16, `vjp ${label}`, classes);
      kernels.logSoftmaxVjp(out, y, v, rows, { temperature });
      expectNear(out, expected(first.logVjp, raised - exponent), dtype, 16, `logSoftmax.vjp ${label}`, classes);
      kernels.logSoftmaxJvp(out, y, v, rows, { temperature });
      expectNear(out, expected(first.logJvp, raised - exponent), dtype, 16, `logSoftmax.jvp ${label}`, classes);
      backend.jacobian(matrices, s, rows, { temperature });
      expectNear(matrices, expected(first.jacobian, -exponent), dtype, 2, `jacobian ${label}`);
      kernels.logSoftmaxJacobian(matrices, y, rows, { temperature });
      expectNear(matrices, expected(first.logJacobian, -exponent), dtype, 2, `logSoftmax.jacobian ${label}`);
      // Divided by T²: the cotangent takes up one T where it can.
      const power = Math.max(-most, Math.min(most, exponent));
      const scaled = floats(g.length, dtype);
      scaled.set(times(g, power));
      kernels.softmaxHvp(out, s, scaled, t, rows, { temperature });
      expectNear(out, times(first.hvp, power - 2 * exponent), dtype, 64, `hvp ${label}`, classes);
      kernels.logSoftmaxHvp(out, y, scaled, t, rows, { temperature });
      expectNear(out, times(first.logHvp, power - 2 * exponent), dtype, 64, `logSoftmax.hvp ${label}`, classes);
    }
  }
});

test.each(dtypes)('functions of the logits in %s are right at every temperature', (dtype) => {
  const [least, most] = dtype === 'float32' ? [-120, 120] : [-1020, 1015];
  for (const classes of [2, 3, 5, 17]) {
    const { rows, z, target, t, perRow } = problem(classes, dtype);
    const at = { temperature: base };
    const reduction = 'none' as const;
    const shares = floats(z.length, dtype).map((_, k) => (z[k] === Number.NEGATIVE_INFINITY ? 0 : (k % 4) / 4));
    const first = {
      softmax: reference.softmax(z, rows, at),
      logSoftmax: reference.logSoftmax(z, rows, at),
      logSumExp: reference.logSumExp(z, rows, at),
      hvp: reference.logSumExpHvp(z, perRow, t, rows, at),
      indices: referenceCrossEntropy(z, { kind: 'indices', values: target }, rows, { ...at, reduction }),
      probabilities: referenceCrossEntropy(z, { kind: 'probabilities', values: [...shares] }, rows, {
        ...at,
        reduction,
      }),
    };
    const [x, out, sums] = [floats(z.length, dtype), floats(z.length, dtype), floats(rows.outer, dtype)];
    for (const exponent of exponents(least, most)) {
      const sign = exponent % 2 === 0 ? 1 : -1;
      x.set(times(z, exponent).map((value) => sign * value));
      const temperature = sign * base * 2 ** exponent;
      const label = `${classes} classes, T = ${temperature}`;
      const parameters = { temperature, mask: null };
      backend.softmax(out, x, rows, parameters);
      expectNear(out, first.softmax, dtype, 1, `softmax ${label}`);
      kernels.logSoftmax(out, x, rows, parameters);
      expectNear(out, first.logSoftmax, dtype, 2, `logSoftmax ${label}`);
      kernels.logSumExp(sums, x, rows, parameters);
      expectNear(sums, first.logSumExp, dtype, 2, `logSumExp ${label}`);
      for (const [kind, buffer] of [
        ['indices', target],
        ['probabilities', shares],
      ] as const) {
        const settings = { ...plainCrossEntropy, ...parameters };
        kernels.crossEntropy({ loss: sums, gradient: out }, x, rows, { ...settings, target: { kind, buffer } });
        expectNear(sums, first[kind].loss, dtype, 2, `loss of ${kind}, ${label}`);
        const gradient = times(first[kind].gradient, -exponent).map((value) => sign * value);
        expectNear(out, gradient, dtype, 16, `gradient of ${kind}, ${label}`, classes);
      }
    }
  }
});

test('gradients of cross-entropy in float64 are within 2 ULP at the ends of the range of temperatures and weights too', () => {
  const random = randomFrom(3);
  const rows = { outer: 150, classes: 5, inner: 1 };
  const z = Float64Array.from({ length: 750 }, () => Math.round((8 * random() - 4) * 2 ** 20) / 2 ** 20);
  const target = { kind: 'indices', buffer: Int32Array.from({ length: 150 }, () => Math.floor(random() * 5)) } as const;
  const weights = [0, 0.3, 1, 1.7, 1.9];
  const { gradient: expected } = referenceCrossEntropy(z, { kind: 'indices', values: target.buffer }, rows, {
    temperature: 1.3,
    weight: weights,
    reduction: 'none',
  });
  for (const [temperature, weight] of [
    [430, 0],
    [-890, 0],
    [890, 0],
    [-600, 420],
    [0, 998],
    [0, 1022],
    [800, 1020],
    [1010, 500],
    [0, -960],
    [-960, -990],
    [-1022, -1022],
  ]) {
    const [x, gradient] = [times(z, temperature), z.slice()];
    const parameters = { temperature: 1.3 * 2 ** temperature, mask: null, weight: times(weights, weight) };
    const settings = { ...plainCrossEntropy, ...parameters, target };
    kernels.crossEntropy({ loss: null, gradient }, x, rows, settings);
    const label = `T = 1.3 · 2^${temperature}, weights · 2^${weight}`;
    const units = Math.max(Math.abs(temperature), Math.abs(weight - temperature)) < 900 ? 2 : 4;
    expectNear(gradient, times(expected, weight - temperature), 'float64', units, label);
  }
});

test('logarithms and losses in float64 have the same bits for logits and a temperature times any power of 2', () => {
  const random = randomFrom(8);
  const rows = { outer: 200, classes: 5, inner: 1 };
  const z = Float64Array.from({ length: 1000 }, () => 2 ** (10 * random()) * (2 * random() - 1));
  const indices = { kind: 'indices', buffer: Int32Array.from({ length: 200 }, (_, row) => row % 5) } as const;
  const shares = { kind: 'probabilities', buffer: z.map(Math.abs) } as const;
  const computed = (exponent: number) => {
    const [x, parameters] = [times(z, exponent), { temperature: 1.3 * 2 ** exponent, mask: null }];
    const settings = { ...plainCrossEntropy, ...parameters };
    const [y, sums, ...losses] = [z.slice(), ...[0, 1, 2].map(() => new Float64Array(rows.outer))];
    kernels.logSoftmax(y, x, rows, parameters);
    kernels.logSumExp(sums, x, rows, parameters);
    for (const [k, target] of [indices, shares].entries())
      kernels.crossEntropy({ loss: losses[k], gradient: null }, x, rows, { ...settings, target });
    return [y, sums, ...losses];
  };
  const expected = computed(0);
  for (const exponent of [-900, -410, 410, 1000]) expect(computed(exponent), `2^${exponent}`).toEqual(expected);
});

test.each(
  [
    [-1073, 0],
    [-1000, 0],
    [-1070, -1070],
    [-1000, -1000],
    [-450, -450],
    [-10, -10],
    [-520, 500],
    [0, 0],
    [1000, 1000],
    [1023, 0],
  ].flatMap(([size, exponent]) => [1, 5].map((kept) => [kept, size, exponent])),
)(
  'of %d float64 logits of 2^%d at T = 1.3 · 2^%d, entries beside them that are −Infinity, masked or too far below change no bit',
  (kept, size, exponent) => {
    const random = randomFrom(9);
    const [outer, all] = [40, 8];
    const few = Float64Array.from({ length: outer * kept }, () => 2 * random() - 1);
    const x = times(few, size);
    // Every row has other places for the entries that are kept.
    const isKept = (place: number) => (place + 3 * Math.floor(place / all)) % all < kept;
    const places = [...new Array(outer * all).keys()].filter(isKept);
    const among = (values: Float64Array, others: number) => {
      const result = new Float64Array(outer * all).fill(others);
      for (const [k, place] of places.entries()) result[place] = values[k];
      return result;
    };
    const chosen = Array.from({ length: outer }, (_, row) => places[row * kept + (row % kept)] % all);
    const computed = (
      logits: Float64Array,
      mask: Uint8Array | null,
      shares: Float64Array,
      indices: readonly number[],
    ) => {
      const rows = { outer, classes: logits.length / outer, inner: 1 };
      const parameters = { temperature: 1.3 * 2 ** exponent, mask: mask && { buffer: mask, outer } };
      const settings = { ...parameters, weight: null, labelSmoothing: 0, ignoreIndex: -100, scale: 1 };
      const [y, ofIndices, ofShares] = [logits.slice(), logits.slice(), logits.slice()];
      const [sums, losses, expected] = [0, 1, 2].map(() => new Float64Array(outer));
      const s = logits.slice();
      backend.softmax(s, logits, rows, parameters);
      kernels.logSoftmax(y, logits, rows, parameters);
      // Over an inner dimension, too.
      const across = <A extends Float64Array | Uint8Array>(values: A) =>
        values.map((_, k) => values[(k % outer) * rows.classes + Math.floor(k / outer)]) as A;
      const columns = logits.slice();
      const keep = mask && { buffer: across(mask), outer: 1 };
      kernels.logSoftmax(columns, across(logits), { ...rows, outer: 1, inner: outer }, { ...parameters, mask: keep });
      expect(columns).toEqual(across(y));
      kernels.logSumExp(sums, logits, rows, parameters);
      const target = { kind: 'indices', buffer: Int32Array.from(indices) } as const;
      kernels.crossEntropy({ loss: losses, gradient: ofIndices }, logits, rows, { ...settings, target });
      const probabilities = { kind: 'probabilities', buffer: shares } as const;
      kernels.crossEntropy({ loss: expected, gradient: ofShares }, logits, rows, {
        ...settings,
        target: probabilities,
      });
      return { s, others: { y, ofIndices, ofShares, sums, losses, expected } };
    };
    const shares = few.map(Math.abs);
    const alone = computed(
      x,
      null,
      shares,
      Array.from(chosen, (_, row) => row % kept),
    );
    // Divided by such a T, the last one's difference overflows.
    const far = size === exponent && exponent < 0 ? [-Number.MAX_VALUE] : [];
    for (const other of [Number.NEGATIVE_INFINITY, Number.NaN, ...far]) {
      const logits = among(x, other);
      // Of those that are far below, one in each row is masked.
      const isMasked = (place: number) =>
        !places.includes(place) && (Number.isNaN(other) || (place % all === 0 && Number.isFinite(other)));
      for (const place of logits.keys()) if (isMasked(place)) logits[place] = Number.NaN;
      const mask = logits.some(Number.isNaN) ? Uint8Array.from(logits, (_, place) => (isMasked(place) ? 0 : 1)) : null;
      const beside = computed(logits, mask, among(shares, 0), chosen);
      const left = (values: Float64Array) => Float64Array.from(places, (place) => values[place]);
      const { y, ofIndices, ofShares } = beside.others;
      const results = { y: left(y), ofIndices: left(ofIndices), ofShares: left(ofShares) };
      expect({ ...beside.others, ...results }).toEqual(alone.others);
      // The terms of a sum are added up in another order.
      expectNear(left(beside.s), alone.s, 'float64', 1, 'softmax');
    }
  },
);

test('float64 logits whose differences overflow have results as accurate as others at temperatures as large', () => {
  const random = randomFrom(6);
  for (const classes of [2, 3, 5, 17]) {
    const rows = { outer: 40, classes, inner: 1 };
    // Several times 2^1021 each way: the difference of two is up to 2^1025, and that of their quotients up to 700.
    const z = Float64Array.from({ length: rows.outer * classes }, (_, k) =>
      k % classes === 0 ? 7.9 : 15.9 * random() - 8,
    );
    const at = { temperature: 1.45 * 2 ** -6 };
    for (const sign of [1, -1]) {
      const x = times(z, 1021).map((value) => sign * value);
      const parameters = { temperature: sign * 1.45 * 2 ** 1015, mask: null };
      const [out, sums] = [z.slice(), new Float64Array(rows.outer)];
      const label = `${classes} classes, sign ${sign}`;
      backend.softmax(out, x, rows, parameters);
      expectNear(out, reference.softmax(z, rows, at), 'float64', 1, `softmax ${label}`);
      kernels.logSoftmax(out, x, rows, parameters);
      expectNear(out, reference.logSoftmax(z, rows, at), 'float64', 2, `logSoftmax ${label}`);
      kernels.logSumExp(sums, x, rows, parameters);
      expectNear(sums, reference.logSumExp(z, rows, at), 'float64', 2, `logSumExp ${label}`);
    }
  }
});

test('gradients of cross-entropy in float64 keep subnormal probabilities at tiny temperatures', () => {
  const rows = { outer: 1, classes: 2, inner: 1 };
  for (const gap of [700, 715, 740]) {
    for (const exponent of [-300, -500]) {
      const temperature = 2 ** exponent;
      const [x, gradient] = [Float64Array.of(0, -gap * temperature), new Float64Array(2)];
      const target = { kind: 'indices', buffer: Int32Array.of(0) } as const;
      kernels.crossEntropy({ loss: null, gradient }, x, rows, { ...plainCrossEntropy, temperature, target });
      expect(Math.abs(gradient[1] * temperature - Math.exp(-gap))).toBeLessThanOrEqual(
        Math.max(2 ** -1074, Math.exp(-gap) * 2 ** -51),
      );
    }
  }
});

test.each(dtypes)('a derivative of 0 in %s is 0 at a temperature whose inverse overflows', (dtype) => {
  const temperature = Number.MIN_VALUE;
  for (const classes of [2, 3, 5, 17]) {
    const ofRow = (first: number, others: number) =>
      tensor([Array.from({ length: classes }, (_, c) => (c === 0 ? first : others))], { dtype, backend });
    const [s, y, x, g] = [ofRow(1, 0), ofRow(0, Number.NEGATIVE_INFINITY), ofRow(1, -1), ofRow(3, 5)];
    const options = { temperature };
    const results = {
      vjp: softmax.vjp(s, g, options),
      jacobian: softmax.jacobian(s, options),
      hvp: softmax.hvp(s, g, g, options),
      logHvp: logSoftmax.hvp(y, g, g, options),
      ofIndices: crossEntropy.gradient(x, [0], options),
      ofProbabilities: crossEntropy.gradient(x, s, options),
    };
    for (const [name, result] of Object.entries(results)) {
      const found = Array.from(result.dataSync(), Math.abs);
      expect(found, `${name}, ${classes} classes`).toEqual(found.map(() => 0));
    }
  }
});

test('kernels leave first derivatives in float64 to core where 1 / T overflows', () => {
  const rows = { outer: 1, classes: 2, inner: 1 };
  const parameters = { temperature: 2 ** -1024, mask: null };
  for (const dtype of dtypes) {
    const [out, s, g] = [floats(2, dtype), floats(2, dtype).fill(0.5), floats(2, dtype).fill(1)];
    const expected = dtype === 'float64' ? false : undefined;
    const settings = { ...plainCrossEntropy, ...parameters, target: { kind: 'probabilities', buffer: s } } as const;
    expect(
      [
        backend.vjp(out, s, g, rows, parameters),
        backend.jacobian(floats(4, dtype), s, rows, parameters),
        kernels.logSoftmaxVjp(out, s, g, rows, parameters),
        kernels.logSoftmaxJvp(out, s, g, rows, parameters),
        kernels.crossEntropy({ loss: null, gradient: out }, s, rows, settings),
      ],
      dtype,
    ).toEqual(new Array(5).fill(expected));
    const second = [
      kernels.softmaxHvp(out, s, g, g, rows, parameters),
      kernels.logSoftmaxHvp(out, s, g, g, rows, parameters),
      kernels.logSumExpHvp(out, s, g, g, rows, parameters),
    ];
    expect(second, dtype).toEqual([undefined, undefined, undefined]);
  }
});

testFarTemperatures('cpu', () => cpu.open(), {
  float32: { softmax: 0.72, logSoftmax: 0.72, logSumExp: 0.63, loss: 0.72, gradient: 2, hvp: 0.8 },
  float64: { softmax: 1, logSoftmax: 1, logSumExp: 1, loss: 1, gradient: 3, hvp: 5 },
});
