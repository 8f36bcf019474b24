import { oncePerProblem } from './once-per-problem.js';

/** The class of a one-hot row of the target, or −1. */
export function labelOf(y: Float64Array, row: number, f: number): number {
  return y.subarray(row * f, (row + 1) * f).indexOf(1);
}

/** The target's class of each row; null unless there is a target and every row of it is one-hot. */
export const labelsOf = oncePerProblem(({ target, y, n, f }): readonly number[] | null => {
  const all = target?.given ?? y;
  if (!all) return null;
  const labels = Array.from({ length: n }, (_, row) => labelOf(all, row, f));
  const ones = all.reduce((count, value) => count + (value === 0 ? 0 : 1), 0);
  return labels.includes(-1) || ones !== n ? null : labels;
});
