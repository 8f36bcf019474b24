import { expect, test } from 'vitest';
import type { Candidate } from '../src/form.js';
import { diagnose } from '../src/index.js';
import { inferredRights, leftOutRows } from '../src/inferred.js';
import type { ProblemInput } from '../src/input.js';
import { byIndex } from '../src/numbers.js';
import { readProblem } from '../src/problem.js';
import { isNoiseOfSums } from '../src/row-sum.js';
import { type Matrix, softmax } from './attempts.js';
import { normal } from './random.js';

const plain = (value: number) => value;
const random = (n: number, f: number, seed: number): number[][] => {
  const next = normal(seed);
  return Array.from({ length: n }, () => Array.from({ length: f }, next));
};

/** (s − y) of one-hot targets, each row times a factor. */
function lossOf(logits: Matrix, labels: readonly number[], factors: readonly number[] = []): number[][] {
  return softmax(logits, 1, plain).map((row, n) =>
    row.map((p, i) => (p - (i === labels[n] ? 1 : 0)) * (factors[n] ?? 1)),
  );
}

const logits = random(8, 5, 3);
const target = [0, 1, 2, 0, 1, 2, 4, 4];
const s = softmax(logits, 1, plain);

type Find = (...of: Parameters<typeof inferredRights>) => Iterable<Candidate>;

function formulas(find: Find, gradient: Matrix, more: Partial<ProblemInput> = {}): readonly string[] {
  const problem = readProblem({ logits, target, ...more });
  return [...find(problem, Float64Array.from(gradient.flat()))].map(({ formula }) => formula);
}

test('weights are fitted to every row, and named by class where all rows of a class have the same within a hundredth', () => {
  const by = (...factors: number[]) => formulas(inferredRights, lossOf(logits, target, factors));
  const byClass = 'w (s − y), w = 2 for class 0, 3 for class 1, 0.5 for class 2, 1 for class 4';
  expect(by(2, 3, 0.5, 2, 3, 0.5, 1, 1)).toEqual([byClass]);
  expect(by(2, 3, 0.5, 2.01, 3, 0.5, 1, 1)).toEqual([byClass]);
  // Rounding may leave more in small rows: the mean of the factors of a class is tried before those of the rows.
  expect(by(2, 3, 0.5, 2.03, 3, 0.5, 1, 1)).toEqual([
    'w (s − y), w = 2.02 for class 0, 3 for class 1, 0.5 for class 2, 1 for class 4',
    'w (s − y), w = 2, 3, 0.5, 2.03, 3, 0.5 … for the rows',
  ]);
  expect(by(1, 2, 3, 4, 5, 6, 7, 8).slice(1)).toEqual(['w (s − y), w = 1, 2, 3, 4, 5, 6 … for the rows']);
  // Factors within 2 % of each other are one factor of the whole gradient, and class weights are not negative.
  expect(by(1, 1, 1, 1, 1, 1, 1.019, 1)).toEqual([]);
  expect(by(1, 1, 1, 1, 1, 1, 1.021, 1)).toContain('w (s − y), w = 1, 1, 1, 1, 1, 1 … for the rows');
  expect(by(1, 1, 1, 1, 1, 1, -1, -1).slice(-1)).toEqual(['w (s − y), w = 1, 1, 1, 1, 1, 1 … for the rows']);
  expect(by(-1, -1, -1, -1, -1, -1, -1, -1.019)).toEqual([]);
  // Two rows of five classes leave six degrees of freedom, one row three.
  expect(by(1, 2, 0, 0, 0, 0, 0, 0).at(-1)).toBe('w (s − y), w = 1, 2, 0, 0, 0, 0 … for the rows');
  expect(by(1, 0, 0, 0, 0, 0, 0, 0).filter((formula) => formula.startsWith('w'))).toEqual([]);
});

test('a list of weights is cut after six', () => {
  const gradient = (n: number) =>
    lossOf(
      logits.slice(0, n),
      target,
      Array.from({ length: n }, (_, k) => k + 1),
    );
  const of = (n: number) =>
    formulas(inferredRights, gradient(n), { logits: logits.slice(0, n), target: target.slice(0, n) }).at(-1);
  expect([of(6), of(7)]).toEqual([
    'w (s − y), w = 1, 2, 3, 4, 5, 6 for the rows',
    'w (s − y), w = 1, 2, 3, 4, 5, 6 … for the rows',
  ]);
});

test('label smoothing is fitted for ε above a thousandth, for the sum and the mean', () => {
  const mean = (epsilon: number) =>
    s.map((row, n) => row.map((p, i) => (p - (i === target[n] ? 1 - epsilon : 0) - epsilon / 5) / 8));
  const found = (epsilon: number) =>
    formulas(inferredRights, mean(epsilon), { reduction: 'mean' }).filter((formula) => formula.includes('smoothed'));
  expect([found(0.0009), found(0.002), found(0.3)]).toEqual([
    [],
    ['(s − y) / n, y smoothed with ε = 0.002'],
    ['(s − y) / n, y smoothed with ε = 0.3'],
  ]);
  expect(formulas(inferredRights, mean(0.3), { labelSmoothing: 0.3 }).join()).not.toContain('smoothed');
});

test('rows of zeros are left out of the loss, whose sum is divided by 1, the other rows or all rows', () => {
  const by = (factors: readonly number[], more: Partial<ProblemInput> = {}) =>
    formulas(leftOutRows, lossOf(logits, target, factors), more);
  const some = [1, 1, 0, 1, 1, 1, 0, 1];
  const left = (start: string) => `${start}, rows 2, 6 left out`;
  const [sum, mean, whole] = [left('s − y'), left('(s − y) / 6'), left('(s − y) / 8')];
  // Those that the reduction allows come first.
  expect(by(some)).toEqual([mean, sum, whole]);
  expect(by(some, { reduction: 'sum' })).toEqual([sum, mean, whole]);
  expect(by(some, { reduction: 'mean' })).toEqual([mean, sum, whole]);
  expect(by([])).toEqual([]);
  expect(by(target.map(() => 0))).toEqual([]);
  // One row of five classes has four degrees of freedom, which is enough; of four it has three.
  expect(by([0, 0, 0, 0, 0, 0, 0, 1])).toHaveLength(2);
  const narrow = logits.map((row) => row.slice(0, 4));
  const three = target.map((label) => label % 4);
  const only = lossOf(narrow, three, [0, 0, 0, 0, 0, 0, 0, 1]);
  expect(formulas(leftOutRows, only, { logits: narrow, target: three })).toEqual([]);
  // Rows whose target is the ignored index are no discovery; others are.
  expect(by(some, { target: [0, 1, -100, 0, 1, 2, -100, 4] })).toEqual([]);
  expect(by(some, { target: [0, 1, -100, 0, 1, 2, 4, 4] }).length).toBeGreaterThan(0);
});

test('the values and terms of inferred gradients are those of the rows that are left', () => {
  const problem = readProblem({ logits, target });
  const factors = [1, 2, 0, 4, 5, 6, 0, 8];
  const gradient = lossOf(logits, target, factors);
  const data = Float64Array.from(gradient.flat());
  const weighted = [...inferredRights(problem, data)].find(({ formula }) => formula.endsWith('for the rows'));
  const zeroed = leftOutRows(problem, data)[0];
  if (!weighted || !zeroed) throw new Error('nothing was inferred');
  const [valueAt, termAt] = [byIndex(weighted.values), byIndex(weighted.terms)];
  const [valueOfRest, termOfRest] = [byIndex(zeroed.values), byIndex(zeroed.terms)];
  const expected = lossOf(
    logits,
    target,
    factors.map((factor) => (factor === 0 ? 0 : 1 / 6)),
  ).flat();
  const terms = s.flatMap((row, n) =>
    row.map((p, i) => (p + (i === target[n] ? 1 : 0)) * (factors[n] === 0 ? 0 : 1 / 6)),
  );
  for (let k = 0; k < data.length; k++) {
    expect(valueAt(k)).toBeCloseTo(data[k] ?? 0, 12);
    expect(termAt(k)).toBeCloseTo(6 * (terms[k] ?? 0) * (factors[Math.floor(k / 5)] ?? 0), 12);
    expect(valueOfRest(k)).toBeCloseTo(expected[k] ?? 0, 12);
    expect(termOfRest(k)).toBeCloseTo(terms[k] ?? 0, 12);
  }
});

test('a mask is inferred from the entries that are 0', () => {
  const hidden = logits.map((row, n) => row.map((value, i) => ((n + i) % 4 === 3 ? Number.NEGATIVE_INFINITY : value)));
  const gradient = lossOf(hidden, [0, 1, 2, 1, 0, 1, 2, 3]);
  const { verdict, matches, evidence } = diagnose({ logits, target: [0, 1, 2, 1, 0, 1, 2, 3], gradient });
  expect([verdict, matches.map(({ formula }) => formula)]).toEqual([
    'right',
    ['s − y, with the 10 entries masked whose gradient is 0'],
  ]);
  // The gradient without the mask is nearest, but right is not the next best explanation of what is right.
  expect(evidence.nextBest?.id).not.toBe('right');
  expect(evidence.notes.join()).not.toContain('The next best explanation, right');
});

test('a multiple of s − y may be a weight of the only class, a gradient clipped to the norm 1, or another loss of equal probabilities', () => {
  const x = random(4, 3, 5);
  const of = (labels: readonly number[], factor: number, from: Matrix = x, more = {}) => {
    const gradient = lossOf(
      from,
      labels,
      labels.map(() => factor),
    );
    const { matches } = diagnose({ logits: from as number[][], target: labels as number[], gradient, ...more });
    return matches.map(({ id, formula }) => (id === 'right' ? formula : id));
  };
  expect(of([1, 1, 1, 1], 0.3)).toEqual([
    'scaled',
    'w (s − y) with a weight w of class 1, the only one of the rows that count',
  ]);
  expect(of([1, 1, 1, 1], 0.3, x, { weight: [1, 1, 1] })).toEqual(['scaled']);
  expect(of([1, 0, 1, 2], 0.3)).toEqual(['scaled']);
  const norm = Math.hypot(...lossOf(x, [1, 0, 1, 2]).flat());
  for (const [share, clipped] of [
    [0.999995, false],
    [0.999997, true],
    [1, true],
    [1.000003, true],
    [1.000005, false],
  ] as const) {
    const expected = clipped ? ['gradient-clipped', '(s − y) / ‖s − y‖'] : ['scaled'];
    expect(of([1, 0, 1, 2], share / norm), `${share}`).toEqual(expected);
  }
  // Numbers of few digits leave more open: a rounding of each, and in half precision also that of the norm.
  const exact = lossOf(x, [1, 0, 1, 2]);
  const rounded = (share: number, round: (value: number) => number) => {
    const gradient = exact.map((row) => row.map((value) => round((value * share) / norm)));
    return diagnose({ logits: x as number[][], target: [1, 0, 1, 2], gradient }).matches.some(
      ({ id }) => id === 'right',
    );
  };
  const toBfloat16 = (value: number) => {
    const step = 2 ** (Math.floor(Math.log2(Math.abs(value))) - 7);
    return Math.round(value / step) * step;
  };
  const toDecimals = (value: number) => Number(value.toFixed(4));
  expect([0.985, 0.997, 1.003, 1.015].map((share) => rounded(share, toBfloat16))).toEqual([false, true, true, false]);
  expect([0.999, 1, 1.001].map((share) => rounded(share, toDecimals))).toEqual([false, true, false]);
  const alike = [
    [2, 0, 0],
    [0, 0, 2],
    [0, 2, 0],
    [2, 0, 0],
  ];
  expect(of([0, 2, 1, 0], 0.3, alike)).toEqual([
    'scaled',
    '(s − y) times what another loss of the same probability of each target gives',
  ]);
  expect(of([0, 2, 1, 1], 0.3, alike)).toEqual(['scaled']);
});

test('noise of sums is not 0 throughout, and a whole number of last places where it is that of float32', () => {
  const problem = readProblem({ probabilities: [[0.5, 0.25, 0.25]] });
  const unit = 2 ** -24;
  const isNoise = (...places: number[]) =>
    isNoiseOfSums(
      problem,
      Float64Array.from(places, (place) => place * unit),
    );
  expect(isNoise(0, 0, 0)).toBe(false);
  // The least terms are 2⁻³ and 2⁻⁴: their last places, in units of 2⁻²⁴, are 1/4 and 1/8.
  expect([isNoise(0.25, -0.125, 0), isNoise(0.25, -0.125, 0.125)]).toEqual([true, true]);
  expect([isNoise(0.25, -0.0833, 0), isNoise(0.3, 0, 0)]).toEqual([false, false]);
  expect([isNoise(256, 0, 0), isNoise(257, 0, 0), isNoise(0, 128, 0), isNoise(0, 129, 0)]).toEqual([
    true,
    false,
    true,
    false,
  ]);
});
