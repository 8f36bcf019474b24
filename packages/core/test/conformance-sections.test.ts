import { describe, expect, test } from 'vitest';
import { type BoundCase, conformance, exact, reportCase, sections, skipReasons } from '../conformance/index.js';
import { minimal } from './minimal-backend.js';

/** A case that notes that it ran, or fails. */
function bound(label: string, id: string, run: () => Promise<void>, skip: string | null = null): BoundCase {
  return { id, section: id.slice(0, id.indexOf('/')), name: `${label}: ${id}`, skip, run };
}

describe('sections', () => {
  test('run their cases in the order of the suite, those that do not apply left out, the closing case last', async () => {
    const ran: string[] = [];
    const noting = (label: string, id: string, skip: string | null = null) =>
      bound(label, id, async () => void ran.push(`${label} ${id}`), skip);
    const cases = [
      noting('a', 'storage/one'),
      noting('a', 'lifecycle/dispose'),
      noting('a', 'storage/two'),
      noting('a', 'vjp/only', 'has no float64'),
      noting('a (composed)', 'storage/one'),
      noting('a', 'lifecycle/close'),
    ];
    const grouped = sections(cases);
    expect(grouped.map((section) => [section.name, section.cases.map(({ id }) => id)])).toEqual([
      ['a: storage', ['storage/one', 'storage/two']],
      ['a: lifecycle', ['lifecycle/dispose']],
      ['a (composed): storage', ['storage/one']],
      ['a: lifecycle/close', ['lifecycle/close']],
    ]);
    for (const { run } of grouped) await run();
    expect(ran).toEqual([
      'a storage/one',
      'a storage/two',
      'a lifecycle/dispose',
      'a (composed) storage/one',
      'a lifecycle/close',
    ]);
  });

  test('go on after a failure, and list every case that failed', async () => {
    const ran: string[] = [];
    const first = new Error('element 0 is 1, expected 2');
    const cases = [
      bound('a', 'vjp/one', () => Promise.reject(first)),
      bound('a', 'vjp/two', async () => void ran.push('two')),
      bound('a', 'vjp/three', () => Promise.reject('a string')),
      bound('a', 'lifecycle/close', async () => {}),
    ];
    const [section] = sections(cases);
    const error = await section.run().catch((thrown) => thrown);
    expect(error.message).toBe('2 of 3 cases fail\na: vjp/one: element 0 is 1, expected 2\na: vjp/three: a string');
    expect(error.cause).toEqual([first, 'a string']);
    expect(ran).toEqual(['two']);
  });

  test('have every applicable case of a suite, once', async () => {
    const cases = await conformance(exact);
    const grouped = sections(cases);
    const names = grouped.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(grouped.length).toBeLessThan(60);
    const held = grouped.flatMap((section) => section.cases.map(({ name }) => name));
    expect(held.toSorted()).toEqual(cases.flatMap(({ skip, name }) => (skip === null ? [name] : [])).toSorted());
  });
});

test('skipped cases are counted by reason', async () => {
  const cases = await conformance(minimal);
  const reasons = skipReasons(cases);
  expect(Object.values(reasons).reduce((a, b) => a + b, 0)).toBe(cases.filter(({ skip }) => skip !== null).length);
  expect(reasons['does not announce inPlace']).toBe(
    cases.filter(({ skip }) => skip === 'does not announce inPlace').length,
  );
  expect(skipReasons([])).toEqual({});
});

test('a report has the outcome of a case, and does not run one that does not apply', async () => {
  const about = { id: 'laws/sum', name: 'mine: laws/sum', section: 'laws' };
  const report = (run: () => Promise<void>, skip: string | null = null) =>
    reportCase(bound('mine', 'laws/sum', run, skip));
  const fails = async () => {
    throw new Error('element 0 is 1');
  };
  expect(await report(async () => {})).toEqual({ ...about, outcome: 'passed', reason: null });
  expect(await report(fails)).toEqual({ ...about, outcome: 'failed', reason: 'element 0 is 1' });
  expect(await report(() => Promise.reject('text'))).toEqual({ ...about, outcome: 'failed', reason: 'text' });
  expect(await report(fails, 'has no basis')).toEqual({ ...about, outcome: 'skipped', reason: 'has no basis' });
});
