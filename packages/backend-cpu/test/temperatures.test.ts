import {
  type CrossEntropyTarget,
  crossEntropy,
  fromBuffer,
  logSoftmax,
  logSumExp,
  type MaskInput,
  type Rows,
  type Softmax,
  softmax,
  softmin,
  type Tensor,
  tensor,
} from '@softgrad/core';
import { plainCrossEntropy, reference, referenceCrossEntropy } from '@softgrad/core/conformance';
import { expect, test } from 'vitest';
import { testFarTemperatures } from '../../backend-tfjs/test/far-temperatures.js';
import { cpu } from '../src/index.js';
import type { FloatArray } from '../src/storage.js';
import { randomFrom, ulp } from './accuracy.js';
import { type DType, dtypes, floats } from './layouts.js';

/**
 * Temperatures from one end of the range to the other, by the kernels up to 2^±64 and composed beyond. Multiplying logits and T by the same power of 2
 * changes no probability, and divides derivatives by it, so that one reference serves for all. Logits and cotangents have few digits, which remain where
 * they are subnormal.
 */

const backend = cpu.openSync();
const { kernels } = backend;

/** Numbers as a tensor, without a copy. */
function matrix(values: FloatArray, classes: number): Tensor {
  return fromBuffer(
    backend,
    values,
    [values.length / classes, classes],
    values instanceof Float32Array ? 'float32' : 'float64',
  );
}

const floatsOf = (x: Tensor) => x.dataSync() as FloatArray;

/** softmax and softmin in turn: softmin is softmax at the negative temperature. */
function signed(exponent: number): { readonly sign: 1 | -1; readonly of: Softmax } {
  return exponent % 2 === 0 ? { sign: 1, of: softmax } : { sign: -1, of: softmin };
}

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

const floatsLike = (values: ArrayLike<number>, dtype: DType) => {
  const result = floats(values.length, dtype);
  result.set(values);
  return result;
};

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
    const v = floats(g.length, dtype);
    v.set(times(g, raised));
    const [S, Y, V, T] = [s, y, v, floatsLike(t, dtype)].map((values) => matrix(values, classes));
    for (const exponent of exponents(-1020, 1015)) {
      const { sign, of } = signed(exponent);
      const temperature = base * 2 ** exponent;
      const options = { temperature };
      const label = `${classes} classes, T = ${sign * temperature}`;
      const near = (name: string, actual: Tensor, exact: Float64Array, units: number, ofRow = classes) =>
        expectNear(floatsOf(actual), exact, dtype, units, `${name} ${label}`, ofRow);
      const ofSign = (values: Float64Array, power: number) => times(values, power).map((value) => sign * value);
      near('vjp', of.vjp(S, V, options), ofSign(first.vjp, raised - exponent), 16);
      near('logSoftmax.vjp', logSoftmax.vjp(Y, V, options), times(first.logVjp, raised - exponent), 16);
      near('logSoftmax.jvp', logSoftmax.jvp(Y, V, options), times(first.logJvp, raised - exponent), 16);
      near('jacobian', of.jacobian(S, options), ofSign(first.jacobian, -exponent), 2, 0);
      near('logSoftmax.jacobian', logSoftmax.jacobian(Y, options), times(first.logJacobian, -exponent), 2, 0);
      // Divided by T²: the cotangent takes up one T where it can.
      const power = Math.max(-most, Math.min(most, exponent));
      const G = matrix(floatsLike(times(g, power), dtype), classes);
      near('hvp', of.hvp(S, G, T, options), times(first.hvp, power - 2 * exponent), 64);
      near('logSoftmax.hvp', logSoftmax.hvp(Y, G, T, options), times(first.logHvp, power - 2 * exponent), 64);
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
    for (const exponent of exponents(least, most)) {
      const { sign, of } = signed(exponent);
      const temperature = base * 2 ** exponent;
      const options = { temperature };
      const label = `${classes} classes, T = ${temperature}`;
      const x = floatsLike(times(z, exponent), dtype);
      const X = matrix(x, classes);
      const near = (name: string, actual: Tensor, exact: Float64Array, units: number, ofRow = 0) =>
        expectNear(floatsOf(actual), exact, dtype, units, `${name} ${label}`, ofRow);
      const signedLogits = matrix(
        x.map((value) => sign * value),
        classes,
      );
      near('softmax', of(signedLogits, options), first.softmax, 1);
      near('logSoftmax', logSoftmax(X, options), first.logSoftmax, 2);
      near('logSumExp', logSumExp(X, options), first.logSumExp, 2);
      for (const [kind, given] of [
        ['indices', target],
        ['probabilities', matrix(shares, classes)],
      ] as const) {
        const { loss, gradient } = crossEntropy(X, given, { temperature, reduction });
        near(`loss of ${kind}`, loss, first[kind].loss, 2);
        near(`gradient of ${kind}`, gradient, times(first[kind].gradient, -exponent), 16, classes);
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
    const gradient = floatsOf(
      crossEntropy.gradient(matrix(times(z, temperature), 5), target.buffer, {
        temperature: 1.3 * 2 ** temperature,
        weight: times(weights, weight),
        reduction: 'sum',
      }),
    );
    const label = `T = 1.3 · 2^${temperature}, weights · 2^${weight}`;
    const units = Math.max(Math.abs(temperature), Math.abs(weight - temperature)) < 900 ? 2 : 4;
    expectNear(gradient, times(expected, weight - temperature), 'float64', units, label);
  }
});

test('logarithms in float64 have the same bits for logits and a temperature times any power of 2, and losses the same digits', () => {
  const random = randomFrom(8);
  const z = Float64Array.from({ length: 1000 }, () => 2 ** (10 * random()) * (2 * random() - 1));
  const indices = Int32Array.from({ length: 200 }, (_, row) => row % 5);
  const shares = matrix(z.map(Math.abs), 5);
  const computed = (exponent: number) => {
    const x = matrix(times(z, exponent), 5);
    const options = { temperature: 1.3 * 2 ** exponent, reduction: 'none' } as const;
    const { temperature } = options;
    return {
      logarithms: [logSoftmax(x, { temperature }), logSumExp(x, { temperature })].map(floatsOf),
      losses: [indices, shares].map((target) => floatsOf(crossEntropy.loss(x, target, options))),
    };
  };
  const expected = computed(0);
  for (const exponent of [-900, -410, -63, 63, 410, 1000]) {
    const { logarithms, losses } = computed(exponent);
    expect(logarithms, `2^${exponent}`).toEqual(expected.logarithms);
    for (const [k, loss] of losses.entries())
      expectNear(loss, Float64Array.from(expected.losses[k]), 'float64', 1, `loss ${k}, 2^${exponent}`);
  }
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
    const temperature = 1.3 * 2 ** exponent;
    const computed = (
      logits: Float64Array,
      keep: Uint8Array | null,
      shares: Float64Array,
      indices: readonly number[],
    ) => {
      const classes = logits.length / outer;
      const x = matrix(logits, classes);
      const maskOf = (data: Uint8Array, shape: readonly number[]): MaskInput =>
        tensor(data, { shape, dtype: 'bool', backend });
      const options = { temperature, mask: keep ? maskOf(keep, [outer, classes]) : undefined };
      const y = floatsOf(logSoftmax(x, options));
      // Over an inner dimension, too.
      const across = <A extends FloatArray | Uint8Array>(values: A) =>
        values.map((_, k) => values[(k % outer) * classes + Math.floor(k / outer)]) as A;
      const mask = keep ? maskOf(across(keep), [classes, outer]) : undefined;
      const columns = logSoftmax(matrix(across(logits), outer), { temperature, mask, axis: 0 });
      expect(floatsOf(columns)).toEqual(across(y));
      const gradients = (target: CrossEntropyTarget) => {
        const { loss, gradient } = crossEntropy(x, target, { ...options, reduction: 'none' });
        return [floatsOf(loss), floatsOf(gradient)];
      };
      const [losses, ofIndices] = gradients([...indices]);
      const [expected, ofShares] = gradients(matrix(shares, classes));
      return {
        s: floatsOf(softmax(x, options)),
        others: { y, ofIndices, ofShares, sums: floatsOf(logSumExp(x, options)), losses, expected },
      };
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
      const left = (values: FloatArray) => Float64Array.from(places, (place) => values[place]);
      const { y, ofIndices, ofShares } = beside.others;
      const results = { y: left(y), ofIndices: left(ofIndices), ofShares: left(ofShares) };
      expect({ ...beside.others, ...results }).toEqual(alone.others);
      // The terms of a sum are added up in another order.
      expectNear(left(beside.s), Float64Array.from(alone.s), 'float64', 1, 'softmax');
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
    const options = { temperature: 1.45 * 2 ** 1015 };
    const x = times(z, 1021);
    const X = matrix(x, classes);
    const negated = matrix(
      x.map((value) => -value),
      classes,
    );
    const label = `${classes} classes`;
    const near = (name: string, actual: Tensor, exact: Float64Array, units: number) =>
      expectNear(floatsOf(actual), exact, 'float64', units, `${name} of ${label}`);
    near('softmax', softmax(X, options), reference.softmax(z, rows, at), 1);
    near('softmin', softmin(negated, options), reference.softmax(z, rows, at), 1);
    near('logSoftmax', logSoftmax(X, options), reference.logSoftmax(z, rows, at), 2);
    near('logSumExp', logSumExp(X, options), reference.logSumExp(z, rows, at), 2);
  }
});

test('gradients of cross-entropy in float64 keep subnormal probabilities at tiny temperatures', () => {
  for (const gap of [700, 715, 740]) {
    for (const exponent of [-300, -500]) {
      const temperature = 2 ** exponent;
      const x = matrix(Float64Array.of(0, -gap * temperature), 2);
      const gradient = floatsOf(crossEntropy.gradient(x, [0], { temperature }));
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

test('kernels leave temperatures beyond 2^±64 to core, except in second derivatives', () => {
  const rows = { outer: 1, classes: 2, inner: 1 };
  for (const dtype of dtypes) {
    const [out, s, g] = [floats(2, dtype), floats(2, dtype).fill(0.5), floats(2, dtype).fill(1)];
    const matrices = floats(4, dtype);
    const declined = (temperature: number) => {
      const parameters = { temperature, mask: null };
      const settings = { ...plainCrossEntropy, ...parameters, target: { kind: 'probabilities', buffer: s } } as const;
      return [
        backend.softmax(out, s, rows, parameters),
        backend.vjp(out, s, g, rows, parameters),
        backend.jacobian(matrices, s, rows, parameters),
        kernels.logSoftmax(out, s, rows, parameters),
        kernels.logSoftmaxVjp(out, s, g, rows, parameters),
        kernels.logSoftmaxJvp(out, s, g, rows, parameters),
        kernels.logSoftmaxJacobian(matrices, s, rows, parameters),
        kernels.logSumExp(out, s, rows, parameters),
        kernels.crossEntropy({ loss: null, gradient: out }, s, rows, settings),
      ];
    };
    for (const sign of [1, -1]) {
      for (const exponent of [-64, 64]) {
        expect(declined(sign * 2 ** exponent)).toEqual(new Array(9).fill(undefined));
        expect(declined(sign * 2 ** (exponent * 1.01))).toEqual(new Array(9).fill(false));
      }
    }
    const second = [
      kernels.softmaxHvp(out, s, g, g, rows, { temperature: 2 ** -1024 }),
      kernels.logSoftmaxHvp(out, s, g, g, rows, { temperature: 2 ** -1024 }),
      kernels.logSumExpHvp(out, s, g, g, rows, { temperature: 2 ** -1024, mask: null }),
    ];
    expect(second, dtype).toEqual([undefined, undefined, undefined]);
  }
});

testFarTemperatures('cpu', () => cpu.open(), {
  float32: { softmax: 0.72, logSoftmax: 0.72, logSumExp: 0.63, loss: 1, gradient: 2, hvp: 0.8 },
  float64: { softmax: 1, logSoftmax: 1, logSumExp: 1, loss: 1, gradient: 3, hvp: 5 },
});
