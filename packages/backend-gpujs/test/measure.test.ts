import { describe, expect, test } from 'vitest';
import { createCandidate, type GpujsBackend } from '../src/backend.js';
import type { Resident } from '../src/engine.js';
import { openHost } from '../src/engines/host.js';
import { loadGpu } from '../src/gpu.js';

/** Changes one element of a kernel's result, as on another device; the result's length distinguishes the experiments. */
type Fault = (value: number, i: number, length: number) => number;

/** A backend on mode cpu with a fault. */
async function withFault(fault: Fault): Promise<GpujsBackend> {
  const library = await loadGpu();
  const engine = await openHost(library, 'cpu');
  const { host } = engine;
  if (!host) throw new TypeError('mode cpu keeps its data on the host');
  const run = (...call: Parameters<typeof engine.run>): Resident => {
    const values = (engine.run(...call) as Resident).toArray() as Float32Array;
    return host(values.map((value, i) => fault(value, i, values.length)));
  };
  const candidate = await createCandidate(library, { ...engine, run }, 64);
  return candidate.backend();
}

async function measured(fault: Fault) {
  const backend = await withFault(fault);
  await backend.close();
  const { subnormals, nonFinite, expUlp } = backend.supports;
  return { subnormals, nonFinite, expUlp };
}

const faultless = { subnormals: 'preserve', nonFinite: 'ieee', expUlp: { base: 0.75, slope: 0.01 } };

test('a device without faults is announced with full IEEE support', async () => {
  expect(await measured((value) => value)).toEqual(faultless);
});

test.each<[string, Fault]>([
  ['every number below 2⁻¹²⁶', (value) => (Math.abs(value) < 2 ** -126 ? 0 : value)],
  ['probabilities', (value) => (value > 5e-40 && value < 2 ** -126 ? 0 : value)],
  ['derivatives', (value) => (value < 5e-40 ? Math.min(0, value) : value)],
])('a device that flushes %s announces only this', async (_, fault) => {
  expect(await measured(fault)).toEqual({ ...faultless, subnormals: 'flush' });
});

describe('nonFinite is unspecified if', () => {
  test.each<[string, Fault]>([
    ['no result is NaN', (value) => (Number.isNaN(value) ? 0 : value)],
    ['the log of 0 is finite', (value) => (value === Number.NEGATIVE_INFINITY ? -3e38 : value)],
    ['the log of Infinity is finite', (value) => (value === Number.POSITIVE_INFINITY ? 3e38 : value)],
    ['the log of a negative number is a number', (value, i, length) => (length === 4 && i === 2 ? 0 : value)],
    ['the log of NaN is a number', (value, i, length) => (length === 4 && i === 3 ? 0 : value)],
    ['the probability of 0 beside −Infinity is not 1', (value, i, length) => (length === 10 && i === 8 ? 0.5 : value)],
    ['the probability of −Infinity is not 0', (value, i, length) => (length === 10 && i === 9 ? 1e-30 : value)],
    ...Array.from({ length: 8 }, (_, entry): [string, Fault] => [
      `entry ${entry} of rows whose softmax is undefined is a number`,
      (value, i, length) => (length === 10 && i === entry ? 0.5 : value),
    ]),
  ])('%s', async (_, fault) => {
    expect(await measured(fault)).toEqual({ ...faultless, nonFinite: 'unspecified' });
  });
});

describe('the announced error of exp is the measured one plus half', () => {
  const elsewhere = (length: number) => length !== 4096;

  test('an error of 2⁻²² in all results, 2 to 4 ULP, increases the base', async () => {
    const { base, slope } = (await measured((v, _, length) => (elsewhere(length) ? v : v * (1 + 2 ** -22)))).expUlp;
    expect(base).toBeGreaterThan(1.5 * 3.9);
    expect(base).toBeLessThan(1.5 * 4.7);
    expect(slope).toBeLessThan(0.02);
  });

  test('errors proportional to the exponent increase the slope', async () => {
    const fault: Fault = (v, _, length) =>
      elsewhere(length) ? v : v * (1 + Math.abs(Math.log(Math.abs(v))) * 2 ** -22);
    const { slope } = (await measured(fault)).expUlp;
    expect(slope).toBeGreaterThan(1.5 * 3);
    expect(slope).toBeLessThan(1.5 * 4.1);
  });
});

describe('a device is rejected', () => {
  test('if it computes nothing, with its result', async () => {
    await expect(withFault(() => 0)).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message:
        'gpujs (cpu): the device computes wrong results: softmax of [1, 2, 3, -1000000000, 0, 0, 7, 7] is [0, 0, 0, 0, 0, 0, 0, 0]',
    });
  });

  test.each([0, 3, 7])(
    'if only element %i of its first softmax is wrong by 2e-5, but not if it is wrong by 5e-6',
    async (at) => {
      const off = (error: number) =>
        withFault((value, i, length) => (length === 8 && i === at ? value + error : value));
      await expect(off(2e-5)).rejects.toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE' });
      await expect(off(-2e-5)).rejects.toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE' });
      await (await off(5e-6)).close();
    },
  );
});
