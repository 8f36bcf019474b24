import { at } from './at.js';
import type { Candidate } from './form.js';
import { ofOtherRows } from './mistakes/other-operands.js';
import { rightProduct } from './mistakes/right.js';
import { rightLoss } from './mistakes/right-loss.js';
import { byIndex, each, numberAt, onFirstUse } from './numbers.js';
import type { Problem } from './problem.js';
import { some } from './rows-of-loss.js';

/** Rows in another order than what they are compared with; which one is taken from the numbers. */

/** The largest number of entries to compute: every row is compared with every other one. */
const affordable = 4e5;

/** The right formula with the operands of other rows, and its own rows in another order. */
function ofRows(problem: Problem, from: (row: number) => number, words: string): readonly Candidate[] {
  const { f } = problem;
  const rights = [...rightProduct.gives(problem), ...rightLoss.gives(problem)];
  const whole = rights.map(({ formula, values, terms }) => {
    const moved = (valueAt: (k: number) => number) =>
      onFirstUse(() => each(problem, (_, row, i) => valueAt(from(row) * f + i)));
    return { formula: `${formula}, of ${words}`, values: moved(byIndex(values)), terms: moved(byIndex(terms)) };
  });
  return [...ofOtherRows(problem, from, words), ...whole];
}

/** The candidates with each row computed from another one, which fits its numbers best, where each is that of one row alone. */
export function* shuffledRows(problem: Problem, data: Float64Array): Generator<Candidate> {
  const { n, f } = problem;
  if (n * n * f > affordable) return;
  const shifts = Array.from({ length: n }, (_, by) => ofRows(problem, (row) => (row + by) % n, ''));
  for (const which of shifts[0]?.keys() ?? []) {
    const distanceTo = (row: number, by: number): number => {
      const values = shifts[by]?.[which]?.values ?? data;
      let distance = 0;
      for (let k = row * f; k < (row + 1) * f; k++) distance += Math.abs(numberAt(values, k) - at(data, k));
      return distance;
    };
    const order = orderOf(n, distanceTo);
    const found = ofRows(problem, (row) => order[row] ?? row, `the rows ${some(order.map(String))}`)[which];
    if (found) yield found;
  }
}

/** For each row, the nearest one of those that no row before it has; the row itself where that is as near as any other. */
function orderOf(n: number, distanceTo: (row: number, by: number) => number): readonly number[] {
  const left = new Set(Array.from({ length: n }, (_, row) => row));
  return Array.from({ length: n }, (_, row) => {
    let nearest = row;
    let least = Number.POSITIVE_INFINITY;
    for (let by = 0; by < n; by++) {
      const other = (row + by) % n;
      const distance = left.has(other) ? distanceTo(row, by) : least;
      if (!(distance < least)) continue;
      least = distance;
      nearest = other;
    }
    left.delete(nearest);
    return nearest;
  });
}
