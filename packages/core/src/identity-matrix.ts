import { type FloatDType, hostArray } from './dtype.js';

/** The identity matrix on the host. */
export function identityMatrix(classes: number, dtype: FloatDType) {
  const identity = hostArray(classes * classes, dtype);
  for (let k = 0; k < classes; k++) identity[k * (classes + 1)] = 1;
  return identity;
}
