import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crossEntropy } from '../../core/reference/cross-entropy.js';
import { logSoftmax, logSumExp, logSumExpHvp, softmax } from '../../core/reference/functions.js';
import {
  type ApplyPart,
  crossEntropyPart,
  logSoftmaxPart,
  logSumExpOf,
  lossOf,
  softmaxPart,
  vjpPart,
  weightedCrossEntropyPart,
  weightedLossOf,
} from '../src/from-statistics.js';
import {
  identity,
  leaf,
  merge,
  mergeTree,
  putStatistics,
  type RowPart,
  type Statistics,
  statisticsAt,
  statisticsColumns,
  sumTree,
  type WeightedTarget,
  weightedColumns,
} from '../src/statistics.js';

interface Row {
  readonly logits: Float64Array;
  readonly direction: Float64Array;
  readonly mask: Uint8Array | null;
  readonly target: number;
  readonly temperature: number;
  readonly weighted?: WeightedTarget;
  /** Where the row is split. */
  readonly cuts: readonly number[];
}

/** The parts of a row, as its shards have them. */
function partsOf({ logits, direction, mask, target, temperature, weighted, cuts }: Row): RowPart[] {
  const within = (values: ArrayLike<number> | null, start: number, end: number) =>
    values && Array.from(values).slice(start, end);
  const ends = [...cuts, logits.length];
  return ends.map((end, k) => {
    const start = ends[k - 1] ?? 0;
    return {
      logits: logits.subarray(start, end),
      direction: direction.subarray(start, end),
      mask: mask?.subarray(start, end) ?? null,
      target: target >= start && target < end ? target - start : null,
      temperature,
      weighted: weighted
        ? {
            ...weighted,
            probabilities: within(weighted.probabilities, start, end),
            weight: within(weighted.weight, start, end),
          }
        : null,
    };
  });
}

function wholeRow(row: Row): Statistics {
  return mergeTree(partsOf(row).map(leaf), row.temperature);
}

function apply(row: Row, part: ApplyPart): Float64Array {
  const statistics = wholeRow(row);
  const out = new Float64Array(row.logits.length);
  let at = 0;
  for (const each of partsOf(row)) {
    part(out.subarray(at, at + each.logits.length), each, statistics);
    at += each.logits.length;
  }
  return out;
}

const arbitraryRow = (logit: fc.Arbitrary<number>): fc.Arbitrary<Row> =>
  fc
    .record({
      logits: fc.array(logit, { minLength: 1, maxLength: 40 }),
      temperature: fc.constantFrom(1, 0.5, 3.7),
      seed: fc.nat(),
      masked: fc.option(fc.array(fc.boolean(), { minLength: 40, maxLength: 40 })),
      directions: fc.array(fc.double({ min: -8, max: 8, noNaN: true }), { minLength: 40, maxLength: 40 }),
      cuts: fc.array(fc.nat(40), { maxLength: 8 }),
    })
    .map(({ logits, temperature, seed, masked, directions, cuts }) => ({
      logits: Float64Array.from(logits),
      direction: Float64Array.from(directions.slice(0, logits.length)),
      mask: masked && Uint8Array.from(masked.slice(0, logits.length), Number),
      target: seed % logits.length,
      temperature,
      cuts: cuts.map((cut) => cut % (logits.length + 1)).sort((a, b) => a - b),
    }));

const ordinary = fc.double({ min: -30, max: 30, noNaN: true });
/** Rows that are one-hot up to the last digits, and NaN and infinities. */
const special = fc.constantFrom(-Infinity, Infinity, Number.NaN, 0, 1, 40, 80, 800, -1e300);

const rowsOf = ({ logits }: Row) => ({ outer: 1, classes: logits.length, inner: 1 });
const ulp = 2 ** -52;

/** A bound in ULP: exp and log are accurate to one, and every merge rounds once. */
function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, scale: (i: number) => number, row: Row) {
  const bound = (12 + row.cuts.length) * ulp;
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    if (Number.isFinite(expected[i])) {
      expect(Math.abs(actual[i] - expected[i])).toBeLessThanOrEqual(bound * scale(i) + 2 ** -1050);
    } else expect(actual[i]).toBe(expected[i]);
  }
}

describe.each([
  ['ordinary logits', ordinary],
  ['special logits', special],
  ['both', fc.oneof(ordinary, special)],
])('rows split anywhere, of %s', (_, logit) => {
  test('softmax, log-softmax and log-sum-exp', () => {
    fc.assert(
      fc.property(arbitraryRow(logit), (row) => {
        const { temperature, mask } = row;
        const options = { temperature, mask };
        const p = softmax(row.logits, rowsOf(row), options);
        expectClose(apply(row, softmaxPart), p, (i) => p[i], row);
        const logP = logSoftmax(row.logits, rowsOf(row), options);
        expectClose(apply(row, logSoftmaxPart), logP, (i) => Math.abs(logP[i]), row);
        const lse = logSumExp(row.logits, rowsOf(row), options);
        const largest = Math.abs(wholeRow(row).max) / temperature;
        expectClose([logSumExpOf(wholeRow(row), temperature)], lse, () => Math.abs(lse[0]) + largest, row);
      }),
    );
  });

  test('vjp, relative to the terms that remain after cancellation', () => {
    fc.assert(
      fc.property(arbitraryRow(logit), (row) => {
        const { temperature, mask, direction } = row;
        const options = { temperature, mask };
        // logSumExpHvp with cotangent T is p ⊙ (u − ⟨p, u⟩) / T.
        const expected = logSumExpHvp(row.logits, [temperature], direction, rowsOf(row), options);
        const p = softmax(row.logits, rowsOf(row), options);
        // With a probability above ½, only differences to its entry are rounded; otherwise the mean ⟨p, u⟩ is, as in the kernels.
        const dominated = Math.max(...p) > 0.5;
        const size = direction.reduce((sum, u, j) => sum + (p[j] === 0 ? 0 : p[j] * Math.abs(u)), 0);
        const remains = (i: number) => {
          if (p[i] === 0) return 0;
          const differences = direction.reduce((sum, u, j) => sum + p[j] * Math.abs(u - direction[i]), 0);
          return p[i] * (8 * differences + (dominated ? 0 : size + Math.abs(direction[i])));
        };
        expectClose(apply(row, vjpPart), expected, (i) => remains(i) / temperature, row);
      }),
    );
  });

  test('cross-entropy: loss and gradient', () => {
    fc.assert(
      fc.property(arbitraryRow(logit), (row) => {
        const { temperature, mask, target } = row;
        const options = { temperature, mask, reduction: 'none' } as const;
        const expected = crossEntropy(row.logits, { kind: 'indices', values: [target] }, rowsOf(row), options);
        const loss = lossOf(wholeRow(row), temperature);
        expectClose([loss], expected.loss, () => Math.abs(expected.loss[0]), row);
        expectClose(apply(row, crossEntropyPart(1)), expected.gradient, (i) => Math.abs(expected.gradient[i]), row);
      }),
    );
  });

  test.each(['indices', 'probabilities'] as const)('cross-entropy with weights and smoothing, target of %s', (kind) => {
    const arbitrary = fc.record({
      row: arbitraryRow(logit),
      // Zero, or so large that no product with a share of the smoothing is subnormal.
      seeds: fc.array(fc.oneof(fc.constant(0), fc.double({ min: 1e-6, max: 2, noNaN: true })), {
        minLength: 80,
        maxLength: 80,
      }),
      labelSmoothing: fc.constantFrom(0, 0.1, 1),
      hasWeight: fc.boolean(),
    });
    fc.assert(
      fc.property(arbitrary, ({ row: plain, seeds, labelSmoothing, hasWeight }) => {
        const { logits, temperature, mask, target } = plain;
        const weight = hasWeight ? seeds.slice(0, logits.length) : null;
        const probabilities = kind === 'indices' ? null : seeds.slice(40, 40 + logits.length);
        const weighted = { probabilities, weight, labelSmoothing };
        const row = { ...plain, weighted };
        const given = { kind, values: probabilities ?? [target] };
        const options = { temperature, mask, weight, labelSmoothing, reduction: 'none' } as const;
        const expected = crossEntropy(logits, given, rowsOf(row), options);
        const loss = weightedLossOf(wholeRow(row), temperature, weighted);
        expectClose([loss], expected.loss, () => Math.abs(expected.loss[0]), row);
        const p = softmax(logits, rowsOf(row), { temperature, mask });
        const kept = logits.length - (mask?.reduce((sum, value) => sum + 1 - value, 0) ?? 0);
        const q = Array.from(logits, (_, j) => {
          if (mask?.[j] === 0) return 0;
          return (
            (weight?.[j] ?? 1) *
            ((1 - labelSmoothing) * (probabilities?.[j] ?? Number(j === target)) + labelSmoothing / kept)
          );
        });
        const withoutOne = (values: ArrayLike<number>, i: number) =>
          Array.from(values).reduce((sum, value, j) => sum + (j === i ? 0 : value), 0);
        const remains = (i: number) => (mask?.[i] === 0 ? 0 : 4 * (p[i] * withoutOne(q, i) + q[i] * withoutOne(p, i)));
        expectClose(apply(row, weightedCrossEntropyPart(1)), expected.gradient, remains, row);
      }),
    );
  });
});

describe('merging', () => {
  const a = leaf({ logits: [1, 2, 3], temperature: 1, direction: [1, 2, 3] });

  test('merging the identity on either side changes nothing', () => {
    expect(leaf({ logits: [5, 6], mask: [0, 0], temperature: 1 })).toEqual(identity);
    expect(leaf({ logits: [], temperature: 1 })).toEqual(identity);
    expect(merge(identity, a, 1)).toEqual(a);
    expect(merge(a, identity, 1)).toEqual(a);
    expect(merge(identity, identity, 1)).toEqual(identity);
    expect(mergeTree([], 1)).toEqual(identity);
  });

  test('a masked part changes nothing if targets have more than one class either', () => {
    const weighted = { probabilities: [0.2, 0.3, 0.5], weight: [1, 2, 3], labelSmoothing: 0.1 };
    const masked = leaf({ logits: [4, 5, 6], mask: [0, 0, 0], temperature: 1, weighted });
    const nothing = leaf({ logits: [-Infinity, -Infinity, -Infinity], temperature: 1, weighted });
    const some = leaf({ logits: [1, 3, 2], temperature: 1, weighted });
    expect(masked).toEqual(identity);
    for (const part of [some, nothing]) {
      const { kept, max, targets, weights } = part;
      // A part without a finite logit has no maximum whose entry the sums of others would have to exclude.
      const sumOf = ({ rest, atMax }: typeof targets) => rest + atMax;
      for (const merged of [merge(masked, part, 1), merge(part, masked, 1), mergeTree([masked, masked, part], 1)]) {
        expect(merged).toMatchObject({ kept, max, rest: part.rest });
        expect(merged.targets.gap).toBe(targets.gap);
        expect(sumOf(merged.targets)).toBeCloseTo(sumOf(targets), 15);
        expect(merged.weights.gap).toBe(weights.gap);
        expect(sumOf(merged.weights)).toBeCloseTo(sumOf(weights), 15);
      }
    }
  });

  test('a target on classes of −Infinity has an infinite loss, however many parts have only such classes', () => {
    const weighted = { probabilities: [0.5, 0.5], weight: null, labelSmoothing: 0 };
    const nothing = leaf({ logits: [-Infinity, -Infinity], temperature: 1, weighted });
    const some = leaf({ logits: [1, 2], temperature: 1, weighted });
    for (const parts of [
      [nothing, nothing, some],
      [some, nothing, nothing],
      [nothing, some, nothing],
    ]) {
      expect(weightedLossOf(mergeTree(parts, 1), 1, weighted)).toBe(Infinity);
    }
  });

  test('a row that does not count has no gradient, even if it is NaN', () => {
    const weighted = { probabilities: [0.5, 0.5], weight: null, labelSmoothing: 0.1 };
    for (const part of [crossEntropyPart(null), weightedCrossEntropyPart(null)]) {
      const out = Float64Array.of(7, 7);
      const row = { logits: [Number.NaN, 1], temperature: 1, weighted, target: 0 };
      part(out, row, leaf(row));
      expect(out).toEqual(Float64Array.of(0, 0));
    }
    expect(() => vjpPart(new Float64Array(1), { logits: [1], temperature: 1 }, identity)).toThrow(
      'a vector-Jacobian product needs a direction',
    );
  });

  test('a smoothing of which no share is left, or only shares, leaves out the weights that are infinitely far', () => {
    const loss = (labelSmoothing: number, logits: readonly number[], target: number) => {
      const weighted = { probabilities: null, weight: null, labelSmoothing };
      return weightedLossOf(leaf({ logits, temperature: 1, weighted, target }), 1, weighted);
    };
    expect(loss(5e-324, [0, -Infinity], 0)).toBe(0);
    expect(loss(1, [0, 0], 1)).toBeCloseTo(Math.log(2), 15);
    expect(loss(1, [0, -Infinity], 1)).toBe(Infinity);
  });

  test('a part with only −Infinity counts as kept, and changes nothing else', () => {
    const nothing = leaf({ logits: [-Infinity, -Infinity], temperature: 1 });
    expect(nothing).toMatchObject({ max: -Infinity, kept: 2, rest: 0 });
    for (const merged of [merge(nothing, a, 1), merge(a, nothing, 1)]) expect(merged).toEqual({ ...a, kept: 5 });
  });

  test('the tree depends only on the number of parts', () => {
    // Adjacent parts are merged first: the sum would be 1 from left to right, and is 2 in pairs of equal size.
    expect(sumTree([1e16, 1, -1e16, 1])).toBe(0);
    expect(sumTree([1e16, -1e16, 1, 1, 5])).toBe(7);
    expect(sumTree([1, 2, 3, 4, 5])).toBe(15);
    expect(sumTree([])).toBe(0);
  });

  test('a file of statistics represents them exactly', () => {
    const out = new Float64Array(2 * statisticsColumns);
    putStatistics(out, 1, a);
    expect(statisticsAt(out, 1)).toEqual(a);
    const weighted = { probabilities: [0.2, 0.3, 0.5], weight: [1, 2, 3], labelSmoothing: 0.1 };
    const b = leaf({ logits: [1, 3, 2], temperature: 1, weighted });
    const more = new Float64Array(2 * weightedColumns);
    putStatistics(more, 1, b, weightedColumns);
    expect(statisticsAt(more, 1, weightedColumns)).toEqual(b);
  });

  test('sums of many terms are accurate', () => {
    const logits = new Float64Array(1_000_001).fill(-20);
    logits[0] = 0;
    expect(leaf({ logits, temperature: 1 }).rest).toBe(Math.exp(-20) * 1e6);
  });
});
