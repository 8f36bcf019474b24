import type { Rows } from '../backend/interface.js';
import { SoftgradError } from '../errors.js';
import { describe } from '../tensor/describe.js';
import { type FloatDType, type HostArray, hostArray, largestFinite } from '../tensor/dtype.js';
import type { FloatTensor } from '../tensor/operands.js';
import type { CrossEntropyOptions } from './cross-entropy-options.js';
import type { DeviceTarget } from './cross-entropy-target.js';

/** The class weights in the dtype of the logits, null without any. @throws ERR_DTYPE, ERR_SHAPE, ERR_VALUE */
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

/** Whether a mean is over nothing: every class index is ignored, or of a class of weight 0, or there are no rows. Weights may also cancel. */
export function isOfNothing(target: DeviceTarget, weight: HostArray | null, ignoreIndex: number): boolean {
  if (target.kind === 'probabilities') return true;
  return target.host.every((index) => index === ignoreIndex || weight?.[index] === 0);
}

/** Class weights multiplied by a power of 2, and the factor that divides by it again. */
export interface BalancedWeight {
  readonly weight: HostArray;
  readonly factor: number;
}

/**
 * The class weights for a mean of class indices, which a common factor does not change: all are scaled by the power of 2 by which the largest weight
 * of a target is between ½ and 1. Then their sum, its reciprocal and their products with losses leave the dtype's range only where the mean does.
 * Larger weights are those of classes that are no target: they count only with label smoothing, where they limit the power, and are 0 without.
 *
 * Otherwise small weights are scaled so that the largest of all is, because their products with small probabilities would lose digits that a
 * small temperature restores.
 */
export function balancedWeight(
  target: DeviceTarget,
  weight: HostArray,
  isMean: boolean,
  isSmoothed: boolean,
  ignoreIndex: number,
  dtype: FloatDType,
): BalancedWeight {
  let ofAll = 0;
  for (const value of weight) ofAll = Math.max(ofAll, Math.abs(value));
  let largest = 0;
  if (isMean && target.kind === 'indices') {
    for (const index of target.host)
      if (index !== ignoreIndex) largest = Math.max(largest, Math.abs(weight[index] ?? 0));
  } else if (ofAll < leastWeight) largest = ofAll;
  if (largest === 0) return { weight, factor: 1 };
  const counted = isSmoothed ? ofAll : largest;
  const room = Math.max(0, Math.log2(largestFinite(dtype)) - 1 - Math.log2(counted));
  const exponent = Math.floor(Math.min(-Math.log2(largest), room));
  // In two steps, because 2^1074 overflows.
  const first = 2 ** Math.trunc(exponent / 2);
  const second = 2 ** (exponent - Math.trunc(exponent / 2));
  const balanced = hostArray(weight.length, dtype);
  weight.forEach((value, index) => {
    balanced[index] = Math.abs(value) > counted ? 0 : value * first * second;
  });
  return { weight: balanced, factor: isMean && target.kind === 'indices' ? 1 : 1 / first / second };
}

/** Products of probabilities with weights from here on are normal numbers unless the probability is very small. */
const leastWeight = 2 ** -32;

/** The divisor of PyTorch's mean: the weights of the targets that are not ignored, or the number of rows. */
export function meanDivisor(target: DeviceTarget, weight: HostArray | null, ignoreIndex: number, rows: Rows): number {
  if (target.kind === 'probabilities') return rows.outer * rows.inner;
  if (weight === null) return target.counted;
  let divisor = 0;
  // What rounding takes off the sum of many weights (Neumaier, 1974).
  let low = 0;
  for (const index of target.host) {
    if (index === ignoreIndex) continue;
    const term = weight[index] ?? 0;
    const next = divisor + term;
    low += Math.abs(divisor) >= Math.abs(term) ? divisor - next + term : term - next + divisor;
    divisor = next;
  }
  return divisor + low;
}
