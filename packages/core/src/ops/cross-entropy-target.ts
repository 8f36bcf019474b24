import type { Rows } from '../backend/interface.js';
import { checkLivesOn } from '../backend/mismatch.js';
import { SoftgradError } from '../errors.js';
import { checkAttached } from '../tensor/attached.js';
import type { DType, HostArray } from '../tensor/dtype.js';
import { areBooleans, isIntegerArray, readInput, type TensorInput } from '../tensor/input.js';
import { keeps, type Mask } from '../tensor/mask.js';
import { shapeOfNested } from '../tensor/nested.js';
import { type FloatTensor, hintOfShape, operandLike } from '../tensor/operands.js';
import { type Shape, sameShape, show, sizeOf, withoutAxis } from '../tensor/shape.js';
import { allocate, asTensor, type IndexSummary, isTensor, type Tensor } from '../tensor/tensor.js';
import { isInt32 } from './cross-entropy-options.js';

/** Class indices (an int32 tensor, integers in arrays) shaped like the logits without the axis, or probabilities shaped like them. */
export type CrossEntropyTarget = Tensor | TensorInput;

/** A target on the logits' backend. Class indices are known on the host too; `counted` is how many of them are not ignored. */
export type DeviceTarget =
  | { readonly kind: 'indices'; readonly buffer: unknown; readonly host: HostArray; readonly counted: number }
  | { readonly kind: 'probabilities'; readonly buffer: unknown };

/** The call that a target has to fit. */
interface TargetRules {
  readonly operation: string;
  readonly logits: FloatTensor;
  /** The shape of the logits without the axis. */
  readonly reduced: Shape;
  readonly rows: Rows;
  /** As given: int32 may be too small for it. */
  readonly ignoreIndex: number;
  readonly mask: Mask<unknown> | null;
}

/**
 * Calls `body` with the target on the logits' backend, and frees the uploaded copy afterwards.
 *
 * @throws ERR_SHAPE, ERR_DTYPE, ERR_BACKEND_MISMATCH, ERR_DISPOSED; ERR_VALUE for an index that is not a class, or of a class that the mask excludes, and
 *   for probabilities with an `ignoreIndex` of 0 or more
 */
export function withTarget<T>(input: CrossEntropyTarget, rules: TargetRules, body: (target: DeviceTarget) => T): T {
  if (isTensor(input)) return body(fromTensor(input, rules));
  const { operation, logits, reduced, ignoreIndex } = rules;
  if (ArrayBuffer.isView(input)) checkAttached(`${operation}: target`, input);
  const probabilities = !areIndices(operation, input, reduced);
  const dtype = probabilities ? logits.dtype : 'int32';
  if (probabilities) checkNoClassIgnored(rules);
  if (probabilities && ArrayBuffer.isView(input) && (input as Int32Array).length !== logits.size) {
    const shape = [(input as Int32Array).length];
    if (!isIntegerArray(input) && shape[0] === sizeOf(reduced)) {
      throw notIndices(operation, `a ${input.constructor.name}`, shape);
    }
    throw wrongShape(shape, rules);
  }
  if (areBooleans(input)) throw notIndices(operation, 'booleans', probabilities ? logits.shape : reduced);
  if (!probabilities) checkIndexEntries(operation, input, reduced);
  const expected = probabilities ? logits.shape : reduced;
  const isBeyond = !probabilities && !isInt32(ignoreIndex);
  const shape = ArrayBuffer.isView(input) ? expected : undefined;
  const own = readInput(input, shape, isBeyond ? 'float64' : dtype, `${operation}: target`);
  if (!sameShape(own.shape, expected)) throw wrongShape(own.shape, rules);
  const counted = probabilities ? 0 : checkedCount(own.data, summaryOf(own.data, ignoreIndex), rules);
  const host = isBeyond ? inInt32(own.data, ignoreIndex) : own.data;
  const buffer = allocate(logits.backend, host.length, dtype);
  try {
    // Allocating may have grown the memory that the array is a view of.
    checkAttached(`${operation}: target`, host);
    logits.backend.write(buffer, host);
    return body(probabilities ? { kind: 'probabilities', buffer } : { kind: 'indices', buffer, host, counted });
  } finally {
    logits.backend.free(buffer);
  }
}

/** The labels with −1, which is not a class, in place of an ignoreIndex that int32 cannot hold. Not inlined: a closure would slow down every call. */
function inInt32(labels: HostArray, ignoreIndex: number): Int32Array {
  return Int32Array.from(labels, (label) => (label === ignoreIndex ? -1 : label));
}

/** @throws ERR_DTYPE for fractions, and a typed array of floats, if class indices are expected */
function checkIndexEntries(operation: string, input: Exclude<CrossEntropyTarget, Tensor>, reduced: Shape): void {
  const data: unknown = typeof input === 'object' && 'data' in input ? input.data : input;
  if (ArrayBuffer.isView(data)) {
    if (!isIntegerArray(data)) throw notIndices(operation, `a ${data.constructor.name}`, reduced);
    return;
  }
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

/** Whether plain input has the shape of class indices. Flat typed arrays do if they hold one integer per row. */
function areIndices(operation: string, input: Exclude<CrossEntropyTarget, Tensor>, reduced: Shape): boolean {
  if (ArrayBuffer.isView(input)) return (input as Int32Array).length === sizeOf(reduced) && isIntegerArray(input);
  if (Array.isArray(input)) return sameShape(shapeOfNested(input), reduced);
  return sameShape(readInput(input, undefined, 'float64', `${operation}: target`).shape, reduced);
}

function fromTensor(input: Tensor, rules: TargetRules): DeviceTarget {
  const { operation, logits, reduced, ignoreIndex } = rules;
  const target = asTensor(operation, 'target', input);
  if (target.dtype === 'bool') {
    throw new SoftgradError(
      'ERR_DTYPE',
      `${operation}: target is bool; expected int32 class indices or float probabilities`,
    );
  }
  const { buffer, host } = target;
  // Floats have no copy on the host.
  if (host === null) {
    if (!sameShape(target.shape, logits.shape)) {
      if (sameShape(target.shape, reduced)) throw notIndices(operation, target.dtype, target.shape);
      throw wrongShape(target.shape, rules);
    }
    checkNoClassIgnored(rules);
    if (target.origin?.operation === 'logSoftmax') {
      throw new SoftgradError(
        'ERR_VALUE',
        `${operation}: target was made by logSoftmax; expected probabilities, as softmax gives them`,
      );
    }
    return { kind: 'probabilities', buffer: operandLike(operation, 'target', target, logits).buffer };
  }
  checkLivesOn(operation, 'target', target.backend, logits.backend);
  if (!sameShape(target.shape, reduced)) {
    if (sameShape(target.shape, logits.shape)) throw notProbabilities(operation, target, logits.dtype);
    throw wrongShape(target.shape, rules);
  }
  let summary = target.summary;
  if (summary?.host !== host || summary.ignoreIndex !== ignoreIndex) {
    summary = summaryOf(host, ignoreIndex);
    target.summary = summary;
  }
  return { kind: 'indices', buffer, host, counted: checkedCount(host, summary, rules) };
}

/** @throws ERR_VALUE for an ignoreIndex that a class may have, as in PyTorch: rows with probabilities have no index that could be equal to it */
function checkNoClassIgnored({ operation, ignoreIndex }: TargetRules): void {
  if (ignoreIndex < 0) return;
  throw new SoftgradError(
    'ERR_VALUE',
    `${operation}: ignoreIndex ${ignoreIndex} with probabilities as the target; it ignores rows by their class index: expected class indices, or no ignoreIndex`,
  );
}

function wrongShape(shape: Shape, { operation, logits, reduced }: TargetRules): SoftgradError {
  const expected = `class indices ${show(reduced)} or probabilities ${show(logits.shape)}`;
  const axis = logits.shape.findIndex((_, k) => sameShape(shape, withoutAxis(logits.shape, k)));
  const hint =
    axis < 0
      ? hintOfShape(shape, reduced) || hintOfShape(shape, logits.shape) || hintOfRows(shape, logits)
      : `; it fits axis ${axis} (option axis, by default the last)`;
  return new SoftgradError('ERR_SHAPE', `${operation}: target is ${show(shape)}; expected ${expected}${hint}`);
}

/** How to give flat logits their rows, if they can have as many as the target has entries; else empty. */
function hintOfRows([rows, ...others]: Shape, { shape, size }: Tensor): string {
  if (shape.length !== 1 || rows === undefined || others.length > 0 || size % rows !== 0) return '';
  return `; flat logits are one row: in rows they are tensor(logits, { shape: [${rows}, ${size / rows}] })`;
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

/** How many indices are not ignored. @throws ERR_VALUE for the first that is not a class, or of a class that the mask excludes */
function checkedCount(indices: HostArray, { least, largest, counted }: IndexSummary, rules: TargetRules): number {
  if (least < 0 || largest >= rules.rows.classes || rules.mask !== null) {
    for (const row of indices.keys()) checkIndex(row, indices, rules);
  }
  return counted;
}

function checkIndex(row: number, indices: HostArray, { operation, rows, ignoreIndex, mask }: TargetRules): void {
  const { classes, inner } = rows;
  const index = indices[row] as number;
  if (index === ignoreIndex) return;
  if (index < 0 || index >= classes) {
    const expected = classes > 0 ? `; expected 0 to ${classes - 1} or` : ', but there are no classes; expected';
    const fromOne = indices.every((other) => other === ignoreIndex || (other >= 1 && other <= classes));
    const hint = fromOne ? '; if these count from 1, take 1 off' : '';
    throw new SoftgradError(
      'ERR_VALUE',
      `${operation}: target ${row} is class ${index}${expected} ignoreIndex ${ignoreIndex}${hint}`,
    );
  }
  if (mask !== null && !keeps(mask, rows, Math.floor(row / inner), index, row % inner)) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${operation}: target ${row} is class ${index}, which is masked; set it to ignoreIndex ${ignoreIndex}`,
    );
  }
}
