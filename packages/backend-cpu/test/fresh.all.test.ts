import { conformance } from '@softgrad/core/conformance';
import { expect, test } from 'vitest';
import { onePerProperty, select } from '../../../conformance.shared.js';
import { cpu } from '../src/index.js';

/** Sections whose cases compute. */
const sections = [
  'softmax',
  'vjp',
  'jacobian',
  'basis',
  'log-softmax',
  'log-sum-exp',
  'sigmoid',
  'relu',
  'cross-entropy',
  'extremes',
  'row-groups',
];

// The suite runs on a single backend, where an operation could be right only because of what an earlier one left behind.
test.each(sections)('a new backend conforms: %s', async (section) => {
  const backend = await cpu.open();
  const all = await conformance(backend, { composed: false });
  const own = all.filter((one) => one.section === section);
  const cases = onePerProperty(select(own, []).selected);
  expect(cases.length).toBeGreaterThan(0);
  for (const { run } of cases) await run();
  await backend.close();
});
