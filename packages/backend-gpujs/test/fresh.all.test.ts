import { conformance } from '@softgrad/core/conformance';
import { expect, test } from 'vitest';
import { covering, testEachAfresh } from '../../../conformance.shared.js';
import { gpujs } from '../src/index.js';
import { announced } from './announced.js';

// A kernel could also be right only because an earlier case has compiled it.
testEachAfresh(
  'a new backend that has compiled no other kernels conforms: %s',
  async () => {
    const backend = await gpujs.open({ mode: 'cpu' });
    return { cases: await conformance(backend, { composed: false }), close: () => backend.close() };
  },
  covering,
  6,
);

test.each(['webasm', 'cpu'] as const)('mode %s announces what it is known for', async (mode) => {
  const backend = await gpujs.open({ mode });
  expect(backend.supports).toEqual(announced[mode]);
  expect(backend.readSync).toBeTypeOf('function');
  await backend.close();
});
