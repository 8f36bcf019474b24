import type { BoundCase } from '@softgrad/core/conformance';
import { type Costs, measuredCosts } from './measured-costs.js';

type Case = Pick<BoundCase, 'name' | 'id'>;

/** The name of a case in the tables of costs, the same for every backend: its id, after `composed` if it runs without fused kernels. */
export function keyOf({ name, id }: Case): string {
  return name.includes(' (composed): ') ? `composed ${id}` : id;
}

/** The kind of a case: its key without parameters, as `composed vjp/lengths`. */
export function kindOf(one: Case): string {
  return keyOf(one).replace(/:.*/s, '');
}

/** What a case costs beside others. */
export function costOf(one: Case, { cases, kinds, others }: Costs): number {
  return cases[keyOf(one)] ?? kinds[kindOf(one)] ?? others;
}

/** By how much the table of another backend must fit better than that of the backend itself, which on another device may be wrong. */
const clearlyBetter = 1.05;

/**
 * Tells, after each case that has been run and its milliseconds, how much of the time of all cases has passed: the share of their cost, by the backend's own
 * table of costs, or by the one that fits the times so far best: a backend of somebody else needs no table.
 */
export function watchTime(
  cases: readonly Case[],
  tables: Readonly<Record<string, Costs>> = measuredCosts,
): (one: Case, milliseconds: number) => number {
  const watched = Object.entries(tables).map(([backend, table]) => ({
    table,
    preference: cases[0]?.name.startsWith(`${backend}:`) ? clearlyBetter : 1,
    total: cases.reduce((sum, one) => sum + costOf(one, table), 0),
    done: 0,
    /** Sum of √(time · cost). Divided by √(Σ time · Σ cost), it is 1 if times are proportional to costs, and less otherwise. */
    common: 0,
  }));
  return (one, milliseconds) => {
    for (const each of watched) {
      const cost = costOf(one, each.table);
      each.done += cost;
      each.common += Math.sqrt(milliseconds * cost);
    }
    const likeness = ({ preference, common, done }: (typeof watched)[number]) =>
      (preference * common) / Math.sqrt(done);
    const best = watched.reduce((a, b) => (likeness(b) > likeness(a) ? b : a));
    return Math.min(1, best.done / best.total);
  };
}

/** The fractions of its multiples are spread evenly over [0, 1), however many there are. */
const goldenRatio = (Math.sqrt(5) - 1) / 2;

/**
 * The cases in an order in which every part of it is a sample of the whole, so that the time that it took tells how much is left: the cases of each kind are at
 * equal distances. The order depends on the cases alone, because those that come first compute what others of the suite use again. The last
 * case, which closes the backend, stays.
 */
export function spread<C extends Case>(cases: readonly C[]): readonly C[] {
  const kinds = new Map<string, C[]>();
  for (const one of cases.slice(0, -1)) {
    const kind = kinds.get(kindOf(one));
    if (kind) kind.push(one);
    else kinds.set(kindOf(one), [one]);
  }
  const placed = [...kinds.values()].flatMap((kind, k) => {
    const first = (k * goldenRatio) % 1;
    return kind.map((one, j) => ({ one, at: (j + first) / kind.length }));
  });
  placed.sort((a, b) => a.at - b.at);
  return [...placed.map(({ one }) => one), ...cases.slice(-1)];
}
