import { partsOf } from './ops.js';
import { ignoredIndex, keeps, type WorkloadInput } from './workload-input.js';
import type { Workload } from './workloads.js';

/**
 * The target of crossEntropy as a weight for each class, by the definition of core: `q_c = α_c ((1 − ε) d_c + ε/K)` over the K classes that the mask
 * keeps, with d the target, ε the label smoothing and α the class weights; 0 where masked, and in rows that are ignored.
 *
 * @returns a function that writes the weights of a row into `q` and returns their sum
 */
export function targetWeights({ op, shape: [, classes] }: Workload, input: WorkloadInput, q: Float64Array) {
  const { labelSmoothing = 0 } = partsOf(op);
  const { target, targetProbabilities, mask, weight } = input;
  return (row: number): number => {
    const start = row * classes;
    q.fill(0);
    if (target[row] === ignoredIndex) return 0;
    let kept = 0;
    for (let c = 0; c < classes; c++) if (keeps(mask, start + c)) kept++;
    let sum = 0;
    for (let c = 0; c < classes; c++) {
      const given = targetProbabilities ? (targetProbabilities[start + c] ?? Number.NaN) : target[row] === c ? 1 : 0;
      const smoothed = (1 - labelSmoothing) * given + labelSmoothing / kept;
      const weighted = weight ? smoothed * (weight[c] ?? Number.NaN) : smoothed;
      if (!keeps(mask, start + c)) continue;
      q[c] = weighted;
      sum += weighted;
    }
    return sum;
  };
}

/** What the mean over the rows divides by: their number, or for class indices the sum of the weights of those that are not ignored. */
export function divisorOfMean({ target, targetProbabilities, weight }: WorkloadInput): number {
  if (targetProbabilities) return target.length;
  let sum = 0;
  for (const index of target) if (index !== ignoredIndex) sum += weight ? (weight[index] ?? Number.NaN) : 1;
  return sum;
}
