import { describe, expect, test } from 'vitest';
import { type Combination, coveringArray, type Levels } from '../conformance/covering-array.js';

/** Every combination there is. */
function everything<L extends Levels>(levels: L): readonly Combination<L>[] {
  let all: Record<string, unknown>[] = [{}];
  for (const [name, values] of Object.entries(levels)) {
    all = all.flatMap((chosen) => values.map((value) => ({ ...chosen, [name]: value })));
  }
  return all as Combination<L>[];
}

/** The pairs or triples of `name=level` that stand together somewhere. */
function tuples(combinations: readonly object[], strength: 2 | 3): Set<string> {
  const found = new Set<string>();
  for (const combination of combinations) {
    const parts = Object.entries(combination).map(([name, level]) => `${name}=${String(level)}`);
    parts.forEach((a, i) => {
      parts.slice(i + 1).forEach((b, j) => {
        if (strength === 2) found.add(`${a} ${b}`);
        else for (const c of parts.slice(i + j + 2)) found.add(`${a} ${b} ${c}`);
      });
    });
  }
  return found;
}

const levels = {
  rank: [1, 2, 3, 4],
  axis: ['first', 'middle', 'last'],
  mask: ['none', 'full', 'row', 'repeated'],
  temperature: [undefined, 0.3, 2.87],
  out: ['none', 'given'],
} as const;

/** A middle axis needs three dimensions, a mask that repeats needs two, and a mask of rows excludes a temperature. */
const allowed = ({ rank, axis, mask, temperature }: Partial<Combination<typeof levels>>) =>
  !(axis === 'middle' && rank !== undefined && rank < 3) &&
  !(mask === 'repeated' && rank === 1) &&
  !(mask === 'row' && temperature === 0.3);

describe('a covering array', () => {
  test.for([2, 3] as const)('has every tuple of %i levels that can stand together, and nothing else', (strength) => {
    const array = coveringArray(levels, { seed: 'test', strength, allowed });
    expect(array.filter((combination) => !allowed(combination))).toEqual([]);
    const possible = tuples(everything(levels).filter(allowed), strength);
    expect(tuples(array, strength)).toEqual(possible);
  });

  test('is far smaller than the product, and never smaller than its two largest options need', () => {
    expect(everything(levels).length).toBe(288);
    const pairs = coveringArray(levels, { seed: 'test' });
    expect(pairs.length).toBeGreaterThanOrEqual(16);
    expect(pairs.length).toBeLessThan(24);
    expect(coveringArray(levels, { seed: 'test', strength: 3 }).length).toBeLessThan(90);
  });

  test('is the same for the same seed and another for another', () => {
    const array = (seed: string) => coveringArray(levels, { seed });
    expect(array('a')).toEqual(array('a'));
    expect(array('a')).not.toEqual(array('b'));
  });

  test('backtracks if the first choices leave no level for the rest', () => {
    const chain = { a: [0, 1, 2], b: [0, 1, 2], c: [0, 1, 2] } as const;
    // Only a = b = c is left once all are chosen; a pair alone never shows it.
    const equal = ({ a, b, c }: Partial<Combination<typeof chain>>) =>
      a === undefined || b === undefined || c === undefined || (a === b && b === c);
    const array = coveringArray(chain, { seed: 'test', allowed: equal });
    expect(array.toSorted((x, y) => x.a - y.a)).toEqual([0, 1, 2].map((n) => ({ a: n, b: n, c: n })));
  });

  test('of fewer options than its strength is empty', () => {
    expect(coveringArray({ a: [1, 2] }, { seed: 'test' })).toEqual([]);
  });
});
