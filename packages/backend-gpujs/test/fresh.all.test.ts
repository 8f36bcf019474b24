import { conformance } from '@softgrad/core/conformance';
import { expect, test } from 'vitest';
import { covering, select } from '../../../conformance.shared.js';
import { gpujs } from '../src/index.js';
import { announced } from './announced.js';

/** Sections whose cases run kernels. */
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

// The suite runs on a single backend, where a kernel could be right only because an earlier case has compiled it.
test.each(sections)('a new backend that has compiled no other kernels conforms: %s', async (section) => {
  const backend = await gpujs.open({ mode: 'cpu' });
  const all = await conformance(backend, { composed: false });
  const cases = covering(
    select(
      all.filter((one) => one.section === section),
      [],
    ).selected,
  );
  expect(cases.length).toBeGreaterThan(5);
  for (const { run } of cases) await run();
  await backend.close();
});

test.each(['webasm', 'cpu'] as const)('mode %s announces what it is known for', async (mode) => {
  const backend = await gpujs.open({ mode });
  expect(backend.supports).toEqual(announced[mode]);
  expect(backend.readSync).toBeTypeOf('function');
  await backend.close();
});
