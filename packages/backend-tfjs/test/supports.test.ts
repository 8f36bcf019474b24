import { describe, expect, test } from 'vitest';
import { measure } from '../src/supports.js';
import type { Language } from '../src/verbs/expression.js';
import { runLazily } from '../src/verbs/lazy.js';
import { backendWith, engineWith } from './executed.js';
import { interpretedPrograms } from './interpreted.js';

/** The measured properties of a device that runs programs as a GPU does, with these faults. */
async function measured(faults: Partial<Language['operation']>) {
  const backend = await backendWith('cpu', (_, instance) => ({
    execute: (targets, program) => runLazily(instance, interpretedPrograms(instance, faults), targets, program),
  }));
  await backend.close();
  const { subnormals, nonFinite, expUlp } = backend.supports;
  return { subnormals, nonFinite, expUlp };
}

const faultless = { subnormals: 'preserve', nonFinite: 'ieee', expUlp: { base: 1, slope: 0 } };
const withoutNaN = (value: string) => `((v) => (v === v ? v : 0))(${value})`;

describe('a device is measured', () => {
  test('without faults: full IEEE support is announced', async () => {
    expect(await measured({})).toEqual(faultless);
  });

  test.each<[string, Partial<Language['operation']>]>([
    ['max loses a NaN in its second operand', { max: (a, b) => `(${b} > ${a} ? ${b} : ${a})` }],
    ['max loses a NaN in its first operand', { max: (a, b) => `(${a} > ${b} ? ${a} : ${b})` }],
    ['min loses a NaN in its second operand', { min: (a, b) => `(${b} < ${a} ? ${b} : ${a})` }],
    ['min loses a NaN in its first operand', { min: (a, b) => `(${a} < ${b} ? ${a} : ${b})` }],
    ['NaN + x is a number', { add: (a, b) => withoutNaN(`${a} + ${b}`) }],
    ['Infinity − Infinity is a number', { sub: (a, b) => `(${a} === ${b} ? 0 : ${a} - ${b})` }],
    ['0 · Infinity is 0', { mul: (a, b) => `(${a} === 0 || ${b} === 0 ? 0 : ${a} * ${b})` }],
    ['x / 0 is the largest number', { div: (a, b) => `Math.max(-3e38, Math.min(3e38, ${a} / ${b}))` }],
    ['−NaN is a number', { neg: (x) => withoutNaN(`-${x}`) }],
    ['exp of NaN is a number', { exp: (x) => withoutNaN(`Math.exp(${x})`) }],
    ['exp of −Infinity is not 0', { exp: (x) => `Math.exp(Math.max(-80, ${x}))` }],
    ['exp of Infinity is finite', { exp: (x) => `Math.exp(Math.min(88, ${x}))` }],
    ['log of 0 is finite', { log: (x) => `Math.max(-104, Math.log(${x}))` }],
    ['log of Infinity is finite', { log: (x) => `Math.min(89, Math.log(${x}))` }],
    ['log of NaN is a number', { log: (x) => withoutNaN(`Math.log(${x})`) }],
  ])('%s: nonFinite is unspecified', async (_, faults) => {
    expect((await measured(faults)).nonFinite).toBe('unspecified');
  });

  const flushed = (value: string) => `((v) => (Math.abs(v) < 2 ** -126 ? 0 : v))(${value})`;
  test.each<[string, Partial<Language['operation']>]>([
    ['exp', { exp: (x) => flushed(`Math.exp(${x})`) }],
    ['a product', { mul: (a, b) => flushed(`${a} * ${b}`) }],
  ])('results of %s below 2⁻¹²⁶ are 0: subnormals flush, and nothing else changes', async (_, faults) => {
    expect(await measured(faults)).toEqual({ ...faultless, subnormals: 'flush' });
  });

  test('an exp whose error is proportional to |x| increases the slope until the error is covered', async () => {
    const { expUlp } = await measured({ exp: (x) => `Math.exp(${x}) * (1 + ${x} * ${2 ** -22})` });
    expect(expUlp.base).toBe(1);
    // 2⁻²² of the result is 2 to 4 ULP.
    expect(expUlp.slope).toBeGreaterThan(3.5);
    expect(expUlp.slope).toBeLessThan(4.1);
  });

  test.each(['webgl', 'webgpu'] as const)(
    'on engine %s the base is that of the bound WGSL states for log',
    async (name) => {
      const engine = await engineWith('cpu', (_, instance) => ({
        execute: (targets, program) => runLazily(instance, interpretedPrograms(instance), targets, program),
      }));
      expect((await measure({ ...engine, name })).expUlp).toEqual({ base: 3, slope: 0 });
    },
  );
});
