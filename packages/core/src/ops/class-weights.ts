import type { Rows } from '../backend/interface.js';
import { SoftgradError } from '../errors.js';
import { checkAttached } from '../tensor/attached.js';
import { describe } from '../tensor/describe.js';
import { type FloatDType, type HostArray, hostArray, largestFinite } from '../tensor/dtype.js';
import type { FloatTensor } from '../tensor/operands.js';
import type { CheckedOptions, CrossEntropyOptions } from './cross-entropy-options.js';
import type { DeviceTarget } from './cross-entropy-target.js';

/** The class weights in the dtype of the logits, null without any. @throws ERR_DTYPE, ERR_SHAPE, ERR_VALUE, ERR_DISPOSED */
export function readWeight(
  operation: string,
  weight: CrossEntropyOptions['weight'],
  classes: number,
  x: FloatTensor,
): HostArray | null {
  if (weight === undefined) return null;
  if (!Array.isArray(weight) && !ArrayBuffer.isView(weight)) {
    throw new SoftgradError(
      'ERR_DTYPE',
      `${operation}: weight is ${describe(weight)}; expected an array of ${classes} numbers, one for each class`,
    );
  }
  if (ArrayBuffer.isView(weight)) checkAttached(`${operation}: weight`, weight);
  if (weight.length !== classes) {
    throw new SoftgradError('ERR_SHAPE', `${operation}: weight has ${weight.length} entries for ${classes} classes`);
  }
  const own = hostArray(classes, x.dtype);
  for (let c = 0; c < classes; c++) {
    const value: unknown = weight[c];
    if (typeof value !== 'number') {
      throw new SoftgradError('ERR_DTYPE', `${operation}: weight[${c}] is ${describe(value)}; expected a number`);
    }
    own[c] = value;
    if (!Number.isFinite(own[c])) {
      throw new SoftgradError('ERR_VALUE', `${operation}: weight[${c}] is ${value}; expected a finite number`);
    }
  }
  return own;
}

/** What the class weights and the reduction make of the losses of the rows. */
export interface Weighting {
  /** The class weights as kernels take them; null without any. */
  readonly weight: HostArray | null;
  /** Multiplies loss and gradient; infinite where the weights of a mean cancel. */
  readonly scale: number;
  /** The mean over no rows, or over rows of weight 0, is 0/0. Its scale is 0. */
  readonly undefinedMean: boolean;
}

/** Products of probabilities with weights from here on are normal numbers unless the probability is very small. */
const leastWeight = 2 ** -32;

/** The class weights within the range of the dtype, and the scale that goes with them. PyTorch's mean of class indices is weighted by the targets. */
export function weightingOf(
  target: DeviceTarget,
  weight: HostArray | null,
  options: CheckedOptions,
  dtype: FloatDType,
  { outer, classes, inner }: Rows,
): Weighting {
  let count = 1;
  if (options.reduction === 'mean') {
    if (target.kind === 'indices' && weight) return weightedMean(target.host, weight, options, dtype);
    count = target.kind === 'indices' ? target.counted : outer * inner;
  }
  const undefinedMean = count === 0;
  const largest = sizesOf(weight ?? []).most;
  // One class alone has no sum over the classes.
  const terms = target.kind === 'indices' && options.labelSmoothing === 0 ? 0 : classes;
  const scaled = weight ? withinRange(weight, largest, terms, dtype) : { weight, scale: 1 };
  return { weight: scaled.weight, scale: undefinedMean ? 0 : scaled.scale / count, undefinedMean };
}

/** Weights of which a sum of as many terms is in the range, and the scale that restores them. */
function withinRange(weight: HostArray, largest: number, terms: number, dtype: FloatDType) {
  // Products of small weights with small probabilities would lose digits that a small temperature restores.
  if (largest > 0 && largest < leastWeight) return scaledToOne(weight, largest, largest, dtype);
  if (terms === 0 || largest <= largestFinite(dtype) / (2 * terms)) return { weight, scale: 1 };
  const share = 2 ** -Math.ceil(Math.log2(2 * terms));
  return { weight: weight.map((value) => value * share), scale: 1 / share };
}

/**
 * The weights of a mean, which a common factor does not change, with the largest weight of a target between ½ and 1. Then their sum, its reciprocal and
 * their products with losses leave the dtype's range only where the mean does. Larger weights belong to classes that no row has as its target: they
 * count only with label smoothing.
 */
function weightedMean(
  indices: HostArray,
  weight: HostArray,
  { labelSmoothing, ignoreIndex }: CheckedOptions,
  dtype: FloatDType,
): Weighting {
  let largest = 0;
  for (const index of indices) if (index !== ignoreIndex) largest = Math.max(largest, Math.abs(weight[index] ?? 0));
  if (largest === 0) return { weight, scale: 0, undefinedMean: true };
  const most = labelSmoothing > 0 ? sizesOf(weight).most : largest;
  const scaled = scaledToOne(weight, largest, most, dtype).weight;
  return { weight: scaled, scale: 1 / sumOfTargets(indices, scaled, ignoreIndex), undefinedMean: false };
}

/** The smallest absolute value that is not 0, infinite without any, and the largest. */
export function sizesOf(weight: ArrayLike<number>): { readonly least: number; readonly most: number } {
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  for (let k = 0; k < weight.length; k++) {
    const size = Math.abs(weight[k] ?? 0);
    if (size > most) most = size;
    if (size < least && size !== 0) least = size;
  }
  return { least, most };
}

/**
 * The weights multiplied by the power of 2 by which `largest` is between ½ and 1, or a smaller one by which `most` does not overflow, and the scale
 * that divides by it again. Weights above `most` are 0.
 */
function scaledToOne(weight: HostArray, largest: number, most: number, dtype: FloatDType) {
  const room = Math.max(0, Math.log2(largestFinite(dtype)) - 1 - Math.log2(most));
  const exponent = Math.floor(Math.min(-Math.log2(largest), room));
  // In two steps, because 2^1074 overflows.
  const first = 2 ** Math.trunc(exponent / 2);
  const second = 2 ** (exponent - Math.trunc(exponent / 2));
  const scaled = weight.map((value) => (Math.abs(value) > most ? 0 : value * first * second));
  return { weight: scaled, scale: 1 / first / second };
}

/** The sum of the weights of the targets that are not ignored. */
function sumOfTargets(indices: HostArray, weight: HostArray, ignoreIndex: number): number {
  let sum = 0;
  // What rounding takes off the sum of many weights (Neumaier, 1974).
  let low = 0;
  for (const index of indices) {
    if (index === ignoreIndex) continue;
    const term = weight[index] ?? 0;
    const next = sum + term;
    low += Math.abs(sum) >= Math.abs(term) ? sum - next + term : term - next + sum;
    sum = next;
  }
  return sum + low;
}
