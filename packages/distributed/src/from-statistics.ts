import { expOfGap, gapUnit, quotientOfGap } from './gap.js';
import {
  classWeight,
  type RowPart,
  type Statistics,
  targetWeight,
  type WeightedTarget,
  type WeightSums,
} from './statistics.js';

/** Writes the results for part of a row, given the statistics of the whole row. */
export type ApplyPart = (out: Float32Array | Float64Array, part: RowPart, row: Statistics) => void;

/** `exp((x − m) / T) / s`; 0 where masked. */
export const softmaxPart: ApplyPart = (out, part, { max, rest }) => {
  const { logits, temperature } = part;
  const sum = 1 + rest;
  fill(out, part, 0, (j) => expOfGap(logits[j], max, temperature) / sum);
};

/** `(x − m) / T − log s`; −Infinity where masked. */
export const logSoftmaxPart: ApplyPart = (out, part, { max, rest }) => {
  const { logits, temperature } = part;
  const logSum = Math.log1p(rest);
  fill(out, part, Number.NEGATIVE_INFINITY, (j) => quotientOfGap(logits[j], max, temperature) - logSum);
};

/**
 * `p (u − ⟨p, u⟩) / T`; 0 where masked. If one probability is above ½, u at that entry is subtracted from all others first, because then only
 * the differences remain after cancellation.
 */
export const vjpPart: ApplyPart = (out, part, { max, rest, weighted, atMax, centred }) => {
  const { logits, temperature, direction } = part;
  if (!direction) throw new Error('a vector-Jacobian product needs a direction');
  const sum = 1 + rest;
  const shift = sum < 2 ? atMax : 0;
  const mean = (sum < 2 ? centred : weighted) / sum;
  fill(out, part, 0, (j) => {
    const p = expOfGap(logits[j], max, temperature) / sum;
    return (p * (direction[j] - shift - mean)) / temperature;
  });
};

/**
 * `scale (p − y) / T` with y one-hot at the target; 0 where masked. At the largest logit, `p − 1` is computed as `−r / s`, which does not cancel.
 *
 * @param scale null for an ignored row, 1/N for the mean
 */
export function crossEntropyPart(scale: number | null): ApplyPart {
  return (out, part, { max, rest, hasTarget }) => {
    const { logits, temperature, target } = part;
    const sum = 1 + rest;
    if (scale === null) return void out.fill(0);
    const factor = scale / temperature;
    fill(out, part, 0, (j) => {
      const e = expOfGap(logits[j], max, temperature);
      // If the target is masked, the loss is 0, unless the row is NaN.
      if (j !== target) return (e / sum) * hasTarget * factor;
      // NaN, not 0, in a row that has only −Infinity.
      return (logits[j] - max === 0 ? -rest / sum : e / sum - 1) * factor;
    });
  };
}

/** `scale (p Σ q − q) / T` for a target of weights q, smoothed: q = (1 − ε) w y + ε w / K. For a probability above ½: `p Σ_others q − q Σ_others p`. */
export function weightedCrossEntropyPart(scale: number | null): ApplyPart {
  return (out, part, row) => {
    const { logits, temperature, weighted } = part;
    const { max, rest, kept } = row;
    const sum = 1 + rest;
    if (scale === null || !weighted) return void out.fill(0);
    const factor = scale / temperature;
    const [certain, share] = mixOf(weighted, kept);
    const others = certain * row.targets.rest + share * row.weights.rest;
    const total = others + certain * row.targets.atMax + share * row.weights.atMax;
    fill(out, part, 0, (j) => {
      const e = expOfGap(logits[j], max, temperature);
      const q = certain * targetWeight(part, j) + share * classWeight(weighted, j);
      // NaN, not 0, in a row that has only −Infinity.
      const isTop = sum < 2 && logits[j] - max === 0;
      return (isTop ? others / sum - q * (rest / sum) : (e / sum) * total - q) * factor;
    });
  };
}

/** `Σ q (log Σ exp(x / T) − x / T)` for a target of weights q, given the statistics of a whole row; 0 if the mask keeps nothing. */
export function weightedLossOf(row: Statistics, temperature: number, weighted: WeightedTarget): number {
  const { max, rest, kept, targets, weights } = row;
  if (kept === 0) return 0;
  if (!Number.isFinite(max)) return Number.NaN;
  const [certain, share] = mixOf(weighted, kept);
  const mix = (of: (sums: WeightSums) => number) =>
    (certain === 0 ? 0 : certain * of(targets)) + (share === 0 ? 0 : share * of(weights));
  return (
    mix(({ gap }) => gap) / (temperature * gapUnit(temperature)) +
    Math.log1p(rest) * mix((sums) => sums.rest + sums.atMax)
  );
}

/** The factors of w y and of w: 1 − ε, and ε divided by the number of classes that the mask keeps. If it keeps none, no entry reads them. */
function mixOf({ labelSmoothing }: WeightedTarget, kept: number): readonly [certain: number, share: number] {
  return [1 - labelSmoothing, labelSmoothing / kept];
}

function fill(
  out: Float32Array | Float64Array,
  { logits, mask }: RowPart,
  masked: number,
  value: (j: number) => number,
) {
  for (let j = 0; j < logits.length; j++) out[j] = mask && mask[j] === 0 ? masked : value(j);
}

/** `log Σ exp(x / T)`, given the statistics of a whole row; −Infinity if the mask keeps nothing. */
export function logSumExpOf({ max, rest }: Statistics, temperature: number): number {
  return Number.isFinite(max) ? max / temperature + Math.log1p(rest) : max;
}

/** `log Σ exp(x / T) − z / T`, given the statistics of a whole row; 0 if the target is masked, unless the row is NaN. */
export function lossOf({ max, rest, kept, target, hasTarget }: Statistics, temperature: number): number {
  if (hasTarget === 0) return Number.isFinite(max) || kept === 0 ? 0 : Number.NaN;
  return Math.log1p(rest) - quotientOfGap(target, max, temperature);
}
