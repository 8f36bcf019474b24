import type { Rows } from '../backend/interface.js';
import { SoftgradError } from '../errors.js';
import { type DType, type FloatDType, type HostArray, hostArray, largestFinite } from '../tensor/dtype.js';
import { isIntegerArray, readInput, type TensorInput } from '../tensor/input.js';
import { keeps, type Mask } from '../tensor/mask.js';
import { shapeOfNested } from '../tensor/nested.js';
import { checkBackend, type FloatTensor, operandLike } from '../tensor/operands.js';
import { type Shape, sameShape, show, sizeOf, withoutAxis } from '../tensor/shape.js';
import { allocate, asTensor, type IndexSummary, isTensor, type Tensor } from '../tensor/tensor.js';

/** Class indices (an int32 tensor, integers in arrays) shaped like the logits without the axis, or probabilities shaped like them. */
export type CrossEntropyTarget = Tensor | TensorInput;

/** A target on the logits' backend. Class indices are known on the host too; `counted` is how many of them are not ignored. */
export type DeviceTarget =
  | { readonly kind: 'indices'; readonly buffer: unknown; readonly host: HostArray; readonly counted: number }
  | { readonly kind: 'probabilities'; readonly buffer: unknown };

/** Further requirements for a target. */
export interface TargetRules {
  readonly ignoreIndex: number;
  readonly mask: Mask<unknown> | null;
}

/**
 * Calls `body` with the target on the logits' backend, and frees the uploaded copy afterwards.
 *
 * @throws ERR_SHAPE, ERR_DTYPE, ERR_BACKEND_MISMATCH; ERR_VALUE for an index that is no class, or one that the mask excludes
 */
export function withTarget<T>(
  operation: string,
  input: CrossEntropyTarget,
  logits: FloatTensor,
  reduced: Shape,
  rows: Rows,
  rules: TargetRules,
  body: (target: DeviceTarget) => T,
): T {
  if (isTensor(input)) return body(fromTensor(operation, input, logits, reduced, rows, rules));
  const probabilities = !sameShape(shapeOf(operation, input, reduced), reduced);
  const dtype = probabilities ? logits.dtype : 'int32';
  if (probabilities && ArrayBuffer.isView(input) && (input as Int32Array).length !== logits.size) {
    const shape = [(input as Int32Array).length];
    if (!isIntegerArray(input) && shape[0] === sizeOf(reduced)) {
      throw notIndices(operation, `a ${input.constructor.name}`, shape);
    }
    throw wrongShape(operation, shape, logits.shape, reduced);
  }
  if (!probabilities) checkIndexEntries(operation, input, reduced);
  const expected = probabilities ? logits.shape : reduced;
  const own = readInput(input, ArrayBuffer.isView(input) ? expected : undefined, dtype, `${operation}: target`);
  if (!sameShape(own.shape, expected)) throw wrongShape(operation, own.shape, logits.shape, reduced);
  const counted = probabilities
    ? 0
    : checkedCount(operation, own.data, rows, rules, summaryOf(own.data, rules.ignoreIndex));
  const buffer = allocate(logits.backend, own.data.length, dtype);
  try {
    logits.backend.write(buffer, own.data);
    return body(
      probabilities ? { kind: 'probabilities', buffer } : { kind: 'indices', buffer, host: own.data, counted },
    );
  } finally {
    logits.backend.free(buffer);
  }
}

/** @throws ERR_DTYPE for booleans, fractions, and a typed array of floats, if class indices are expected */
function checkIndexEntries(operation: string, input: Exclude<CrossEntropyTarget, Tensor>, reduced: Shape): void {
  const data: unknown = typeof input === 'object' && 'data' in input ? input.data : input;
  if (ArrayBuffer.isView(data)) {
    if (!isIntegerArray(data)) throw notIndices(operation, `a ${data.constructor.name}`, reduced);
    return;
  }
  let first = data;
  while (Array.isArray(first)) first = first[0];
  if (typeof first === 'boolean') throw notIndices(operation, 'booleans', reduced);
  const fraction = fractionIn(data);
  if (fraction !== undefined) throw notIndices(operation, `an array with ${fraction}`, reduced);
}

/** The first number in nested arrays that is not an integer. */
function fractionIn(entry: unknown): number | undefined {
  if (typeof entry === 'number') return Number.isInteger(entry) ? undefined : entry;
  if (!Array.isArray(entry)) return undefined;
  for (const inner of entry) {
    const fraction = fractionIn(inner);
    if (fraction !== undefined) return fraction;
  }
  return undefined;
}

/** The shape of plain input; flat typed arrays are class indices if they have one entry per row. */
function shapeOf(operation: string, input: Exclude<CrossEntropyTarget, Tensor>, reduced: Shape): Shape {
  if (ArrayBuffer.isView(input)) {
    return (input as Int32Array).length === sizeOf(reduced) && isIntegerArray(input) ? reduced : [-1];
  }
  if (Array.isArray(input)) return shapeOfNested(input);
  return readInput(input, undefined, 'float64', `${operation}: target`).shape;
}

function fromTensor(
  operation: string,
  input: Tensor,
  logits: FloatTensor,
  reduced: Shape,
  rows: Rows,
  rules: TargetRules,
): DeviceTarget {
  const target = asTensor(operation, 'target', input);
  if (target.dtype === 'bool') {
    throw new SoftgradError(
      'ERR_DTYPE',
      `${operation}: target is bool; expected int32 class indices or float probabilities`,
    );
  }
  if (target.dtype !== 'int32' || target.host === null) {
    if (!sameShape(target.shape, logits.shape)) {
      if (sameShape(target.shape, reduced)) throw notIndices(operation, target.dtype, target.shape);
      throw wrongShape(operation, target.shape, logits.shape, reduced);
    }
    return { kind: 'probabilities', buffer: operandLike(operation, 'target', target, logits).buffer };
  }
  checkBackend(operation, 'target', target, logits.backend);
  if (!sameShape(target.shape, reduced)) {
    if (sameShape(target.shape, logits.shape)) throw notProbabilities(operation, target, logits.dtype);
    throw wrongShape(operation, target.shape, logits.shape, reduced);
  }
  const { buffer, host } = target;
  let summary = target.summary;
  if (summary?.host !== host || summary.ignoreIndex !== rules.ignoreIndex) {
    summary = summaryOf(host, rules.ignoreIndex);
    target.summary = summary;
  }
  return { kind: 'indices', buffer, host, counted: checkedCount(operation, host, rows, rules, summary) };
}

function wrongShape(operation: string, shape: Shape, logits: Shape, reduced: Shape): SoftgradError {
  const expected = `class indices ${show(reduced)} or probabilities ${show(logits)}`;
  const axis = logits.findIndex((_, k) => sameShape(shape, withoutAxis(logits, k)));
  const hint = axis < 0 ? '' : `; it fits axis ${axis} (option axis, by default the last)`;
  return new SoftgradError('ERR_SHAPE', `${operation}: target is ${show(shape)}; expected ${expected}${hint}`);
}

/** The error for floats in the shape of class indices, for example from `tensor([0, 2])` without a dtype. */
function notIndices(operation: string, found: string, shape: Shape): SoftgradError {
  return new SoftgradError(
    'ERR_DTYPE',
    `${operation}: target is ${found} ${show(shape)}: class indices are integers: pass an array such as [0, 2], an Int32Array, or a tensor of dtype 'int32'`,
  );
}

/** The error for integers in the shape of probabilities, most likely one-hot rows. */
function notProbabilities(operation: string, { shape }: Tensor, dtype: DType): SoftgradError {
  return new SoftgradError(
    'ERR_DTYPE',
    `${operation}: target is int32 ${show(shape)}: probabilities must be floats: pass nested arrays, or a tensor of dtype '${dtype}'`,
  );
}

function summaryOf(host: HostArray, ignoreIndex: number): IndexSummary {
  let least = 0;
  let largest = 0;
  let counted = 0;
  for (let row = 0; row < host.length; row++) {
    const index = host[row] as number;
    if (index === ignoreIndex) continue;
    if (index < least) least = index;
    if (index > largest) largest = index;
    counted++;
  }
  return { host, ignoreIndex, least, largest, counted };
}

/** How many indices are not ignored. @throws ERR_VALUE for the first that is no class, or one that the mask excludes */
function checkedCount(
  operation: string,
  indices: HostArray,
  rows: Rows,
  rules: TargetRules,
  { least, largest, counted }: IndexSummary,
): number {
  if (least < 0 || largest >= rows.classes || rules.mask !== null) {
    for (let row = 0; row < indices.length; row++) checkIndex(operation, row, indices, rows, rules);
  }
  return counted;
}

function checkIndex(operation: string, row: number, indices: HostArray, rows: Rows, rules: TargetRules): void {
  const { ignoreIndex, mask } = rules;
  const { classes, inner } = rows;
  const index = indices[row] as number;
  if (index === ignoreIndex) return;
  if (index < 0 || index >= classes) {
    const expected = classes > 0 ? `0 to ${classes - 1}` : 'nothing, because there are no classes,';
    const fromOne = indices.every((other) => other === ignoreIndex || (other >= 1 && other <= classes));
    const hint = fromOne ? '; if these count from 1, take 1 off' : '';
    throw new SoftgradError(
      'ERR_VALUE',
      `${operation}: target ${row} is class ${index}; expected ${expected} or ignoreIndex ${ignoreIndex}${hint}`,
    );
  }
  if (mask !== null && !keeps(mask, rows, Math.floor(row / inner), index, row % inner)) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${operation}: target ${row} is class ${index}, which is masked; set it to ignoreIndex ${ignoreIndex}`,
    );
  }
}

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

/** Class weights multiplied by a power of 2, and the factor that divides by it again. */
export interface BalancedWeight {
  readonly weight: HostArray;
  readonly factor: number;
}

/**
 * The class weights for a mean of class indices, which a common factor does not change: all are scaled by the power of 2 by which the largest weight
 * of a target is between ½ and 1. Then their sum, its reciprocal and their products with losses leave the dtype's range only where the mean does.
 *
 * Otherwise small weights are scaled so that the largest of all is, because their products with small probabilities would lose digits that a
 * small temperature restores.
 */
export function balancedWeight(
  target: DeviceTarget,
  weight: HostArray,
  isMean: boolean,
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
  const room = Math.log2(largestFinite(dtype)) - 1 - Math.log2(ofAll);
  const exponent = Math.floor(Math.min(-Math.log2(largest), room));
  // In two steps, because 2^1074 overflows.
  const first = 2 ** Math.trunc(exponent / 2);
  const second = 2 ** (exponent - Math.trunc(exponent / 2));
  const balanced = hostArray(weight.length, dtype);
  weight.forEach((value, index) => {
    balanced[index] = value * first * second;
  });
  return { weight: balanced, factor: isMean && target.kind === 'indices' ? 1 : 1 / first / second };
}

/** Products of probabilities with weights from here on are normal numbers unless the probability is very small. */
const leastWeight = 2 ** -32;

/** Class indices as one-hot probabilities, for the composition. Ignored rows are all 0. */
export function oneHot(indices: HostArray, rows: Rows, ignoreIndex: number, dtype: FloatDType): HostArray {
  const { outer, classes, inner } = rows;
  const dense = hostArray(outer * classes * inner, dtype);
  let row = 0;
  for (const index of indices) {
    if (index !== ignoreIndex) dense[(Math.floor(row / inner) * classes + index) * inner + (row % inner)] = 1;
    row++;
  }
  return dense;
}
