import { plainCrossEntropy, reference, referenceCrossEntropy } from '@softgrad/core/conformance';
import { expect, test } from 'vitest';
import { cpu } from '../src/index.js';
import { largestError, randomFrom, ulp } from './accuracy.js';

/**
 * Bounds of an ULP or two do not notice that a rounding error is no longer carried along. The share of float64 results that are not the nearest
 * number does.
 */

const backend = cpu.openSync();
const { kernels } = backend;

/** 1 / T of the first is exact; those of the others are off by about 0.4 ULP, in either direction. */
const temperatures = [1, 1.3, -10];

/** Rows of random logits within ±spread T, and a class for each; in every other row its logit is the largest. */
function problems(spread: number) {
  const [random, more] = [randomFrom(5), randomFrom(6)];
  return [3, 5, 16, 40].flatMap((classes) =>
    temperatures.map((temperature) => {
      const rows = { outer: 2 * Math.ceil(120 / Math.sqrt(classes)), classes, inner: 1 };
      const x = Float64Array.from({ length: rows.outer * classes }, () => spread * temperature * (2 * random() - 1));
      const indices = Int32Array.from({ length: rows.outer }, () => Math.floor(random() * classes));
      const targets = Array.from(indices, (index, row) => row * classes + index);
      const isLargest = (_: number, row: number) => row % 2 === 1;
      for (const at of targets.filter(isLargest)) x[at] = spread * temperature * (1 + random() / 3);
      const shares = x.map(() => (random() < 0.3 ? 0 : random()));
      const g = x.map(() => 2 * random() - 1);
      const t = x.map(() => 2 * more() - 1);
      const ofRows = Float64Array.from({ length: rows.outer }, () => 2 * more() - 1);
      const weight = Float64Array.from({ length: classes }, () => 0.5 + more());
      return { x, rows, temperature, indices, targets, isLargest, shares, g, t, ofRows, weight };
    }),
  );
}

/** Results of the operations, with the float64 nearest to the exact ones. */
function* results({
  x,
  rows,
  temperature,
  indices,
  targets,
  isLargest,
  shares,
  g,
  t,
  ofRows,
  weight,
}: ReturnType<typeof problems>[number]) {
  const { outer, classes } = rows;
  const parameters = { temperature, mask: null };
  const computed = (length: number, kernel: (out: Float64Array) => void) => {
    const out = new Float64Array(length);
    kernel(out);
    return out;
  };
  const y = reference.logSoftmax(x, rows, parameters);
  yield ['logSoftmax', computed(x.length, (out) => kernels.logSoftmax(out, x, rows, parameters)), y] as const;
  const sums = reference.logSumExp(x, rows, parameters);
  yield ['logSumExp', computed(outer, (out) => kernels.logSumExp(out, x, rows, parameters)), sums] as const;
  const vjp = computed(x.length, (out) => kernels.logSoftmaxVjp(out, y, g, rows, parameters));
  yield ['logSoftmax.vjp', vjp, reference.logSoftmaxVjp(y, g, rows, parameters)] as const;
  const s = reference.softmax(x, rows, parameters);
  yield [
    'softmax.hvp',
    computed(x.length, (out) => kernels.softmaxHvp(out, s, g, t, rows, parameters)),
    reference.softmaxHvp(s, g, t, rows, parameters),
  ] as const;
  yield [
    'logSoftmax.hvp',
    computed(x.length, (out) => kernels.logSoftmaxHvp(out, y, g, t, rows, parameters)),
    reference.logSoftmaxHvp(y, g, t, rows, parameters),
  ] as const;
  yield [
    'logSumExp.hvp',
    computed(x.length, (out) => kernels.logSumExpHvp(out, x, ofRows, t, rows, parameters)),
    reference.logSumExpHvp(x, ofRows, t, rows, parameters),
  ] as const;
  if (classes < 16) {
    const jacobian = computed(x.length * classes, (out) => kernels.logSoftmaxJacobian(out, y, rows, parameters));
    yield ['logSoftmax.jacobian', jacobian, reference.logSoftmaxJacobian(y, rows, parameters)] as const;
    yield [
      'softmax.vjp',
      computed(x.length, (out) => backend.vjp(out, s, g, rows, parameters)),
      reference.softmaxVjp(s, g, rows, parameters),
    ] as const;
  }
  const reduction = 'none' as const;
  for (const [name, ofClasses] of [
    ['smoothed indices', null],
    ['smoothed and weighted indices', weight],
  ] as const) {
    const options = { temperature, labelSmoothing: 0.1, weight: ofClasses };
    const loss = new Float64Array(outer);
    const gradient = computed(x.length, (out) =>
      kernels.crossEntropy({ loss, gradient: out }, x, rows, {
        ...plainCrossEntropy,
        ...parameters,
        ...options,
        target: { kind: 'indices', buffer: indices },
      }),
    );
    const values = { kind: 'indices', values: [...indices] } as const;
    const expected = referenceCrossEntropy(x, values, rows, { ...options, reduction });
    yield [`loss of ${name}`, loss, expected.loss] as const;
    yield [`gradient of ${name}`, gradient, expected.gradient] as const;
  }
  for (const [kind, buffer] of [
    ['indices', indices],
    ['probabilities', shares],
  ] as const) {
    const loss = new Float64Array(outer);
    const gradient = computed(x.length, (out) =>
      kernels.crossEntropy({ loss, gradient: out }, x, rows, {
        ...plainCrossEntropy,
        ...parameters,
        target: { kind, buffer },
      }),
    );
    const expected = referenceCrossEntropy(x, { kind, values: [...buffer] }, rows, { temperature, reduction });
    yield [`loss of ${kind}`, loss, expected.loss] as const;
    if (kind === 'probabilities') {
      yield ['gradient of probabilities', gradient, expected.gradient] as const;
      continue;
    }
    const at = (values: Float64Array, places: readonly number[]) => Float64Array.from(places, (place) => values[place]);
    const groups = {
      'gradient at the largest logit': targets.filter(isLargest),
      'gradient at another target': targets.filter((at, row) => !isLargest(at, row)),
      'gradient elsewhere': [...x.keys()].filter((k) => k % classes !== indices[Math.floor(k / classes)]),
    };
    for (const [name, places] of Object.entries(groups))
      yield [name, at(gradient, places), at(expected.gradient, places)] as const;
  }
}

/** The largest share of results that may differ from the nearest number, for each spread of the logits. */
const limits: Readonly<Record<string, readonly number[]>> = {
  logSoftmax: [0.227, 0.214, 0.226],
  logSumExp: [0, 0, 0],
  'logSoftmax.vjp': [0.38, 0.29, 0.21],
  'logSoftmax.jacobian': [0.17, 0.17, 0.17],
  'softmax.vjp': [0.478, 0.43, 0.387],
  'loss of indices': [0.105, 0.105, 0.198],
  'gradient at the largest logit': [0.22, 0.27, 0.265],
  'gradient at another target': [0.213, 0.193, 0.222],
  'gradient elsewhere': [0.001, 0.001, 0.001],
  'loss of probabilities': [0, 0, 0.007],
  'gradient of probabilities': [0.0035, 0.0015, 0.0005],
  'loss of smoothed indices': [0, 0.001, 0],
  'gradient of smoothed indices': [0.0007, 0.0016, 0.0002],
  'loss of smoothed and weighted indices': [0, 0, 0],
  'gradient of smoothed and weighted indices': [0.0007, 0.001, 0.0002],
  'softmax.hvp': [0, 0, 0],
  'logSoftmax.hvp': [0.002, 0.0015, 0.001],
  'logSumExp.hvp': [0.0015, 0.001, 0.001],
};

test.each([
  [0.15, 0],
  [4.3, 1],
  [21.7, 2],
])('of float64 results for logits within ±%d T, few are not the nearest number', (spread, column) => {
  const counts = new Map<string, { all: number; wrong: number }>();
  for (const problem of problems(spread)) {
    for (const [name, actual, expected] of results(problem)) {
      const count = counts.get(name) ?? { all: 0, wrong: 0 };
      counts.set(name, count);
      count.all += expected.length;
      count.wrong += expected.filter((value, k) => actual[k] !== value).length;
    }
  }
  expect([...counts.keys()].sort()).toEqual(Object.keys(limits).sort());
  const exceeded = [...counts].map(([name, { all, wrong }]) => ({
    name,
    share: wrong / all,
    limit: limits[name][column],
  }));
  expect(exceeded.filter(({ share, limit }) => !(share <= limit))).toEqual([]);
});

test.each([
  [0.15, 0.251, 0.331],
  [2, 0.226, 0.337],
  [20, 0.135, 0.322],
  [600, 0.01, 0.138],
])(
  'of float64 sigmoids and their second derivatives within ±%d, few are not the nearest number',
  (range, ofValues, ofSecond) => {
    const random = randomFrom(7);
    const length = 4000;
    const [x, g, t] = [range, 1, 1].map((size) => Float64Array.from({ length }, () => size * (2 * random() - 1)));
    const [y, dx] = [new Float64Array(length), new Float64Array(length)];
    kernels.sigmoid(y, x, length);
    kernels.sigmoidHvp(dx, y, g, t, length);
    for (const [actual, expected, most, limit] of [
      [y, reference.sigmoid(x), 1, ofValues],
      [dx, reference.sigmoidHvp(y, g, t), 2, ofSecond],
    ] as const) {
      expect(largestError(actual, expected, 'float64')).toBeLessThanOrEqual(most);
      expect(actual.filter((value, k) => value !== expected[k]).length / length).toBeLessThanOrEqual(limit);
    }
  },
);

test('⟨s, g⟩ of a float64 row is rounded once, wherever its terms are', () => {
  const random = randomFrom(11);
  const significand = () => (random() < 0.5 ? -1 : 1) * (1 + random());
  /** A number as a multiple of 2^−260. */
  const exact = (value: number) => BigInt(value * 2 ** 260);
  // Short rows, and rows that are taken in fours, of which only sums are compensated: no two of the three terms are in the same four.
  // Probabilities of ⅛ add up to 1, those of 1/16 to ½.
  for (const [classes, share] of [
    [8, 1 / 8],
    [9, 1 / 8],
    [15, 1 / 16],
    [40, 1 / 16],
    [45, 1 / 8],
  ]) {
    const rows = { outer: 200, classes, inner: 1 };
    const [s, g] = [new Float64Array(rows.outer * classes), new Float64Array(rows.outer * classes)];
    const expected: number[] = [];
    const zeros: number[] = [];
    for (let row = 0; row < rows.outer; row++) {
      const first = significand() * 2 ** Math.floor(random() * 12);
      const few = Math.floor(random() * 127 - 63) * ulp(first, 'float64');
      // The second term is independent of the first or almost cancels it; the third is about the error of their sum.
      const second = row % 2 === 1 ? significand() * 2 ** Math.floor(random() * 12) : few - first;
      const third =
        significand() * ulp(first + second, 'float64') * (row % 4 === 0 ? 2 ** -10 : 2 ** Math.floor(random() * 4 - 3));
      const places = Array.from({ length: classes }, (_, c) => c)
        .map((c) => ({ c, order: random() }))
        .sort((a, b) => a.order - b.order)
        .map(({ c }) => c);
      const used: number[] = [];
      for (const c of places) {
        const isApart =
          classes < 16 || used.every((other) => Math.max(c, other) >= classes - (classes % 4) || c >> 2 !== other >> 2);
        if (used.length < 3 && isApart) used.push(c);
      }
      for (const [k, term] of [first, second, third].entries()) g[row * classes + used[k]] = term;
      const rest = places.filter((c) => !used.includes(c)).slice(0, 5);
      for (const c of [...used, ...rest]) s[row * classes + c] = share;
      expected.push(-Number(exact(first) + exact(second) + exact(third)) * 2 ** -260 * share * share);
      zeros.push(row * classes + rest[0]);
    }
    for (const temperature of [1, -4]) {
      const out = new Float64Array(s.length);
      backend.vjp(out, s, g, rows, { temperature });
      // Where g is 0, the result is −s ⟨s, g⟩ / T, and both s and T are powers of 2.
      const wrong = expected.flatMap((value, row) => (out[zeros[row]] * temperature === value ? [] : [row]));
      expect(wrong, `${classes} classes, T = ${temperature}`).toEqual([]);
    }
  }
});
