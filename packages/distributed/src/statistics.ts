import { expOfGap, gapUnit } from './gap.js';

/**
 * The statistics of a row that is split among shards. A leaf describes one shard's part of the row. Leaves are merged, so that no shard needs
 * the logits of another one.
 *
 * Milakov & Gimelshein, Online normalizer calculation for softmax, 2018, with two changes that keep the accuracy of nearly one-hot
 * rows: the sum excludes the largest logit, whose term is 1; and a second sum of the cotangent is relative to the cotangent at the largest logit.
 */
export interface Statistics {
  /** m = max x over the entries that the mask keeps; −Infinity for the identity. NaN and +Infinity are kept. */
  readonly max: number;
  /** r = Σ exp((x − m) / T) without the entry of the maximum: the sum of all is 1 + r. */
  readonly rest: number;
  /** The number of entries that the mask keeps: 0 for the identity. */
  readonly kept: number;
  /** t = Σ exp((x − m) / T) u. */
  readonly weighted: number;
  /** u at the maximum. */
  readonly atMax: number;
  /** Σ exp((x − m) / T) (u − u at the maximum). */
  readonly centred: number;
  /** z, the target's logit, if the shard has it, else 0. */
  readonly target: number;
  /** 1 if the shard has the target and the mask keeps it, else 0. */
  readonly hasTarget: number;
  /** The sum of the target's weights w y, with y one-hot or probabilities. */
  readonly targets: WeightSums;
  /** The sum of the class weights w, for label smoothing. */
  readonly weights: WeightSums;
}

/** Sums of weights of the entries, for targets with more than one class. */
export interface WeightSums {
  /** Σ q without the entry of the maximum. */
  readonly rest: number;
  /** q at the maximum. */
  readonly atMax: number;
  /** Σ q (m − x) in `gapUnit`. */
  readonly gap: number;
}

const noWeights: WeightSums = { rest: 0, atMax: 0, gap: 0 };

/** How many numbers each row has in a file of statistics. */
export const statisticsColumns = 8;
/** The same for targets with more than one class. */
export const weightedColumns = 14;

/** The statistics of an empty or fully masked part of a row: merging it changes nothing. */
export const identity: Statistics = {
  max: Number.NEGATIVE_INFINITY,
  rest: 0,
  kept: 0,
  weighted: 0,
  atMax: 0,
  centred: 0,
  target: 0,
  hasTarget: 0,
  targets: noWeights,
  weights: noWeights,
};

/** One part of a row. */
export interface RowPart {
  readonly logits: ArrayLike<number>;
  readonly temperature: number;
  /** Entries where it is 0 are masked; in the layout of the logits. */
  readonly mask?: ArrayLike<number> | null;
  /** Cotangent or tangent, in the layout of the logits. */
  readonly direction?: ArrayLike<number> | null;
  /** The index of the target in this part; null if it is in another part. */
  readonly target?: number | null;
  /** For targets with more than one class. */
  readonly weighted?: WeightedTarget | null;
}

/** A target with probabilities, class weights or label smoothing; both arrays have the layout of the logits. */
export interface WeightedTarget {
  readonly probabilities: ArrayLike<number> | null;
  readonly weight: ArrayLike<number> | null;
  readonly labelSmoothing: number;
}

/** The weight of an entry in the target before smoothing: w y. */
export function targetWeight({ target, weighted }: RowPart, j: number): number {
  const y = weighted?.probabilities ? weighted.probabilities[j] : j === target ? 1 : 0;
  return y * classWeight(weighted, j);
}

export function classWeight(weighted: WeightedTarget | null | undefined, j: number): number {
  return weighted?.weight ? weighted.weight[j] : 1;
}

/** The statistics of one part of a row. */
export function leaf(part: RowPart): Statistics {
  const { logits, mask, target } = part;
  let max = Number.NEGATIVE_INFINITY;
  let at = -1;
  let kept = 0;
  for (let j = 0; j < logits.length; j++) {
    if (mask && mask[j] === 0) continue;
    kept++;
    const x = logits[j];
    // The first of equal maxima, or the last NaN. NaN is kept, because comparisons with NaN are false.
    if (x > max || at < 0 || Number.isNaN(x)) {
      max = x;
      at = j;
    }
  }
  if (kept === 0) return identity;
  const hasTarget = target !== null && target !== undefined && !(mask && mask[target] === 0);
  const own = {
    max,
    kept,
    target: hasTarget ? logits[target] : 0,
    hasTarget: hasTarget ? 1 : 0,
    ...weightSums(part, max, at),
  };
  if (max === Number.NEGATIVE_INFINITY) return { ...own, rest: 0, weighted: 0, atMax: 0, centred: 0 };
  if (!Number.isFinite(max)) {
    return { ...own, rest: Number.NaN, weighted: Number.NaN, atMax: Number.NaN, centred: Number.NaN };
  }
  return { ...own, ...sums(part, max, at) };
}

/** The sums of weights of a part whose maximum is at `at`. */
function weightSums(part: RowPart, max: number, at: number): Pick<Statistics, 'targets' | 'weights'> {
  const { logits, mask, weighted } = part;
  if (!weighted) return { targets: noWeights, weights: noWeights };
  const unit = gapUnit(part.temperature);
  const sumsOf = (q: (j: number) => number): WeightSums => {
    const rest = compensatedSum();
    const gap = compensatedSum();
    for (let j = 0; j < logits.length; j++) {
      if (mask && mask[j] === 0) continue;
      const own = q(j);
      if (j !== at) rest.add(own);
      gap.add(gapOf(own, max * unit, logits[j] * unit));
    }
    return { rest: rest.value(), atMax: q(at), gap: gap.value() };
  };
  return {
    targets: sumsOf((j) => targetWeight(part, j)),
    weights: weighted.labelSmoothing > 0 ? sumsOf((j) => classWeight(weighted, j)) : noWeights,
  };
}

/** `q (m − x)`: 0 for a weight of 0, and infinite for a logit of −Infinity, even if that is the maximum of a part. */
function gapOf(q: number, max: number, x: number): number {
  if (q === 0) return 0;
  return x === Number.NEGATIVE_INFINITY ? q * Number.POSITIVE_INFINITY : q * (max - x);
}

/** The sums of two parts; the first has the maximum. */
function mergeWeights(major: WeightSums, minor: WeightSums, drop: number): WeightSums {
  const moved = minor.rest + minor.atMax;
  const shift = moved === 0 ? 0 : moved * drop;
  return { rest: major.rest + moved, atMax: major.atMax, gap: major.gap + minor.gap + shift };
}

/** The sums of a part whose maximum is finite and at `at`. */
function sums(
  { logits, temperature, mask, direction }: RowPart,
  max: number,
  at: number,
): Pick<Statistics, 'rest' | 'weighted' | 'atMax' | 'centred'> {
  const rest = compensatedSum();
  if (!direction) {
    for (let j = 0; j < logits.length; j++) {
      if (j !== at && !(mask && mask[j] === 0)) rest.add(expOfGap(logits[j], max, temperature));
    }
    return { rest: rest.value(), weighted: 0, atMax: 0, centred: 0 };
  }
  const weighted = compensatedSum();
  const centred = compensatedSum();
  const atMax = direction[at];
  weighted.add(atMax);
  for (let j = 0; j < logits.length; j++) {
    if (j === at || (mask && mask[j] === 0)) continue;
    const e = expOfGap(logits[j], max, temperature);
    rest.add(e);
    weighted.add(e * direction[j]);
    centred.add(e * (direction[j] - atMax));
  }
  return { rest: rest.value(), weighted: weighted.value(), atMax, centred: centred.value() };
}

/** A sum whose error does not grow with the number of terms (Neumaier 1974). */
export function compensatedSum() {
  let sum = 0;
  let lost = 0;
  return {
    add(term: number): void {
      const next = sum + term;
      lost += Math.abs(sum) >= Math.abs(term) ? sum - next + term : term - next + sum;
      sum = next;
    },
    /** Without the correction if that is NaN because a term is not finite. */
    value: () => (Number.isFinite(sum) ? sum + lost : sum),
  };
}

/**
 * The statistics of two adjacent parts of a row. Not associative in floating point: use `mergeTree` to merge several.
 */
export function merge(left: Statistics, right: Statistics, temperature: number): Statistics {
  const own = {
    kept: left.kept + right.kept,
    target: left.target + right.target,
    hasTarget: left.hasTarget + right.hasTarget,
  };
  if (Number.isNaN(left.max) || Number.isNaN(right.max)) return { ...(Number.isNaN(left.max) ? left : right), ...own };
  const [major, minor] = left.max >= right.max ? [left, right] : [right, left];
  const unit = gapUnit(temperature);
  // A part that has only −Infinity has the gap that it will have after the merge.
  const drop = minor.max === Number.NEGATIVE_INFINITY ? 0 : major.max * unit - minor.max * unit;
  const mixed = {
    targets: mergeWeights(major.targets, minor.targets, drop),
    weights: mergeWeights(major.weights, minor.weights, drop),
  };
  if (minor.max === Number.NEGATIVE_INFINITY) return { ...major, ...own, ...mixed };
  const factor = expOfGap(minor.max, major.max, temperature);
  const sum = 1 + minor.rest;
  return {
    ...own,
    ...mixed,
    max: major.max,
    rest: major.rest + factor * sum,
    weighted: major.weighted + factor * minor.weighted,
    atMax: major.atMax,
    centred: major.centred + factor * (minor.centred + sum * (minor.atMax - major.atMax)),
  };
}

/** Merges adjacent parts, then adjacent results, and so on: a tree that depends only on the number of parts. */
export function mergeTree(parts: readonly Statistics[], temperature: number): Statistics {
  return tree(parts, (left, right) => merge(left, right, temperature), identity);
}

/** Sums numbers in the tree of `mergeTree`. */
export function sumTree(terms: readonly number[]): number {
  return tree(terms, (left, right) => left + right, 0);
}

function tree<T>(parts: readonly T[], combine: (left: T, right: T) => T, empty: T): T {
  if (parts.length <= 1) return parts[0] ?? empty;
  const half = 2 ** Math.ceil(Math.log2(parts.length) - 1);
  return combine(tree(parts.slice(0, half), combine, empty), tree(parts.slice(half), combine, empty));
}

/** Writes statistics into row `row` of the numbers of a file. */
export function putStatistics(out: Float64Array, row: number, s: Statistics, columns = statisticsColumns): void {
  const values = [s.max, s.rest, s.kept, s.weighted, s.atMax, s.centred, s.target, s.hasTarget];
  const weights = [s.targets, s.weights].flatMap(({ rest, atMax, gap }) => [rest, atMax, gap]);
  out.set([...values, ...weights].slice(0, columns), row * columns);
}

/** Row `row` of a file of statistics. */
export function statisticsAt(values: ArrayLike<number>, row: number, columns = statisticsColumns): Statistics {
  const at = row * columns;
  const weightsAt = (from: number): WeightSums =>
    columns < weightedColumns ? noWeights : { rest: values[from], atMax: values[from + 1], gap: values[from + 2] };
  return {
    max: values[at],
    rest: values[at + 1],
    kept: values[at + 2],
    weighted: values[at + 3],
    atMax: values[at + 4],
    centred: values[at + 5],
    target: values[at + 6],
    hasTarget: values[at + 7],
    targets: weightsAt(at + 8),
    weights: weightsAt(at + 11),
  };
}
