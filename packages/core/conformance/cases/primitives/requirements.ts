import type { FloatDType } from '../../../src/index.js';
import type { Requirements } from '../../case.js';

export function requirementsOf(dtype: FloatDType): Requirements {
  return { dtype, features: ['basis'] };
}

/** Of cases with NaN and infinities. */
export function ieeeOf(dtype: FloatDType): Requirements {
  return { dtype, features: ['basis', 'nonFinite: ieee'] };
}
