import type { BoundCase } from '@softgrad/core/conformance';

/**
 * What cases of the suite cost beside each other: about milliseconds, measured on cpu, wasm, tfjs and gpujs, whose means agree within
 * a factor of two because most of the time goes to the reference in double-double arithmetic. By section, or by section and property;
 * the first property of the laws computes the reference that the others use again. On webgpu, compiling pipelines makes all cases of
 * cross-entropy with many options dearer, so that two of them cost more here than on the others.
 */
export const fusedCosts: Readonly<Record<string, number>> = {
  combinations: 75,
  'combinations/cross-entropy': 250,
  'combinations/cross-entropy-hvp': 140,
  'combinations/cross-entropy-jvp': 145,
  'combinations/cross-entropy-loss': 120,
  'combinations/cross-entropy-vjp': 145,
  'combinations/log-softmax-derivatives': 105,
  'combinations/log-softmax-values': 25,
  'combinations/log-sum-exp-values': 40,
  'combinations/softmax-values': 60,
  'combinations/softmin-values': 35,
  'cross-entropy': 4,
  'cross-entropy/one-loss': 75,
  extremes: 30,
  'extremes/cross-entropy-gradient': 50,
  'extremes/cross-entropy-loss': 51,
  'extremes/log-softmax-diagonal': 100,
  'extremes/log-softmax-jvp': 36,
  'extremes/log-softmax-vjp': 56,
  'extremes/nearly-one-hot': 2,
  'extremes/softmax-values': 6,
  'laws/axis': 3,
  'laws/in-place-equals-allocated': 25,
  'laws/out-equals-allocated': 3,
  'row-groups': 15,
  'softmax/lengths': 5,
  'vjp/huge-cotangents': 70,
  'vjp/lengths': 6,
};
/** The same without fused kernels, after the reference has been computed for the first run. */
export const composedCosts: Readonly<Record<string, number>> = {
  combinations: 33,
  'cross-entropy': 6,
  'cross-entropy/one-loss': 60,
  extremes: 12,
  'extremes/log-softmax-values': 35,
  laws: 2.5,
  'row-groups': 7,
  'row-groups/short': 12,
  vjp: 130,
};
/** All others. */
const usual = 1.5;

/** For each element of the logits, up to as many as cases compute one by one; and for each entry of a Jacobian. */
const perElement = 0.0025;
const mostElements = 70_000;
const perEntry = 0.0004;
/** What of that is left without the reference. */
const shareAgain = 0.5;

/** What a case costs beside others. */
export function costOf({ name, id, section }: Pick<BoundCase, 'name' | 'id' | 'section'>): number {
  const [property = id] = id.split(':');
  const again = name.includes(' (composed): ');
  const known = again ? composedCosts : fusedCosts;
  const own = known[property] ?? known[section] ?? usual;
  return own + costOfSize(id, section) * (again ? shareAgain : 1);
}

function costOfSize(id: string, section: string): number {
  const [, sizes = ''] = /shape=([\dx]+)/.exec(id) ?? [];
  const shape = sizes.split('x').filter(Boolean).map(Number);
  if (shape.length === 0) return 0;
  const elements = shape.reduce((product, size) => product * size, 1);
  if (section !== 'jacobian') return perElement * Math.min(elements, mostElements);
  const [, axis = 0] = /axis=(\d+)/.exec(id) ?? [];
  return perEntry * elements * (shape[Number(axis)] ?? 1);
}

/** The share of its time that the suite takes while its code is loaded and compiled, which it is when this share of its cost is done. */
const warmUp = { time: 0.04, cost: 0.02 };

/** The share of its time that a share of the suite's work takes. */
function shareOfTime(share: number): number {
  return share + warmUp.time * (1 - share) * Math.min(1, share / warmUp.cost);
}

/** Cases above this cost spend their time in the reference, those below it in the calls of the backend, whose speed differs between engines. */
const costOfCalls = 5;
/** The share of the cases of a kind after which their own speed is known. */
const knownFrom = 0.05;

/** Tells with each case that has been run, and its milliseconds, the share of the time of all cases that has passed. */
export function watchTime(
  cases: readonly Pick<BoundCase, 'name' | 'id' | 'section'>[],
): (one: Pick<BoundCase, 'name' | 'id' | 'section'>, milliseconds: number) => number {
  const kind = () => ({ total: 0, done: 0, time: 0 });
  const [calls, others] = [kind(), kind()];
  const kindOf = (cost: number) => (cost < costOfCalls ? calls : others);
  const costs = new Map(cases.map((one) => [one.name, costOf(one)]));
  for (const cost of costs.values()) kindOf(cost).total += cost;
  return (one, milliseconds) => {
    const cost = costs.get(one.name) ?? 0;
    const own = kindOf(cost);
    own.done += cost;
    own.time += milliseconds;
    const elapsed = calls.time + others.time;
    const pace = elapsed / (calls.done + others.done);
    const left = [calls, others].reduce((sum, { total, done, time }) => {
      return sum + Math.max(0, total - done) * (done > knownFrom * total ? time / done : pace);
    }, 0);
    return elapsed + left > 0 ? shareOfTime(elapsed / (elapsed + left)) : 0;
  };
}

/**
 * The cases in an order in which every part of it is a sample of the whole, so that the time that it took tells how much is left: of each
 * section, fused and composed, as much of its cost comes in every part. The last case, which closes the backend, stays.
 */
export function spread<C extends Pick<BoundCase, 'name' | 'id' | 'section' | 'skip'>>(
  cases: readonly C[],
): readonly C[] {
  const groups = new Map<string, C[]>();
  const toRun = cases.slice(0, -1).filter(({ skip }) => skip === null);
  for (const one of toRun) {
    const backend = one.name.slice(0, one.name.indexOf(': '));
    const key = `${backend}: ${one.section}`;
    const group = groups.get(key);
    if (group) group.push(one);
    else groups.set(key, [one]);
  }
  const placed = [...groups.values()].flatMap(placedByCost);
  placed.sort((a, b) => a.at - b.at);
  const skipped = cases.slice(0, -1).filter(({ skip }) => skip !== null);
  return [...skipped, ...placed.map(({ one }) => one), ...cases.slice(-1)];
}

/** Each case where the middle of its cost is in that of the group, from 0 to 1. */
function placedByCost<C extends Pick<BoundCase, 'name' | 'id' | 'section'>>(group: readonly C[]) {
  const total = group.reduce((sum, one) => sum + costOf(one), 0);
  let before = 0;
  return group.map((one) => {
    const cost = costOf(one);
    const at = (before + cost / 2) / total;
    before += cost;
    return { one, at };
  });
}
