import { Decimal } from 'decimal.js';
import { expect } from 'vitest';
import type { FloatArray } from '../src/storage.js';
import { ulp } from './accuracy.js';
import type { DType } from './layouts.js';

export const Precise = Decimal.clone({ precision: 36, minE: -9e15, maxE: 9e15 });

/** The very float64: the constructor would take the shortest decimal that reads as it. */
export function precisely(x: number): Decimal {
  // Doubling would never end.
  if (!Number.isFinite(x)) throw new RangeError(`${x}, expected a finite number`);
  let whole = x;
  let halvings = 0;
  for (; !Number.isInteger(whole); halvings++) whole *= 2;
  return new Precise(BigInt(whole).toString()).div(new Precise(2).pow(halvings));
}

/** `length` logits that are the few values over and over again, from another one on for each row. */
export function repeating(length: number, values: readonly number[], row = 0): number[] {
  return Array.from({ length }, (_, k) => values[(k + row) % values.length]);
}

export interface Tolerance {
  readonly temperature?: number;
  /** In ULP. Smaller than 1: against the exact number, which rounding alone misses by ½. */
  readonly bar?: number;
  /** Probabilities below it are only expected within a spacing of subnormals. Default 1e-300, in float32 2^-126. */
  readonly least?: number;
}

/**
 * Expects softmax of one row, to 36 digits. Rows of few distinct logits cost as little as their distinct values, however long they are:
 * a test of a kernel's tiles and tails that is as strict as one of its arithmetic.
 */
export function expectShares(
  out: FloatArray,
  logits: ArrayLike<number>,
  dtype: DType,
  label: string,
  {
    temperature = 1,
    bar = dtype === 'float32' ? 0.65 : 0.53,
    least = dtype === 'float32' ? 2 ** -126 : 1e-300,
  }: Tolerance = {},
): void {
  const counts = new Map<number, number>();
  for (let k = 0; k < logits.length; k++) counts.set(logits[k], (counts.get(logits[k]) ?? 0) + 1);
  const shares = sharesOf(counts, temperature);
  const seen = new Map<number, number>();
  for (let k = 0; k < logits.length; k++) {
    const first = seen.get(logits[k]);
    if (first === out[k]) continue;
    if (first !== undefined) expect.fail(`${label}: ${out[k]} at ${k}, where an equal logit has ${first}`);
    seen.set(logits[k], out[k]);
    const error = errorOf(out[k], logits[k], shares, dtype);
    const rounded = shares.exact.get(logits[k])?.toNumber() ?? Number.NaN;
    if (!(error <= (rounded < least ? 1 : bar))) {
      expect.fail(`${label}: ${out[k]} at ${k}, off by ${error} ULP, expected ${rounded}`);
    }
  }
}

interface Shares {
  readonly exact: ReadonlyMap<number, Decimal>;
  /** Errors of results seen before: rows of a block have the same few. */
  readonly errors: Map<string, number>;
}

const known = new Map<string, Shares>();

function sharesOf(counts: ReadonlyMap<number, number>, temperature: number): Shares {
  const entries = [...counts].sort(([a], [b]) => a - b);
  const key = `${entries.join(' ')} / ${temperature}`;
  const before = known.get(key);
  if (before) return before;
  const finite = [...counts.keys()].filter(Number.isFinite);
  const largest = precisely(finite.reduce((a, b) => (b / temperature > a / temperature ? b : a)));
  const exps = entries.map(([value]) =>
    Number.isFinite(value) ? precisely(value).minus(largest).div(precisely(temperature)).exp() : new Precise(0),
  );
  const total = entries.reduce((sum, [, count], k) => sum.plus(exps[k].times(count)), new Precise(0));
  const shares = { exact: new Map(entries.map(([value], k) => [value, exps[k].div(total)])), errors: new Map() };
  known.set(key, shares);
  return shares;
}

/** In ULP; NaN where the result is not finite. */
function errorOf(result: number, logit: number, { exact, errors }: Shares, dtype: DType): number {
  const share = exact.get(logit);
  if (!share || !Number.isFinite(result)) return Number.NaN;
  const key = `${dtype} ${logit} ${result}`;
  const before = errors.get(key);
  if (before !== undefined) return before;
  const error = share.minus(precisely(result)).abs().div(ulp(share.toNumber(), dtype)).toNumber();
  errors.set(key, error);
  return error;
}
