import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { type BoundCase, conformance } from '@softgrad/core/conformance';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ownBackends } from '../src/backend.js';
import { costOf, keyOf, kindOf, spread, watchTime } from '../src/conformance-cost.js';
import { measuredCosts } from '../src/measured-costs.js';
import { startProgress } from '../src/progress.js';
import { recorder } from './command.js';

let bound: readonly BoundCase[] = [];
beforeAll(async () => {
  bound = await conformance(await ownBackends.load('cpu'));
});
afterAll(() => bound.at(-1)?.run());

test('cases are run so that every part of the run is a sample of it, and the last, which closes the backend, is the last', () => {
  const order = spread(bound);
  expect(new Set(order)).toEqual(new Set(bound));
  expect(order).toHaveLength(bound.length);
  expect(order.at(-1)).toBe(bound.at(-1));
  // In the order of the suite, and no part of the run has two more of a kind than its share, or two fewer.
  const inOrder = grouped(bound.slice(0, -1));
  const placed = grouped(order.slice(0, -1));
  const place = new Map(order.map((one, k) => [one, k / (order.length - 1)]));
  expect(placed.size).toBeGreaterThan(200);
  const off: string[] = [];
  for (const [kind, cases] of placed) {
    expect(cases.map(keyOf), kind).toEqual(inOrder.get(kind)?.map(keyOf));
    if (cases.some((one, j) => Math.abs((place.get(one) ?? 0) * cases.length - j) >= 2)) off.push(kind);
  }
  expect(off).toEqual([]);
  // The kinds do not begin all at once.
  const begins = [...placed.values()].map((cases) => (place.get(cases[0]) ?? 0) * cases.length);
  for (let tenth = 0; tenth < 10; tenth++) {
    const share = begins.filter((begin) => Math.floor(10 * begin) === tenth).length / begins.length;
    expect(Math.abs(share - 0.1), `${tenth}`).toBeLessThan(0.05);
  }
});

function grouped(cases: readonly BoundCase[]): Map<string, BoundCase[]> {
  const kinds = new Map<string, BoundCase[]>();
  for (const one of cases) kinds.set(kindOf(one), [...(kinds.get(kindOf(one)) ?? []), one]);
  return kinds;
}

test('every cost is that of cases of the suite', () => {
  const [keys, kinds] = [new Set(bound.map(keyOf)), new Set(bound.map(kindOf))];
  for (const costs of Object.values(measuredCosts)) {
    expect(Object.keys(costs.cases).filter((key) => !keys.has(key))).toEqual([]);
    expect(Object.keys(costs.kinds).filter((kind) => !kinds.has(kind))).toEqual([]);
    expect(Math.min(costs.others, ...Object.values(costs.cases), ...Object.values(costs.kinds))).toBeGreaterThan(0);
  }
  // In thousandths of a run.
  const total = bound.filter(({ skip }) => skip === null).reduce((sum, one) => sum + costOf(one, measuredCosts.cpu), 0);
  expect(Math.abs(total - 1000)).toBeLessThan(50);
});

test('a case costs what the table says of it, else what it says of its kind, else as much as others', () => {
  const costs = {
    cases: { 'vjp/a:n=2': 7, 'composed vjp/a:n=2': 5 },
    kinds: { 'vjp/a': 3, 'composed vjp/b': 2 },
    others: 1,
  };
  const cost = (id: string, label: string) => costOf({ id, name: `${label}: ${id}` }, costs);
  expect(['vjp/a:n=2', 'vjp/a:n=3', 'vjp/a', 'vjp/b:n=2'].map((id) => cost(id, 'mine'))).toEqual([7, 3, 3, 1]);
  expect(['vjp/a:n=2', 'vjp/a:n=3', 'vjp/b:n=2'].map((id) => cost(id, 'mine (composed)'))).toEqual([5, 1, 2]);
});

test('the share is that of the table whose costs are nearest to proportional to the times, the own one unless another is clearly nearer', () => {
  const table = (a: number, b: number, c: number, d: number) => ({ cases: { a, b, c, d }, kinds: {}, others: 1 });
  const tables = { even: table(1, 1, 1, 1), uneven: table(1, 8, 1, 30) };
  const sharesOf = (backend: string, ...times: readonly number[]) => {
    const cases = ['a', 'b', 'c', 'd'].map((id) => ({ id, name: `${backend}: ${id}` }));
    const watch = watchTime(cases, tables);
    return cases.map((one, k) => watch(one, times[k]));
  };
  const [even, uneven] = [
    [1 / 4, 2 / 4, 3 / 4, 1],
    [1 / 40, 9 / 40, 10 / 40, 1],
  ];
  // With one case, all tables fit as well, and the first is used.
  expect(sharesOf('mine', 5, 5, 5, 5)).toEqual(even);
  expect(sharesOf('mine', 5, 40, 5, 150)).toEqual([even[0], ...uneven.slice(1)]);
  expect(sharesOf('uneven', 5, 40, 5, 150)).toEqual(uneven);
  expect(sharesOf('even', 5, 40, 5, 150)).toEqual([even[0], ...uneven.slice(1)]);
  // A little nearer to the other one.
  expect(sharesOf('even', 5, 13, 5, 5)).toEqual(even);
  expect(sharesOf('uneven', 5, 13, 5, 5)[1]).toBe(uneven[1]);
  expect(sharesOf('mine', 0, 0, 0, 0)).toEqual(even);
});

/** Milliseconds of each case of a run of `softgrad conformance`, in its order, by `npm run conformance:costs`; no part of the costs. */
const recorded: Readonly<Record<string, Readonly<Record<string, number>>>> = JSON.parse(
  gunzipSync(readFileSync(new URL('fixtures/conformance-times.json.gz', import.meta.url))).toString(),
);

describe('what is left is told to a factor of 1.5, or to a second, from a tenth of the time to nine tenths', () => {
  const machines: Readonly<Record<string, (milliseconds: number) => number>> = {
    'as recorded': (milliseconds) => milliseconds,
    'on a machine that is ten times as slow': (milliseconds) => 10 * milliseconds,
  };
  const runs = Object.keys(recorded).flatMap((backend) => Object.keys(machines).map((machine) => [backend, machine]));

  test.each(runs)('%s %s', (backend, machine) => {
    const cases = Object.keys(recorded[backend]).map((key) => {
      const id = key.replace('composed ', '');
      return { id, name: `${backend}${key === id ? '' : ' (composed)'}: ${id}` };
    });
    const times = Object.values(recorded[backend]).map(machines[machine]);
    const all = times.reduce((sum, time) => sum + time, 0);
    const watch = watchTime(cases);
    const marks = [0.1, 0.25, 0.5, 0.75, 0.9];
    let elapsed = 0;
    let furthest = 1;
    for (const [k, one] of cases.entries()) {
      elapsed += times[k];
      const share = watch(one, times[k]);
      const left = all - elapsed;
      const told = elapsed * (1 / share - 1);
      if (elapsed < 0.1 * all || elapsed > 0.9 * all) continue;
      if (Math.abs(told - left) > 1000) furthest = Math.max(furthest, told / left, left / told);
      if (elapsed < marks[0] * all) continue;
      marks.shift();
      // The bar rounds up to whole seconds.
      const shown = secondsOn(elapsed, share) - told / 1000;
      expect(shown).toBeGreaterThanOrEqual(0);
      expect(shown).toBeLessThan(1);
    }
    expect(furthest).toBeLessThan(1.5);
    expect(watch(cases[0], 0)).toBe(1);
  });
});

/** The seconds that the bar says are left after so many milliseconds. */
function secondsOn(elapsed: number, share: number): number {
  let at = 0;
  const stderr = recorder(true);
  const streams = { stdout: recorder(true), stderr, env: {}, now: () => at, after: () => () => {} };
  const progress = startProgress('conformance', 1, streams);
  at = elapsed;
  progress.update(share);
  progress.stop();
  return secondsOf([...stderr.text().matchAll(/% (\S+) left/g)].at(-1)?.[1] ?? '');
}

/** `1h20m`, `2m05s` and `7s` in seconds. */
function secondsOf(text: string): number {
  const [, hours = '0', minutes = '0', seconds = '0'] = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(text) ?? [];
  return 3600 * Number(hours) + 60 * Number(minutes) + Number(seconds);
}
