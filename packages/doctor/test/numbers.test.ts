import { describe, expect, test } from 'vitest';
import {
  fitFactor,
  isFloat32,
  largestOf,
  measure,
  noiseLevels,
  precisionLevels,
  relativeErrors,
  sampleStep,
  standsOut,
} from '../src/compare.js';
import { degeneracies, looksLikeProbabilities, saturatedRows, underflowedRows } from '../src/condition.js';
import { eachRow, innerProducts, softmaxRows, vjpRows } from '../src/host-softmax.js';
import { readProblem } from '../src/problem.js';
import { exactSum } from '../src/row-sum.js';

const doubles = (...values: number[]) => Float64Array.from(values);
const NaNs = Number.NaN;
const infinite = Number.POSITIVE_INFINITY;
const none = { relative: 0, absolute: 0, resolution: 0 };

describe('noise', () => {
  test('has a level for no rounding, float64, float32 and 1e-6, with a drift of √f', () => {
    const least = 2 ** -126;
    const level = (relative: number, absolute: number) => ({ relative, absolute, resolution: relative });
    const coarse = [level(16 * 2 ** -24, least), level(3e-6, least)];
    expect(noiseLevels(4, false)).toEqual([none, level(16 * 2 ** -53, 0), ...coarse]);
    expect(noiseLevels(4, true)).toEqual([none, ...coarse]);
    expect(noiseLevels(10_000, true).at(-1)).toEqual(level(408 * 2 ** -24, least));
  });
});

describe('the relative error of a candidate', () => {
  const errors = (data: number[], values: number[], levels = [none], terms: number[] = values.map(() => 0), step = 1) =>
    relativeErrors(
      measure(doubles(...data)),
      { formula: '', values: doubles(...values), terms: doubles(...terms) },
      levels,
      step,
    );

  test('is the norm of the difference over the larger norm', () => {
    expect(errors([3, 4], [3, 4])).toEqual([0]);
    expect(errors([3, 4], [3, 0])[0]).toBeCloseTo(0.8, 15);
    expect(errors([3, 0], [3, 4])[0]).toBeCloseTo(0.8, 15);
    expect(errors([3e300, 4e300], [3e300, 0])[0]).toBeCloseTo(0.8, 15);
    expect(errors([0, 0], [0, 0])).toEqual([0]);
    expect(errors([0, 0], [0, 2])).toEqual([1]);
  });

  test('counts only what is beyond the noise of the terms, for each level', () => {
    const levels = [
      none,
      { relative: 0.5, absolute: 0, resolution: 0 },
      { relative: 0, absolute: 1, resolution: 0 },
      { relative: 1, absolute: 2, resolution: 0 },
    ];
    const found = errors([3, 4], [3, 0], levels, [9, 2]);
    [0.8, 0.6, 0.6, 0].forEach((expected, level) => {
      expect(found[level]).toBeCloseTo(expected, 14);
    });
  });

  test('is infinite where one is finite and the other is not, and looks past entries where neither is', () => {
    expect(errors([NaNs, 1], [infinite, 1])).toEqual([0]);
    expect(errors([NaNs, 1], [5, 1], [none, none])).toEqual([infinite, infinite]);
    expect(errors([5, 1], [-infinite, 1])).toEqual([infinite]);
    expect(errors([NaNs, 3, 4], [NaNs, 3, 0])[0]).toBeCloseTo(0.8, 15);
  });

  test('is 1 where the candidate is larger than can be squared', () => {
    expect(errors([1, 1], [1e200, 1])).toEqual([1]);
  });

  test('takes values and terms as functions, and a sample by its step', () => {
    const given = measure(doubles(1, 9, 1, 9));
    const candidate = { formula: '', values: () => 1, terms: () => 0 };
    expect(relativeErrors(given, candidate, [none], 2)).toEqual([0]);
    expect(relativeErrors(given, candidate, [none])[0]).toBeGreaterThan(0.5);
    expect(
      relativeErrors(given, { ...candidate, terms: () => 8 }, [{ relative: 1, absolute: 0, resolution: 0 }]),
    ).toEqual([0]);
  });
});

test('numbers stand out of the noise where more than a tenth of their norm is beyond it', () => {
  const given = measure(doubles(2, 0.2, NaNs));
  const terms = doubles(2, 2, 2);
  // The larger one is 1 in units of the largest, the norm² 1.01, of which 0.0101 must be beyond.
  expect(standsOut(given, terms, { relative: 0.899, absolute: 0, resolution: 0 })).toBe(true);
  expect(standsOut(given, terms, { relative: 0.9, absolute: 0, resolution: 0 })).toBe(false);
  expect(standsOut(given, () => 0, { relative: 1, absolute: 2 * 0.899, resolution: 0 })).toBe(true);
  expect(standsOut(given, () => 0, { relative: 1, absolute: 2 * 0.9, resolution: 0 })).toBe(false);
  expect(standsOut(measure(doubles(0, 0)), doubles(1, 1), { relative: 1, absolute: 1, resolution: 0 })).toBe(true);
});

test('the factor between two arrays is that of least squares', () => {
  const fitted = (data: number[], values: number[]) =>
    fitFactor(measure(doubles(...data)), { formula: '', values: doubles(...values), terms: doubles() });
  expect(fitted([200, 400], [1, 2])).toBe(200);
  expect(fitted([-2, -4], [1, 2])).toBeCloseTo(-2, 14);
  expect(fitted([1, 1], [2, 0])).toBeCloseTo(0.5, 14);
  expect(fitted([1, 0], [0, 1])).toBe(0);
  expect([fitted([0, 0], [1, 2]), fitted([1, 2], [0, 0]), fitted([NaNs, 1], [1, 1])]).toEqual([null, null, null]);
  expect(fitFactor(measure(doubles(2, 4)), { formula: '', values: (k) => k + 1, terms: doubles() })).toBeCloseTo(2, 14);
});

test('a sample is taken of more than 8,192 entries, in steps that meet every class', () => {
  expect([sampleStep(8_192, 3), sampleStep(8_193, 3), sampleStep(8_193, 13), sampleStep(8_193, 90)]).toEqual([
    1, 10, 9, 11,
  ]);
  expect(sampleStep(1_000_000, 1000)).toBe(977);
});

test('sizes and dtypes of numbers', () => {
  expect([largestOf(doubles(-3, NaNs, infinite, 2)), largestOf(doubles())]).toEqual([3, 0]);
  expect([measure(doubles(-4, 2)).unit, measure(doubles(0)).unit]).toEqual([4, 1]);
  expect([doubles(0.5, -0, NaNs, infinite), doubles(0.5, 0.1), doubles(1e300)].map(isFloat32)).toEqual([
    true,
    false,
    false,
  ]);
});

describe('rows', () => {
  const rows = { outer: 2, classes: 3, inner: 2 };

  test('are walked through by their first entry and their step', () => {
    const seen: number[][] = [];
    eachRow(rows, (...at) => seen.push(at));
    expect(seen).toEqual([
      [0, 2, 0],
      [1, 2, 1],
      [6, 2, 2],
      [7, 2, 3],
    ]);
  });

  test('have a softmax and a product along their classes', () => {
    const x = doubles(1, 5, 2, 5, 3, 5, 800, -2000, 800, 0, -Infinity, 0);
    const s = softmaxRows(x, rows, 2);
    const e = [1, 2, 3].map((value) => Math.exp(value / 2));
    const sum = e[0] + e[1] + e[2];
    [0, 2, 4].forEach((k, i) => {
      expect(s[k]).toBeCloseTo(e[i] / sum, 14);
    });
    expect([s[1], s[6], s[8], s[10], s[7], s[9], s[11]]).toEqual([1 / 3, 0.5, 0.5, 0, 0, 0.5, 0.5]);
    const g = doubles(1, 1, 0, 1, 0, 1, 2, 0, 0, 1, 7, 3);
    const dx = vjpRows(s, g, rows);
    expect(dx[0]).toBeCloseTo(s[0] * (1 - s[0]), 14);
    expect(dx[4]).toBeCloseTo(-s[0] * s[4], 14);
    expect([dx[1], dx[6], dx[8], dx[10], dx[9], dx[11]]).toEqual([0, 0.5, -0.5, 0, -0.5, 0.5]);
    expect(softmaxRows(doubles(0, 1), { outer: 1, classes: 2, inner: 1 })[1]).toBeCloseTo(1 / (1 + Math.exp(-1)), 14);
  });

  test('cancel nothing where a probability is nearly 1', () => {
    const s = doubles(1, 1e-20);
    expect([...vjpRows(s, doubles(0.1, 0.7), { outer: 1, classes: 2, inner: 1 })][1] / 1e-20).toBeCloseTo(0.6, 14);
  });

  test('have inner products', () => {
    expect([...innerProducts(doubles(1, 2, 3, 4), doubles(5, 6, 7, 8), 2, 2)]).toEqual([17, 53]);
  });
});

describe('a saturated row', () => {
  const saturated = (...s: number[]) => saturatedRows(readProblem({ probabilities: [s] }))[0];

  test('has no entry of J above 1e-3, by the largest probability or by the others', () => {
    expect([saturated(0.9991, 0.0009), saturated(0.0009, 0.9991), saturated(0.9989, 0.0011)]).toEqual([
      true,
      true,
      false,
    ]);
    expect([
      saturated(0.992, 0.0004, 0.0004),
      saturated(0.0004, 0.992, 0.0004),
      saturated(0.0004, 0.0004, 0.992),
    ]).toEqual([true, true, true]);
    expect([saturated(0.992, 0.0006, 0.0006), saturated(0.0006, 0.0006, 0.992)]).toEqual([false, false]);
    expect([saturated(0.5, 0.5), saturated(1), saturated(1, 0)]).toEqual([false, false, true]);
  });

  test('is told row by row', () => {
    const problem = readProblem({
      probabilities: [
        [1, 0],
        [0.5, 0.5],
        [0, 1],
      ],
    });
    expect(saturatedRows(problem)).toEqual([true, false, true]);
  });
});

test('rows of a sigmoid or a log-softmax are never saturated', () => {
  const rows = (layer: 'softmax' | 'log-softmax' | 'sigmoid' | 'cross-entropy') =>
    saturatedRows(
      readProblem({
        logits: [
          [30, 0, 0],
          [1, 2, 3],
        ],
        layer,
      }),
    );
  expect([rows('softmax'), rows('cross-entropy'), rows('sigmoid'), rows('log-softmax')]).toEqual([
    [true, false],
    [true, false],
    [false, false],
    [false, false],
  ]);
});

test('numbers of a printout have one level of noise, those of a half precision another for the rounding of every operation', () => {
  const slack = Float64Array.of(0.5, 0.25);
  const end = { relative: 16 * 2 ** -24, absolute: 2 ** -126, slack, ofInputs: 0, resolution: 16 * 2 ** -24 };
  expect(precisionLevels(4, { name: '', slack, unit: 0 }, false)).toEqual([end]);
  expect(precisionLevels(4, null, false)).toEqual([]);
  const { slack: _, ...ofInputs } = { ...end, ofInputs: 1 };
  expect(precisionLevels(4, null, true)).toEqual([ofInputs]);
  expect(precisionLevels(4, { name: '', slack, unit: 2 ** -8 }, false)).toEqual([
    end,
    { ...end, relative: 3 * 2 ** -8, slack: Float64Array.of(1, 0.5), everyStep: 2 ** -8 },
  ]);
});

describe('a row that underflows', () => {
  const zeros = (count: number) => new Float64Array(count);
  const ofLogits = (logits: number[], temperature = 1, given = zeros(logits.length)) =>
    underflowedRows(readProblem({ logits: [logits], temperature }), given)[0];
  const ofProbabilities = (...s: number[]) => underflowedRows(readProblem({ probabilities: [s] }), zeros(s.length))[0];

  test('has all logits but one more than 150 ln 2 · T below the largest', () => {
    expect([ofLogits([104, 0]), ofLogits([0, 104]), ofLogits([103.9, 0]), ofLogits([104, 1, 0])]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect([ofLogits([208, 0], 2), ofLogits([207, 0], 2), ofLogits([-104, 0, -105])]).toEqual([true, false, true]);
    expect(ofLogits([0, 0])).toBe(false);
  });

  test('does not count what is masked out', () => {
    const masked = Number.NEGATIVE_INFINITY;
    expect([ofLogits([0, masked]), ofLogits([0, masked, -200]), ofLogits([0, masked, -5])]).toEqual([
      false,
      true,
      false,
    ]);
  });

  test('is seen in probabilities too, and is none of one class', () => {
    expect([ofProbabilities(1, 0), ofProbabilities(1, 1e-46), ofProbabilities(1, 1e-45), ofProbabilities(1)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  test('is one only where the numbers are exactly 0, gradients and Jacobians', () => {
    const logits = [
      [200, 0],
      [0, 200],
    ];
    const problem = readProblem({ logits });
    expect(underflowedRows(problem, doubles(0, 0, 0, 1e-300))).toEqual([true, false]);
    expect(underflowedRows(problem, doubles(0, 0, 0, -0, 0, 0, 0, NaNs))).toEqual([true, false]);
    expect(underflowedRows(problem, doubles(0, 0, 0, 1, 0, 0, 0, 0))).toEqual([false, true]);
  });
});

describe('what makes explanations coincide', () => {
  const starts = (input: Parameters<typeof readProblem>[0]) =>
    degeneracies(readProblem(input)).map((text) => text.split(/[:,]/)[0]);

  test('is said for one class, one row, two classes, uniform probabilities and a constant upstream', () => {
    expect(starts({ logits: [[1], [2]] })).toEqual(['f = 1']);
    expect(starts({ logits: [[1, 2, 3]] })).toEqual(['n = 1']);
    expect(starts({ logits: [1, 2, 3] })).toEqual([]);
    expect(
      starts({
        logits: [
          [1, 2],
          [3, 5],
        ],
      }),
    ).toEqual(['f = 2']);
    const uniform = 'all probabilities are 1/f';
    expect(starts({ probabilities: [0.25, 0.25, 0.25, 0.25] })).toEqual([uniform]);
    expect(starts({ probabilities: [0.25 + 1e-7, 0.25, 0.25, 0.25 - 1e-7] })).toEqual([uniform]);
    expect(starts({ probabilities: [0.25, 0.25 + 3e-7, 0.25 - 3e-7, 0.25] })).toEqual([]);
    const constant = 'the upstream gradient is the same for all classes of a row';
    expect(starts({ logits: [1, 2, 3], upstream: [5, 5, 5 + 4e-12] })).toEqual([constant]);
    expect(starts({ logits: [1, 2, 3], upstream: [5, 5, 5 + 6e-12] })).toEqual([]);
    const rows = {
      logits: [
        [1, 2, 3],
        [1, 2, 4],
      ],
      upstream: [
        [1, 1, 1],
        [2, 2, 2],
      ],
    };
    expect(starts(rows)).toEqual([constant]);
    expect(starts({ logits: [[1], [2]], upstream: [[1], [2]] })).toEqual(['f = 1']);
  });

  test('is said with what would tell them apart', () => {
    const all = [
      ...degeneracies(readProblem({ logits: [[1]] })),
      ...degeneracies(readProblem({ logits: [[1, 1]], upstream: [[1, 1]] })),
    ];
    expect(all).toEqual([
      'f = 1: the one probability is always 1 and every derivative of it 0; look at two classes or more',
      'n = 1: with one row a sum and a mean over the batch are the same; look at two rows or more',
      'n = 1: with one row a sum and a mean over the batch are the same; look at two rows or more',
      'f = 2: J is s₀ s₁ times ((1, −1), (−1, 1)), so many formulas coincide; look at three classes or more',
      'all probabilities are 1/f, so formulas with s and with 1/f coincide; look at logits that differ',
      'the upstream gradient is the same for all classes of a row, which makes even the right product 0 (probabilities cannot all grow); look at an upstream that differs',
    ]);
  });
});

test('logits look like probabilities where every row is between 0 and 1 and adds up to 1', () => {
  const looks = (logits: number[][]) => looksLikeProbabilities(readProblem({ logits }));
  expect([looks([[0.25, 0.75]]), looks([[0, 1]]), looks([[0.25, 0.75 + 9e-5]])]).toEqual([true, true, true]);
  expect([looks([[0.25, 0.75 + 2e-4]]), looks([[0.25, 0.75 - 2e-4]]), looks([[-0.25, 1.25]])]).toEqual([
    false,
    false,
    false,
  ]);
  expect([
    looks([[1], [1]]),
    looks([
      [0.5, 0.5],
      [0.5, 0.4],
    ]),
  ]).toEqual([false, false]);
  expect(looksLikeProbabilities(readProblem({ probabilities: [[0.5, 0.5]] }))).toBe(false);
});

describe('the bits of a sum of rows', () => {
  const problem = readProblem({ probabilities: [[0.1, 0.2, 0.7]] });
  const { s } = problem;
  const column = s.map((own, i) => s.reduce((sum, p, j) => sum + (i === j ? own * (1 - own) : -p * own), 0));

  test('are looked at for gradients at the temperature 1 that are not 0 throughout', () => {
    expect(column.some((value) => value !== 0)).toBe(true);
    expect(exactSum(problem, 'gradient', column)).toBe('J.sum(axis=1)');
    expect(exactSum(problem, 'jacobian', column)).toBeNull();
    expect(exactSum({ ...problem, temperature: 2 }, 'gradient', column)).toBeNull();
    expect(
      exactSum(
        problem,
        'gradient',
        column.map(() => 0),
      ),
    ).toBeNull();
    expect(
      exactSum(
        problem,
        'gradient',
        column.map((value) => 2 * value),
      ),
    ).toBeNull();
    // Where both ways round alike, the bits tell nothing.
    const pair = readProblem({ probabilities: [[0.3, 0.7]] });
    const both = pair.s.map((own, i) => own * (1 - own) - own * pair.s[1 - i]);
    expect(exactSum(pair, 'gradient', both)).toBeNull();
  });
});
