import type { HostArray } from './dtype.js';

/** How many elements are checked: a row of logits hardly ever begins with so many numbers that could be probabilities. */
const looked = 16;

/** The first numbers of an array that may change later. */
export function beginningOf(host: HostArray): readonly number[] {
  // A typed array of as many float64 would take ten times as long to make.
  const first = new Array<number>(Math.min(looked, host.length));
  for (let k = 0; k < first.length; k++) first[k] = host[k] ?? Number.NaN;
  return first;
}
