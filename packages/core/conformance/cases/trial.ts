import { rowIndices } from '../../reference/functions.js';
import { type Backend, type FloatDType, type MaskInput, type Tensor, tensor } from '../../src/index.js';
import { assert, assertClose } from '../check.js';
import { cycled, type InputName, layout, logits, randomFrom } from '../inputs.js';
import { garbage } from '../kernel.js';
import type { Operation } from '../operations/operation.js';
import { broadcast, callOptions, expectation, statedFor, tensorsOf } from '../problem.js';
import type { Problem } from '../statement.js';

/** Where an operation writes its result: a new tensor, a given one, or one of its operands. */
export type Out = 'none' | 'given' | 'operand 0' | 'operand 1' | 'operand 2' | 'target';

/**
 * full: an entry for each logit. suffix: the dimensions from the axis on. repeated: all dimensions except the first, so that a
 * block of rows repeats. row: one row for all rows. columns: constant along the axis, so that whole rows are kept or masked.
 */
export type TrialMask = 'none' | 'full' | 'suffix' | 'repeated' | 'row' | 'columns';

/** The form of a problem as an entry of a covering array. */
export interface TrialForm {
  readonly rank: number;
  readonly axis: 'first' | 'middle' | 'last';
  /** The range from which the number of classes is drawn. */
  readonly length: readonly number[];
  readonly input: InputName;
  readonly temperature?: number | undefined;
  readonly mask?: TrialMask;
}

/** One call of an operation, with all of its arguments. */
export interface Trial {
  readonly operation: Operation;
  readonly problem: Problem;
  /** May be negative. */
  readonly axis: number;
  readonly maskIsTensor: boolean;
  readonly out: Out;
  readonly resultShape: readonly number[];
  /** The call as text. */
  readonly parameters: string;
}

/** The largest number of elements of a problem, unless its row or its mask needs more. */
const mostElements = 200;

/** Whether a form is possible: a middle dimension needs three dimensions, and a mask that repeats needs a dimension to repeat over. */
export function isPossible({ rank, axis, mask = 'none' }: Partial<TrialForm>): boolean {
  if (rank === undefined) return !(axis === 'first' && (mask === 'suffix' || mask === 'repeated'));
  if (rank === 1) return axis !== 'first' && axis !== 'middle' && (mask === 'none' || mask === 'full');
  if (rank === 2 && (axis === 'middle' || mask === 'repeated')) return false;
  if (mask === 'repeated') return axis === undefined || positionOf(axis, rank) >= 2;
  return !(mask === 'suffix' && axis === 'first');
}

function positionOf(axis: TrialForm['axis'], rank: number): number {
  if (axis === 'first') return 0;
  return axis === 'last' ? rank - 1 : rank >> 1;
}

export interface TrialOptions {
  readonly out: Out;
  readonly dtype: FloatDType;
  readonly seed: string;
  /** The result is one number. */
  readonly isScalar: boolean;
  /** The mask keeps at least one class of every row, so that no result is infinite. */
  readonly keepsEveryRow: boolean;
}

/** The numbers of a form: sizes, the sign of the axis and the mask's entries are drawn from the seed. */
export function trialOf(operation: Operation, form: TrialForm, options: TrialOptions): Trial {
  const { out, dtype, seed, isScalar, keepsEveryRow } = options;
  const random = randomFrom(seed);
  const axis = positionOf(form.axis, form.rank);
  const shape = (isMatrix(operation.member) ? null : wideShapeOf(form, axis, random)) ?? shapeOf(form, axis, random);
  const mask = maskOf(form.mask ?? 'none', shape, axis, random, keepsEveryRow);
  const { temperature = 1 } = form;
  const problem: Problem = {
    shape,
    axis,
    dtype,
    rows: layout(shape, axis),
    values: logits(form.input, shape, axis, dtype),
    parameters: { temperature, mask: mask && broadcast(mask, shape) },
    mask,
  };
  const stated = random() < 0.5 ? axis - form.rank : axis;
  const maskIsTensor = mask !== null && random() < 0.5;
  const masked = mask ? `;mask=${mask.shape.join('x')}${maskIsTensor ? ' in a tensor' : ''}` : '';
  const tempered = temperature === 1 ? '' : `;temperature=${temperature}`;
  const where = `shape=${shape.join('x')};axis=${stated};input=${form.input}`;
  const parameters = `operation=${operation.name};${where}${tempered}${masked};out=${out}`;
  const resultShape = isScalar ? [] : shapeOfResult(operation, problem);
  return { operation, problem, axis: stated, maskIsTensor, out, resultShape, parameters };
}

/** @throws Error unless the result is correct and in the tensor that was given for it */
export async function checkTrial(backend: Backend, trial: Trial): Promise<void> {
  const { operation, problem, axis } = trial;
  const { expected, tolerance } = expectation(backend, operation, problem);
  const tensors = tensorsOf(backend, statedFor(operation, problem).operands, problem);
  const owned = [...tensors];
  try {
    let options = { ...callOptions(operation, problem), axis };
    if (trial.maskIsTensor && problem.mask && options.mask) {
      const mask = tensor(problem.mask.data, { shape: problem.mask.shape, dtype: 'bool', backend });
      owned.push(mask);
      options = { ...options, mask: mask as MaskInput };
    }
    const given = outOf(backend, trial, tensors, expected.length);
    if (given && !owned.includes(given)) owned.push(given);
    const result = operation.apply(tensors, given ? { ...options, out: given } : options, problem);
    if (!owned.includes(result)) owned.push(result);
    assert(given === undefined || result === given, 'the result is not the tensor given as out');
    assertClose(operation.name, await result.data(), expected, tolerance);
  } finally {
    for (const tensorOfTrial of owned) tensorOfTrial.dispose();
  }
}

function outOf(
  backend: Backend,
  { out, resultShape: shape, problem }: Trial,
  tensors: readonly Tensor[],
  length: number,
): Tensor | undefined {
  if (out === 'none') return undefined;
  if (out === 'operand 0') return tensors[0];
  if (out === 'operand 1') return tensors[1];
  if (out === 'operand 2') return tensors[2];
  if (out === 'target') return tensors.at(-1);
  return tensor(garbage(length, problem.dtype), { shape, dtype: problem.dtype, backend });
}

function shapeOfResult({ family, member }: Operation, { shape, axis, rows }: Problem): readonly number[] {
  const reduced = shape.filter((_, k) => k !== axis);
  if (isMatrix(member)) return [...reduced, rows.classes, rows.classes];
  return isRowwise(family, member) ? reduced : shape;
}

/** Whether the result of a member has a matrix for each row. */
export function isMatrix(member: string): boolean {
  return member === 'jacobian' || member === 'to-dense';
}

/** Whether the result of an operation has one number for each row, or fewer. */
export function isRowwise(family: string, member: string): boolean {
  if (family === 'log-sum-exp') return member === 'values' || member === 'jvp';
  return family === 'cross-entropy' && (member === 'loss' || member === 'jvp');
}

/** Small sizes around the axis, larger than 1 where the mask repeats. */
function shapeOf({ rank, length, mask }: TrialForm, axis: number, random: () => number): readonly number[] {
  const classes = cycled(length, Math.floor(random() * length.length));
  const needed = mask === undefined || mask === 'none' || mask === 'full' ? 0 : mask === 'repeated' ? 2 : 1;
  let elements = classes;
  let others = 0;
  return Array.from({ length: rank }, (_, k) => {
    if (k === axis) return classes;
    const least = others++ < needed ? 2 : 1;
    const most = Math.max(least, Math.min(4, Math.floor(mostElements / elements)));
    const size = least + Math.floor(random() * (most - least + 1));
    elements *= size;
    return size;
  });
}

/** The share of the forms with rows side by side that are wide. */
const wideShare = 1 / 3;
/** The most classes of a wide form, for the sake of its size. */
const mostWideClasses = 17;
/** Numbers of rows side by side. */
const wideColumns = { ofFew: [31, 70], ofMore: [17, 19] };

/** Blocks of more rows side by side than a tile or a workgroup has, for a share of the forms; null for the others. */
function wideShapeOf({ rank, length }: TrialForm, axis: number, random: () => number): readonly number[] | null {
  if (axis === rank - 1 || random() > wideShare || Math.max(...length) > mostWideClasses) return null;
  const classes = cycled(length, Math.floor(random() * length.length));
  const choices = classes < 10 ? wideColumns.ofFew : wideColumns.ofMore;
  const columns = cycled(choices, Math.floor(random() * choices.length));
  return Array.from({ length: rank }, (_, k) => (k === axis ? classes : k === rank - 1 ? columns : k < 2 ? 2 : 1));
}

/**
 * A mask that keeps three of four entries, no entry in one row of five, and a single one in another. The first row keeps its first two classes, so
 * that at least one row has a valid target, whichever class is ignored.
 */
function maskOf(
  name: TrialMask,
  shape: readonly number[],
  axis: number,
  random: () => number,
  keepsEveryRow: boolean,
): Problem['mask'] {
  if (name === 'none') return null;
  const dimensions: Record<Exclude<TrialMask, 'none'>, readonly number[]> = {
    full: shape,
    suffix: shape.slice(axis),
    repeated: shape.slice(1),
    row: shape.map((size, k) => (k === axis ? size : 1)),
    columns: shape.map((size, k) => (k === axis ? 1 : size)),
  };
  const own = dimensions[name];
  const rows = layout(own, axis - (shape.length - own.length));
  const data = new Uint8Array(rows.outer * rows.classes * rows.inner);
  rowIndices(rows).forEach((at, row) => {
    const isEmptied = random() < 0.2;
    const only = row % 5 === 3 ? (keepsEveryRow ? 0 : (7 * row) % at.length) : null;
    at.forEach((i, c) => {
      const drawn = only === null ? random() < 3 / 4 : c === only;
      const isKept = row === 0 && c < 2 ? true : keepsEveryRow && c === 0 ? true : !isEmptied && drawn;
      data[i] = isKept ? 1 : 0;
    });
  });
  return { data, shape: own };
}
