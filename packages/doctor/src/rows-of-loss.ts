import type { Candidate } from './form.js';
import { followsUpstream, rightLoss } from './mistakes/right-loss.js';
import { byIndex, each, type Numbers } from './numbers.js';
import type { Problem } from './problem.js';

/** What a loss that leaves out rows and one that weights them have in common: its gradient row by row. */

/** A candidate whose rows are multiplied by factors of their own. */
export function rowByRow(
  problem: Problem,
  all: Candidate,
  formula: string,
  factorOf: (row: number) => number,
): Candidate {
  const times = (numbers: Numbers) => {
    const numberAt = byIndex(numbers);
    return each(problem, (k, row) => numberAt(k) * factorOf(row));
  };
  return { formula, values: times(all.values), terms: times(all.terms), open: all.open && times(all.open) };
}

/** The gradients of the summed loss. */
export function summedLoss(problem: Problem): readonly Candidate[] {
  return followsUpstream(problem) ? [] : rightLoss.gives({ ...problem, reduction: 'sum' });
}

/** The largest magnitude from one index to before another. */
export function sizeOfRow(valueAt: (k: number) => number, start: number, end: number): number {
  let most = 0;
  for (let k = start; k < end; k++) most = Math.max(most, Math.abs(valueAt(k)));
  return most;
}

/** The first six of a list. */
export function some(texts: readonly string[]): string {
  return `${texts.slice(0, 6).join(', ')}${texts.length > 6 ? ' …' : ''}`;
}
