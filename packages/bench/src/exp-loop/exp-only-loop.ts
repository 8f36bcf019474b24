import type { Batch } from '../contender.js';
import type { FloatArray } from '../workloads.js';

/** A loop that only computes exp, with its result: what an engine of its kind can attain. */
export interface ExpOnlyLoop {
  readonly name: string;
  readonly batch: Batch;
  result(): FloatArray;
}
