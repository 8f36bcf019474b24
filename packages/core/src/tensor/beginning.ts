import type { HostArray } from './dtype.js';

/** What is known of a tensor's first numbers. */
export interface Beginning {
  readonly least: number;
  readonly greatest: number;
}

/** How many numbers are looked at: a row of logits hardly ever begins with so many that could be probabilities. */
const looked = 16;

export function beginningOf(host: HostArray): Beginning {
  let least = Number.POSITIVE_INFINITY;
  let greatest = Number.NEGATIVE_INFINITY;
  const end = Math.min(looked, host.length);
  for (let i = 0; i < end; i++) {
    const value = host[i] ?? Number.NaN;
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  return { least, greatest };
}
