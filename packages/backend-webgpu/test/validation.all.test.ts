import { isSoftgradError } from '@softgrad/core';
import { conformance } from '@softgrad/core/conformance';
import { expect, test } from 'vitest';
import { covering } from '../../../conformance.shared.js';
import { type WebgpuBackend, webgpu } from '../src/index.js';
import { newNullDevice } from './device.js';

/** The backend as if its device computed: a null device computes nothing, and would announce that. */
function asIfComputing(backend: WebgpuBackend, dtypes: WebgpuBackend['supports']['dtypes']): WebgpuBackend {
  const supports = {
    ...backend.supports,
    dtypes,
    nonFinite: 'ieee',
    subnormals: 'preserve',
    expUlp: { base: 1, slope: 0 },
  };
  return new Proxy(backend, {
    get: (target, key) => (key === 'supports' ? supports : Reflect.get(target, key, target)),
  });
}

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
  'row-groups',
  'laws',
];

// On a device of its own, because a backend compiles each program once.
test.each(
  [[], ['subgroups'], ['shader-f16', 'subgroups']].flatMap((features) =>
    sections.map((section) => ({ section, features })),
  ),
)('every program of $section is valid WGSL on a device with features $features', async ({ section, features }) => {
  const device = await newNullDevice({ requiredFeatures: features as GPUFeatureName[] });
  const errors: string[] = [];
  device.onuncapturederror = ({ error }) => void errors.push(error.message);
  const backend = await webgpu.open({ device });
  const own = asIfComputing(backend, features.includes('shader-f16') ? ['float32', 'float16'] : ['float32']);
  const all = await conformance(own, { composed: false });
  const cases = covering(all.filter((one) => one.section === section && one.skip === null));
  expect(cases.length).toBeGreaterThan(5);
  for (const { run } of cases) {
    await Promise.resolve(run()).catch((error: unknown) => {
      // Results are 0. Errors of the device are thrown by the next call that waits.
      if (isSoftgradError(error)) throw error;
    });
  }
  await backend.sync();
  expect(errors).toEqual([]);
  backend.close();
  device.destroy();
});
