import { rounded } from '../../conformance/inputs.js';
import { operationPrecision, type Precision, precisionOf } from '../../conformance/tolerance.js';
import type { FloatDType } from '../../src/index.js';

/** An arithmetic in which each step of a formula is rounded, and the precision that a backend with it announces. */
export interface Arithmetic {
  readonly name: string;
  readonly dtype: FloatDType;
  readonly precision: Precision;
  round(value: number): number;
  /** The result alone is rounded. */
  readonly once?: true;
}

const smallestNormal = 2 ** -126;

/** exp and log are those of V8, rounded to the dtype: half an ULP for float32 and float16, less than one ULP for float64. */
const exact = { base: 0.5, slope: 0 };

/** float32 is the arithmetic of most backends; flushed where a device has no subnormals; float16 as core composes it, each result stored. */
export const arithmetics: readonly Arithmetic[] = [
  {
    name: 'float32',
    dtype: 'float32',
    precision: operationPrecision({ expUlp: exact, subnormals: 'preserve' }, 'float32'),
    round: Math.fround,
  },
  {
    name: 'float32, flushed',
    dtype: 'float32',
    precision: operationPrecision({ expUlp: exact, subnormals: 'flush' }, 'float32'),
    round: (value) => (Math.abs(value) < smallestNormal ? 0 : Math.fround(value)),
  },
  {
    name: 'float16, composed',
    dtype: 'float16',
    precision: operationPrecision({ expUlp: exact, subnormals: 'preserve' }, 'float16'),
    round: (value) => rounded(value, 'float16'),
  },
  {
    name: 'float64',
    dtype: 'float64',
    precision: operationPrecision({ expUlp: { base: 1, slope: 0 }, subnormals: 'preserve' }, 'float64'),
    round: (value) => value,
  },
];

/** A kernel's float16: computed in float32 and more, rounded once when it is stored. */
export const kernelHalf: Arithmetic = {
  name: 'float16, stored',
  dtype: 'float16',
  precision: precisionOf({ expUlp: exact, subnormals: 'preserve' }, 'float16'),
  round: (value) => rounded(value, 'float16'),
  once: true,
};
