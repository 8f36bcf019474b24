import { type BenchDType, type FloatArray, floatArray } from '../workloads.js';

/** A mask as libraries without one take it: 0 where an entry is kept, −Infinity where it is masked, to be added to the logits. */
export function additiveMask(mask: Uint8Array, dtype: BenchDType): FloatArray {
  const added = floatArray(dtype, mask.length);
  mask.forEach((keep, k) => {
    added[k] = keep === 0 ? Number.NEGATIVE_INFINITY : 0;
  });
  return added;
}
