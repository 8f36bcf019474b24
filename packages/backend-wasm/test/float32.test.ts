import { isSoftgradError, type Rows, softmax, tensor } from '@softgrad/core';
import { conformance, sections } from '@softgrad/core/conformance';
import { describe, expect, inject, test } from 'vitest';
import { testSelection } from '../../../conformance.shared.js';
import { builds } from '../src/builds.js';
import { wasm } from '../src/index.js';
import type { Build } from '../src/module.js';
import { everyKernel } from './every-kernel.js';
import { lacking } from './lacking.js';
import { withRelaxedSimd } from './relaxed.js';
import { sameBits } from './ulp.js';
import { openThreads } from './worker-thread.js';

// A backend without float64's kernels. Those of float32 are compiled from the same sources as in the module of both dtypes, but the optimizer sees another module.

const shapes: readonly Rows[] = [
  { outer: 9, classes: 3, inner: 1 },
  { outer: 131, classes: 10, inner: 1 },
  { outer: 41, classes: 64, inner: 1 },
  { outer: 5, classes: 600, inner: 1 },
  { outer: 3, classes: 67, inner: 7 },
  ...(inject('everything') ? [{ outer: 70, classes: 33, inner: 1 }] : []),
  ...(inject('everything') ? [{ outer: 11, classes: 251, inner: 1 }] : []),
  ...(inject('everything') ? [{ outer: 2, classes: 9001, inner: 1 }] : []),
];

/** The names of the functions that the module of a build exports. */
async function kernelsOf(load: () => Promise<Build>): Promise<readonly string[]> {
  const { module } = await load();
  const inflated = new Blob([Buffer.from(module, 'base64')]).stream().pipeThrough(new DecompressionStream('deflate'));
  const compiled = new WebAssembly.Module(await new Response(inflated).arrayBuffer());
  const functions = WebAssembly.Module.exports(compiled).filter(({ kind }) => kind === 'function');
  return functions.map(({ name }) => name).sort();
}

describe.each(['simd', 'relaxed'] as const)('the build %s for float32 alone', (build) => {
  const relaxedSimd = build === 'relaxed';

  test('has the kernels of float32 of the build for both dtypes, and no others', () =>
    withRelaxedSimd(async () => {
      const all = await kernelsOf(builds[build]);
      const alone = await kernelsOf(builds.float32[build]);
      expect(alone).toEqual(all.filter((name) => name.endsWith('_f32')));
      expect(alone.length * 2).toBe(all.length);
    }));

  test('is what opens with float64: false, and gives the same bits as the build for both dtypes', () =>
    withRelaxedSimd(async () => {
      const [both, alone] = await Promise.all([undefined, false].map((float64) => wasm.open({ relaxedSimd, float64 })));
      const simd = relaxedSimd ? 'relaxed SIMD' : 'SIMD';
      expect(both.supports.device).toBe(`WebAssembly ${simd}, 1 thread`);
      expect(alone.supports).toEqual({
        ...both.supports,
        dtypes: ['float32'],
        device: `WebAssembly ${simd} with float64: false, 1 thread`,
      });
      for (const rows of shapes) {
        const expected = everyKernel(both, 'float32', rows);
        for (const [kernel, actual] of everyKernel(alone, 'float32', rows).entries()) {
          const same = sameBits(actual, expected[kernel]);
          expect({ rows, kernel, same }).toEqual({ rows, kernel, same: true });
        }
      }
    }));
});

test('threads compute with the module for float32 alone, the same bits', async () => {
  const rows = { outer: 7003, classes: 10, inner: 1 };
  const two = await openThreads(2, builds.float32.simd);
  expect(two.supports).toMatchObject({
    dtypes: ['float32'],
    device: 'WebAssembly SIMD with float64: false, 2 threads',
  });
  const one = await wasm.open({ relaxedSimd: false });
  const expected = everyKernel(one, 'float32', rows);
  const same = everyKernel(two, 'float32', rows).map((actual, kernel) => sameBits(actual, expected[kernel]));
  expect(same).toEqual(expected.map(() => true));
  await two.close();
});

test('a float64 tensor is refused there, with the reason and what to do', async () => {
  const [both, backend] = await Promise.all([true, false].map((float64) => wasm.open({ relaxedSimd: false, float64 })));
  const message = 'wasm has no float64, only float32 (WebAssembly SIMD with float64: false, 1 thread); convert with';
  const refusal = (error: unknown) => (isSoftgradError(error) ? [error.code, error.message] : error);
  const moved = tensor([[1, 2]], { dtype: 'float64', backend: both }).to(backend);
  expect(await moved.catch(refusal)).toEqual(['ERR_DTYPE', `to: ${message} await x.to(backend, 'float32')`]);
  expect(() => tensor([[1, 2]], { dtype: 'float64', backend })).toThrow(
    `tensor: ${message} tensor(data, { dtype: 'float32' })`,
  );
  expect(await (await tensor([[1, 2]], { dtype: 'float64', backend: both }).to(backend, 'float32')).array()).toEqual([
    [1, 2],
  ]);
  // Numbers are float32 unless told otherwise.
  expect([...softmax(tensor([[0, 0]], { backend })).dataSync()]).toEqual([0.5, 0.5]);
});

describe('wasm for float32 alone conforms', async () => {
  const open = { relaxedSimd: false };
  const both = await conformance(wasm, { required: true, composed: false, open });
  const cases = await conformance(wasm, { required: true, composed: false, open: { ...open, float64: false } });

  test('lacks float64, float16 and timing', () => expect(lacking(cases)).toEqual(['has no float16', 'has no float64']));
  test('skips the cases of float64 and no others', () => {
    const others = cases.filter(({ id, skip }, i) => !/[:;]dtype=float64\b/.test(id) && skip !== both[i].skip);
    expect(others).toEqual([]);
    expect(cases.map(({ id }) => id)).toEqual(both.map(({ id }) => id));
  });
  // The kernels give the same bits as those that run the whole suite in conformance.test.ts, so that what is not about kernels is enough.
  const aboutDevices = cases.filter(({ section }) => ['storage', 'lifecycle', 'supports'].includes(section));
  for (const { name, run } of sections(testSelection(inject('everything') ? cases : aboutDevices, {}))) test(name, run);
  test('the cases that npm test runs are those about storage, lifecycle and supports', () =>
    expect(aboutDevices.filter(({ skip }) => skip === null)).toHaveLength(34));
});
