import { partsOf } from './ops.js';
import { uniform } from './random.js';
import { type BenchShape, type FloatArray, floatArray, isIgnored, keptClasses, type Workload } from './workloads.js';

/** Inputs of a workload on the host, from a seed: the same in every run. */
export interface WorkloadInput {
  /** Uniform in ±8: wide enough that no exp is trivial, like the logits of a trained network. */
  readonly logits: FloatArray;
  /** softmax of the logits, with the mask if there is one, rounded to the dtype: the input of vjp and jacobian. */
  readonly probabilities: FloatArray;
  /** Uniform in ±1. */
  readonly cotangent: FloatArray;
  /** A class index for each row, which no mask excludes, or `ignoredIndex`. */
  readonly target: Int32Array;
  /** 0 where masked: one row for all rows, or an entry for each logit. null without a mask. */
  readonly mask: Uint8Array | null;
  /** The target where it is probabilities, otherwise null. */
  readonly targetProbabilities: FloatArray | null;
  /** A weight between ½ and 1½ for each class; null without weights. */
  readonly weight: FloatArray | null;
}

/** The class index of ignored rows: core's default, and PyTorch's. */
export const ignoredIndex = -100;

/**
 * The inputs of a workload, from a seed that follows from its shape: the same in every run.
 *
 * @returns rows × classes numbers of the workload's dtype, and a class index for each row (int32)
 * @example
 * const { logits, target } = workloadInput({ op: 'softmax', shape: [64, 10], dtype: 'float32' });
 * [logits.length, target.length]; // [640, 64]
 */
export function workloadInput({ op, shape, dtype }: Workload): WorkloadInput {
  const [rows, classes] = shape;
  const parts = partsOf(op);
  const random = uniform(0x5eed ^ (rows * 31 + classes));
  const numbers = (length: number, number: () => number) => {
    const result = floatArray(dtype, length);
    for (let k = 0; k < result.length; k++) result[k] = number();
    return result;
  };
  const within = (amplitude: number) => numbers(rows * classes, () => (2 * random() - 1) * amplitude);
  const logits = within(8);
  const mask = parts.mask === undefined ? null : maskOf(parts.mask, shape);
  const cotangent = within(1);
  const target = Int32Array.from({ length: rows }, (_, r) => {
    const index = Math.floor(random() * (parts.mask === undefined ? classes : keptClasses(parts.mask, shape, r)));
    return parts.target === 'someIgnored' && isIgnored(r) ? ignoredIndex : index;
  });
  return {
    logits,
    probabilities: probabilitiesOf(logits, classes, mask),
    cotangent,
    target,
    mask,
    targetProbabilities: parts.target === 'probabilities' ? probabilitiesOf(within(2), classes, null) : null,
    weight: parts.weight ? numbers(classes, () => 0.5 + random()) : null,
  };
}

function maskOf(mask: 'padding' | 'causal', shape: BenchShape): Uint8Array {
  const [rows, classes] = shape;
  const laid = new Uint8Array(mask === 'padding' ? classes : rows * classes);
  for (let start = 0; start < laid.length; start += classes) {
    laid.fill(1, start, start + keptClasses(mask, shape, start / classes));
  }
  return laid;
}

function probabilitiesOf(logits: FloatArray, classes: number, mask: Uint8Array | null): FloatArray {
  const result = logits.slice();
  const exponential = (k: number) => (keeps(mask, k) ? Math.exp(logits[k] ?? Number.NaN) : 0);
  for (let start = 0; start < logits.length; start += classes) {
    let sum = 0;
    for (let k = start; k < start + classes; k++) sum += exponential(k);
    for (let k = start; k < start + classes; k++) result[k] = exponential(k) / sum;
  }
  return result;
}

/** Whether a mask, or none, keeps the entry at an index of the logits. */
export function keeps(mask: Uint8Array | null, entry: number): boolean {
  return mask === null || mask[entry % mask.length] !== 0;
}

/** The logits on which the results depend: those that are not masked, in rows that are not ignored. */
export function keptLogits({ logits, mask, target }: WorkloadInput): FloatArray {
  if (mask === null && !target.includes(ignoredIndex)) return logits;
  const classes = logits.length / target.length;
  return logits.filter((_: number, k: number) => keeps(mask, k) && target[Math.floor(k / classes)] !== ignoredIndex);
}
