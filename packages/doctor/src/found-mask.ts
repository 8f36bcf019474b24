import { isSet } from './at.js';
import type { Candidate, Goal } from './form.js';
import { enough, type FoundMask, type Inferred, type MaskEntry, mostInCode } from './found-options.js';
import { rightProduct } from './mistakes/right.js';
import { followsUpstream, rightLoss } from './mistakes/right-loss.js';
import { outputOf, type Problem } from './problem.js';

/** The correct gradient if the entries whose gradient is exactly 0 were masked out. */
export function maskedEntries(problem: Problem, data: Float64Array): Inferred[] {
  const { x, n, f, temperature, masked, layer, y } = problem;
  if (!x || masked || layer === 'sigmoid' || !data.includes(0)) return [];
  const keep = Uint8Array.from(data, (value) => (value === 0 ? 0 : 1));
  const removed = keep.reduce((count, kept) => count + 1 - kept, 0);
  const all = Array.from({ length: n }, (_, row) => keep.subarray(row * f, (row + 1) * f));
  const counts = all.map((row) => row.includes(1));
  const rows = all.filter((_, row) => counts[row]);
  const kept = rows.reduce((count, row) => count + row.reduce((sum, one) => sum + one, 0) - 1, 0);
  // A row that is 0 throughout shows no mask: it may never have been written.
  if (rows.every((row) => !row.includes(0)) || kept < enough) return [];
  const logits = x.map((value, k) => (isSet(keep, k) ? value : Number.NEGATIVE_INFINITY));
  const s = outputOf(logits, problem, temperature);
  // Rows in which every entry is masked do not contribute to the loss.
  const target = y?.map((value, k) => (counts[Math.floor(k / f)] ? value : 0)) ?? null;
  if (target?.some((value, k) => value > 0 && !isSet(keep, k))) return [];
  const other: Problem = { ...problem, x: logits, s, y: target, masked: { keep, x } };
  const losses = followsUpstream(other) ? [] : rightLoss.gives(other);
  const mask = maskInCode(problem, keep);
  const withMask = (found: Candidate, goal: Goal): Inferred => ({
    ...found,
    formula: `${found.formula}, with the ${removed} entries masked whose gradient is 0`,
    options: found.unusual ? undefined : { mask, goal },
  });
  return [
    ...rightProduct.gives(other).map((found) => withMask(found, 'product')),
    ...losses.map((found) => withMask(found, 'loss')),
  ];
}

/**
 * The mask as it is written in code; null if it is too long, or if a row is 0 throughout that is no ignored row: the gradient of a row of which
 * one class is kept is 0, whichever that is.
 */
function maskInCode({ n, f, shape, axis, target }: Problem, keep: Uint8Array): FoundMask {
  const rows = Array.from({ length: n }, (_, row) => Array.from(keep.subarray(row * f, (row + 1) * f), Boolean));
  const isIgnored = (row: number) => target?.counted != null && !isSet(target.counted, row);
  if (rows.some((row, k) => !row.includes(true) && !isIgnored(k))) return null;
  const [first, ...others] = rows.filter((_, row) => !isIgnored(row));
  if (!first || f > mostInCode) return null;
  if (others.every((row) => row.join() === first.join())) {
    const nested = (entry: MaskEntry, depth: number): MaskEntry => (depth === 0 ? entry : nested([entry], depth - 1));
    return first.map((entry) => nested(entry, shape.length - 1 - axis));
  }
  return shape.length === 2 && axis === 1 && keep.length <= mostInCode && others.length === n - 1 ? rows : null;
}
