import { type BoundCase, conformance } from '@softgrad/core/conformance';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ownBackends } from '../src/backend.js';
import { composedCosts, costOf, fusedCosts, spread, watchTime } from '../src/conformance-cost.js';
import { startProgress } from '../src/progress.js';
import { recorder } from './command.js';

let bound: readonly BoundCase[] = [];
beforeAll(async () => {
  bound = await conformance(await ownBackends.load('cpu'));
});
afterAll(() => bound.at(-1)?.run());

function groupOf({ name, section }: BoundCase): string {
  return `${name.slice(0, name.indexOf(': '))}: ${section}`;
}

function sumOf(cases: readonly BoundCase[]): number {
  return cases.reduce((sum, one) => sum + costOf(one), 0);
}

test('cases are run so that every part of the run is a sample of it, and the last, which closes the backend, is the last', () => {
  const order = spread(bound);
  expect(new Set(order)).toEqual(new Set(bound));
  expect(order).toHaveLength(bound.length);
  expect(order.at(-1)).toBe(bound.at(-1));
  const run = order.filter(({ skip }) => skip === null).slice(0, -1);
  const groups = [...new Set(run.map(groupOf))].map((group) => run.filter((one) => groupOf(one) === group));
  expect(groups.length).toBeGreaterThan(20);
  const namesOf = (cases: readonly BoundCase[]) => cases.map(({ name }) => name);
  const inOrder = bound.slice(0, -1).filter(({ skip }) => skip === null);
  for (const group of groups)
    expect(namesOf(group)).toEqual(namesOf(inOrder.filter((one) => groupOf(one) === groupOf(group[0]))));
  // Of every group the same share of its cost has been run, to one case.
  for (let count = 50; count < run.length; count += 50) {
    const done = new Set(run.slice(0, count));
    const shares = groups.map((group) => {
      const dearest = Math.max(...group.map(costOf)) / sumOf(group);
      const share = sumOf(group.filter((one) => done.has(one))) / sumOf(group);
      return { least: share - dearest, most: share + dearest };
    });
    expect(Math.max(...shares.map(({ least }) => least))).toBeLessThanOrEqual(
      Math.min(...shares.map(({ most }) => most)),
    );
  }
});

test('every cost is that of cases of the suite, and larger cases of a kind cost more', () => {
  for (const [costs, again] of [
    [fusedCosts, false],
    [composedCosts, true],
  ] as const) {
    const known = bound.filter(({ name }) => name.includes(' (composed): ') === again);
    const kinds = new Set(known.flatMap(({ id, section }) => [section, id.split(':')[0]]));
    expect(Object.keys(costs).filter((kind) => !kinds.has(kind))).toEqual([]);
  }
  const cost = (id: string, name = `cpu: ${id}`) => costOf({ id, name, section: id.split('/')[0] ?? '' });
  expect(cost('laws/in-place-equals-allocated:operation=relu')).toBeGreaterThan(5 * cost('laws/axis:operation=relu'));
  expect(cost('softmax/values:shape=1x65537;axis=1')).toBeGreaterThan(50 * cost('softmax/values:shape=1x3;axis=1'));
  expect(cost('jacobian/values:shape=1x1000;axis=1')).toBeGreaterThan(50 * cost('jacobian/values:shape=1000x1;axis=1'));
  const large = 'cross-entropy/loss:shape=1x40000;axis=1';
  expect(cost(large, `cpu (composed): ${large}`)).toBeLessThan(cost(large));
});

describe('what is left is told to a factor of 1.5, from a tenth of the time on', () => {
  /** What a case takes where code runs at a speed, is compiled in the first calls, and costs are off by up to a factor of 2. */
  const engines: Readonly<Record<string, (one: BoundCase, share: number, k: number) => number>> = {
    'as measured': (one) => costOf(one),
    slow: (one) => 20 * costOf(one),
    'compiled first': (one, share) => costOf(one) * (share < 0.1 ? 2 : 1),
    'scattered costs': (one, _, k) => costOf(one) * 2 ** Math.sin(k * k),
    'dear calls': (one) => costOf(one) + 1,
    'cheap calls': (one) => (costOf(one) < 5 ? 0.3 : 1) * costOf(one),
    'calls that take twice as long as others': (one) => (costOf(one) < 5 ? 2 : 1) * costOf(one),
  };

  test.each(Object.entries(engines))('%s', (_, timeOf) => {
    const run = spread(bound).filter(({ skip }) => skip === null);
    const total = sumOf(run);
    let done = 0;
    const times = run.map((one, k) => {
      done += costOf(one);
      return 1000 * timeOf(one, done / total, k);
    });
    const all = times.reduce((sum, time) => sum + time, 0);
    const watch = watchTime(run);
    let elapsed = 0;
    const told = run.map((one, k) => {
      elapsed += times[k];
      return { at: elapsed, share: watch(one, times[k]) };
    });
    expect(told.at(-1)?.share).toBeCloseTo(1, 9);
    for (const mark of [0.1, 0.2, 0.5, 0.8, 0.9]) {
      const { at, share } = told.find((one) => one.at >= mark * all) ?? { at: all, share: 1 };
      const left = toldAfter(at, share);
      expect(left / ((all - at) / 1000), `at ${mark}`).toBeGreaterThan(1 / 1.5);
      expect(left / ((all - at) / 1000), `at ${mark}`).toBeLessThan(1.5);
    }
  });
});

/** The seconds that the bar says are left after so many milliseconds. */
function toldAfter(elapsed: number, share: number): number {
  let at = 0;
  const stderr = recorder(true);
  const progress = startProgress('conformance', 1, {
    stdout: recorder(true),
    stderr,
    now: () => at,
    after: () => () => {},
  });
  at = elapsed;
  progress.update(share);
  progress.stop();
  const told = [...stderr.text().matchAll(/% (\S+) left/g)].at(-1)?.[1];
  return secondsOf(told ?? '');
}

/** `1h20m`, `2m05s` and `7s` in seconds. */
function secondsOf(text: string): number {
  const [, hours = '0', minutes = '0', seconds = '0'] = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(text) ?? [];
  return 3600 * Number(hours) + 60 * Number(minutes) + Number(seconds);
}
