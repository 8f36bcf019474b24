import type { ConformanceCase } from '../../case.js';
import { rangeDTypes } from './full-range.js';
import { functionCases } from './functions.js';
import { gradientCase, productCase } from './gradient-factors.js';
import { hugeCotangents } from './huge-cotangents.js';
import { lossCase } from './loss-factors.js';
import { farLossCase, weightsCase } from './losses.js';
import { vjpCase } from './vjp-factors.js';

/** Operands and parameters at the ends of a dtype's range whose results are far from these ends. */
const ends: readonly ConformanceCase[] = rangeDTypes.flatMap((dtype) => [
  ...functionCases(dtype),
  hugeCotangents(dtype, 1),
  hugeCotangents(dtype, 0),
  weightsCase(dtype, 0),
  weightsCase(dtype, 0.1),
  farLossCase(dtype),
]);

/** Products of several factors whose partial products overflow or underflow, while they do not. */
const factors: readonly ConformanceCase[] = rangeDTypes.flatMap((dtype) => [
  gradientCase(dtype),
  productCase(dtype),
  lossCase(dtype),
  vjpCase(dtype),
]);

export const ranges: readonly ConformanceCase[] = [...ends, ...factors];
