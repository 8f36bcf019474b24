import {
  type BuiltIn,
  crossEntropy,
  logSoftmax,
  logSumExp,
  type Op,
  type Rows,
  relu,
  SoftgradError,
  type SoftmaxOptions,
  shortened,
  sigmoid,
  softmax,
  softmin,
  type Tensor,
} from '@softgrad/core';
import { type ReferenceCrossEntropyOptions, type ReferenceTarget, reference } from '@softgrad/core/conformance';
import type { FloatArray } from '../workloads.js';
import { type Case, type OutputName, originOfTangent, smoothing, terms, undeterminedCurvature } from './terms.js';

/** Every function of core. One that is missing here is a compile error. */
const functions = {
  softmax,
  softmin,
  logSoftmax,
  logSumExp,
  sigmoid,
  relu,
  crossEntropy,
} as const satisfies Record<Op, BuiltIn>;

/** All but softmin, which is softmax at a negative temperature on the same kernels. */
type Measured = Exclude<Op, 'softmin'>;

/** A function, its derivatives, and the diagonal of its `linearize`; the matrices of that are those of `jacobian`. The value of crossEntropy is that of two of its members. */
type NamesOf<K extends Measured> =
  | Exclude<K, 'crossEntropy'>
  | `${K}.${Exclude<keyof (typeof functions)[K] & string, 'linearize'>}`
  | ('jacobian' extends keyof (typeof functions)[K] ? `${K}.linearize.diagonal` : never);

/** A function of core whose errors can be measured: `softmax`, `softmax.vjp`. */
export type AccuracyOpName = { readonly [K in Measured]: NamesOf<K> }[Measured];

/** An operand: logits, the output of a function, a direction or a target. */
export type OperandName = 'logits' | OutputName | 'direction' | 'tangent' | 'rowCotangent' | 'target';

/** Options of a call; elementwise functions take none. */
export interface AccuracyCall extends Pick<SoftmaxOptions, 'temperature' | 'mask'> {
  readonly labelSmoothing?: number;
}

/** How an op is called and what its result should be. */
export interface AccuracyOp {
  /** The operands of `call`, in their order. */
  readonly operands: readonly OperandName[];
  /** Whether it computes entry by entry, so that there is no temperature and no mask. */
  readonly isElementwise?: boolean;
  /** Results of one row of so many classes. */
  results(classes: number): number;
  /** The result, or with it the output of a function that it was computed from and that the reference takes, too. */
  call(operands: readonly Tensor[], options: AccuracyCall): Tensor | OfOwnOutput;
  /** The results of one period of each row, from the double-double reference. */
  expected(input: Case): Float64Array;
  /**
   * The magnitude of the terms that are left once everything has been subtracted that can be subtracted exactly: rounding them is
   * unavoidable, and a result that is small compared with them cannot be more accurate. Missing if no term exceeds the result.
   */
  attainable?(input: Case): Float64Array;
  /**
   * What the rounding of the operand leaves open: the difference between formulas that agree where the probabilities of a row sum to 1. Errors
   * up to it are counted as 0. Missing if the result is fully determined.
   */
  undetermined?(input: Case): Float64Array;
  /** Whether a row that repeats its entries has results that repeat. Default true; false leaves rows of millions of classes out. */
  readonly isPeriodic?: boolean;
  /** Whether of rows with more than 1000 classes only those with logits in ±1 and ±20 are measured. */
  readonly hasFewLongRows?: boolean;
  /** Longer rows are left out. Default: none. */
  readonly mostClasses?: number;
}

/** A result with the output that it was computed from. */
export interface OfOwnOutput {
  readonly output: Tensor;
  readonly result: Tensor;
}

const perEntry = { results: (classes: number) => classes };
const perRow = { results: () => 1 };
const matrices = { results: (classes: number) => classes ** 2 };
/** Of matrices, those of softmax are measured in long rows, too. */
const small = { ...matrices, mostClasses: 128 };

const softmaxProduct = {
  ...perEntry,
  operands: ['softmax', 'direction'],
  expected: ({ directions, layout, repeats, parameters, ...input }) =>
    reference.softmaxVjp(input.output('softmax'), directions, layout, parameters).map((value) => value * repeats),
  attainable: terms.softmaxProduct,
} as const satisfies Partial<AccuracyOp>;

const elementwise = { ...perEntry, isElementwise: true } as const satisfies Partial<AccuracyOp>;

const ofSigmoid = {
  ...elementwise,
  operands: ['sigmoid', 'direction'],
  expected: (input) => reference.sigmoidVjp(input.output('sigmoid'), input.directions),
} as const satisfies Partial<AccuracyOp>;

const ofRelu = {
  ...elementwise,
  operands: ['relu', 'direction'],
  expected: (input) => reference.reluVjp(input.output('relu'), input.directions),
} as const satisfies Partial<AccuracyOp>;

/** Of long rows, less is measured than of the functions and their vjp. */
const short = { isPeriodic: false, hasFewLongRows: true } as const;

/** The ops by their names in core. */
export const accuracyOps: Readonly<Record<AccuracyOpName, AccuracyOp>> = {
  softmax: {
    ...perEntry,
    operands: ['logits'],
    call: ([x], options) => softmax(given(x), options),
    expected: ({ logits, layout, parameters, repeats }) =>
      reference.softmax(logits, layout, parameters).map((value) => value / repeats),
  },
  'softmax.jacobian': {
    ...matrices,
    operands: ['softmax'],
    call: ([s], options) => softmax.jacobian(given(s), options),
    expected: ({ layout, parameters, ...input }) =>
      reference.softmaxJacobian(input.output('softmax'), layout, parameters),
  },
  'softmax.linearize.diagonal': {
    ...perEntry,
    ...short,
    operands: ['logits'],
    call: ([x], options) => diagonalOf(softmax.linearize(given(x), options)),
    expected: ({ layout, parameters, ...input }) =>
      reference.softmaxJacobian(input.output('softmax'), layout, parameters, 'diagonal'),
  },
  'softmax.vjp': { ...softmaxProduct, call: ([s, g], options) => softmax.vjp(given(s), given(g), options) },
  'softmax.jvp': { ...softmaxProduct, call: ([s, t], options) => softmax.jvp(given(s), given(t), options) },
  'softmax.hvp': {
    ...perEntry,
    ...short,
    operands: ['softmax', 'direction', 'tangent'],
    call: ([s, g, t], options) => softmax.hvp(given(s), given(g), given(t), options),
    expected: ({ directions, tangents, layout, parameters, ...input }) =>
      reference.softmaxHvp(input.output('softmax'), directions, tangents, layout, parameters),
    attainable: terms.softmaxHvp,
  },
  'softmax.doubleBackward': {
    ...perEntry,
    ...short,
    operands: ['softmax', 'direction', 'tangent'],
    call: ([s, g, h], options) => softmax.doubleBackward(given(s), given(g), given(h), options),
    expected: ({ directions, tangents, layout, parameters, ...input }) =>
      reference.softmaxDoubleBackward(input.output('softmax'), directions, tangents, layout, parameters),
    attainable: terms.softmaxDoubleBackward,
  },
  logSoftmax: {
    ...perEntry,
    operands: ['logits'],
    call: ([x], options) => logSoftmax(given(x), options),
    // The other periods have their share of the sum.
    expected: ({ logits, layout, parameters, repeats }) =>
      reference.logSoftmax(logits, layout, parameters).map((value) => value - Math.log(repeats)),
  },
  'logSoftmax.jacobian': {
    ...small,
    operands: ['logSoftmax'],
    call: ([y], options) => logSoftmax.jacobian(given(y), options),
    expected: ({ layout, parameters, ...input }) =>
      reference.logSoftmaxJacobian(input.output('logSoftmax'), layout, parameters),
  },
  'logSoftmax.linearize.diagonal': {
    ...perEntry,
    ...short,
    operands: ['logits'],
    call: ([x], options) => diagonalOf(logSoftmax.linearize(given(x), options)),
    expected: ({ layout, parameters, ...input }) =>
      reference.logSoftmaxJacobian(input.output('logSoftmax'), layout, parameters, 'diagonal'),
  },
  'logSoftmax.vjp': {
    ...perEntry,
    operands: ['logSoftmax', 'direction'],
    call: ([y, g], options) => logSoftmax.vjp(given(y), given(g), options),
    expected: ({ layout, period, repeats, directions, parameters, ...input }) => {
      const { temperature } = parameters;
      const output = input.output('logSoftmax');
      if (repeats === 1) return reference.logSoftmaxVjp(output, directions, layout, parameters);
      // An entry without probability has the cotangents of the other periods; their sum is exact.
      const y = extended(output, layout, () => [Number.NEGATIVE_INFINITY]);
      const g = extended(directions, layout, (row) => [(repeats - 1) * row.reduce((total, value) => total + value, 0)]);
      const all = reference.logSoftmaxVjp(y, g, { ...layout, classes: period + 1 }, { temperature });
      return columns(all, period + 1, 0, period);
    },
    attainable: terms.logSoftmaxVjp,
  },
  'logSoftmax.jvp': {
    ...perEntry,
    operands: ['logSoftmax', 'direction'],
    call: ([y, t], options) => logSoftmax.jvp(given(y), given(t), options),
    expected: ({ layout, period, repeats, directions, parameters, ...input }) => {
      const { temperature } = parameters;
      const output = input.output('logSoftmax');
      if (repeats === 1) return reference.logSoftmaxJvp(output, directions, layout, parameters);
      // The mean over all periods is that of `repeats · t` over one; the tangents themselves are separate terms, without probability.
      const y = extended(output, layout, (row) => row.map(() => Number.NEGATIVE_INFINITY));
      const t = extended(directions, layout, (row) => row).map((tangent, k) =>
        k % (2 * period) < period ? repeats * tangent : tangent,
      );
      const all = reference.logSoftmaxJvp(y, t, { ...layout, classes: 2 * period }, { temperature });
      return columns(all, 2 * period, period, period);
    },
    attainable: terms.logSoftmaxJvp,
    // t of the entry above ½, times 1 − Σ p: what the result changes by if that t is subtracted from all, which is exact here.
    undetermined: (input) => {
      const { directions, layout, parameters, repeats } = input;
      const output = input.output('logSoftmax');
      if (repeats > 1) return new Float64Array(output.length);
      const origins = originOfTangent(input);
      const moved = Float64Array.from(directions, (t, k) => t - (origins[k] ?? Number.NaN));
      const [given, shifted] = [directions, moved].map((t) => reference.logSoftmaxJvp(output, t, layout, parameters));
      return Float64Array.from(given ?? [], (value, k) => Math.abs(value - (shifted?.[k] ?? Number.NaN)));
    },
  },
  'logSoftmax.hvp': {
    ...perEntry,
    ...short,
    operands: ['logSoftmax', 'direction', 'tangent'],
    call: ([y, g, t], options) => logSoftmax.hvp(given(y), given(g), given(t), options),
    expected: ({ directions, tangents, layout, parameters, ...input }) =>
      reference.logSoftmaxHvp(input.output('logSoftmax'), directions, tangents, layout, parameters),
    attainable: terms.logSoftmaxHvp,
    undetermined: undeterminedCurvature,
  },
  logSumExp: {
    ...perRow,
    operands: ['logits'],
    call: ([x], options) => logSumExp(given(x), options),
    expected: ({ logits, layout, parameters, repeats }) =>
      reference.logSumExp(logits, layout, parameters).map((value) => value + Math.log(repeats)),
    attainable: ({ logits, layout, parameters, mask }) => {
      const kept = Float64Array.from(logits, (logit, k) => (mask?.[k] === 0 ? Number.NEGATIVE_INFINITY : logit));
      return reference.logSumExp(logits, layout, parameters).map((value, row) => {
        const largest = kept
          .subarray(row * layout.classes, (row + 1) * layout.classes)
          .reduce((a, b) => Math.max(a, b));
        return Math.max(Math.abs(largest / parameters.temperature), Math.abs(value));
      });
    },
  },
  'logSumExp.gradient': {
    ...perEntry,
    ...short,
    operands: ['logits'],
    call: ([x], options) => logSumExp.gradient(given(x), options),
    expected: ({ logits, layout, parameters }) => reference.logSumExpVjp(logits, null, layout, parameters),
  },
  'logSumExp.vjp': {
    ...perEntry,
    ...short,
    operands: ['logits', 'rowCotangent'],
    call: ([x, g], options) => logSumExp.vjp(given(x), given(g), options),
    expected: ({ logits, rowCotangents, layout, parameters }) =>
      reference.logSumExpVjp(logits, rowCotangents, layout, parameters),
  },
  'logSumExp.jvp': {
    ...perRow,
    ...short,
    operands: ['logits', 'direction'],
    call: ([x, t], options) => logSumExp.jvp(given(x), given(t), options),
    expected: ({ logits, directions, layout, parameters }) =>
      reference.logSumExpJvp(logits, directions, layout, parameters),
    attainable: terms.mean,
  },
  'logSumExp.hvp': {
    ...perEntry,
    ...short,
    operands: ['logits', 'rowCotangent', 'direction'],
    call: ([x, g, t], options) => logSumExp.hvp(given(x), given(g), given(t), options),
    expected: ({ logits, rowCotangents, directions, layout, parameters }) =>
      reference.logSumExpHvp(logits, rowCotangents, directions, layout, parameters),
    attainable: terms.curvature(false),
  },
  'crossEntropy.loss': {
    ...perRow,
    operands: ['logits', 'target'],
    call: ([x, target], options) => crossEntropy.loss(given(x), given(target), { ...options, ...ofEachRow }),
    expected: (input) =>
      reference
        .crossEntropyLoss(input.logits, targetOf(input), input.layout, optionsOf(input))
        .map((value) => value + Math.log(input.repeats)),
  },
  'crossEntropy.gradient': {
    ...perEntry,
    // The target is in one of the periods.
    isPeriodic: false,
    operands: ['logits', 'target'],
    call: ([x, target], options) => crossEntropy.gradient(given(x), given(target), { ...options, ...ofEachRow }),
    expected: (input) => reference.crossEntropyGradient(input.logits, targetOf(input), input.layout, optionsOf(input)),
    attainable: terms.crossEntropyGradient,
  },
  'crossEntropy.vjp': {
    ...perEntry,
    ...short,
    operands: ['logits', 'target', 'rowCotangent'],
    call: ([x, target, g], options) =>
      crossEntropy.vjp(given(x), given(target), given(g), { ...options, ...ofEachRow }),
    expected: (input) =>
      reference.crossEntropyVjp(input.logits, targetOf(input), input.rowCotangents, input.layout, optionsOf(input)),
    attainable: terms.crossEntropyVjp,
  },
  'crossEntropy.jvp': {
    ...perRow,
    ...short,
    operands: ['logits', 'target', 'direction'],
    call: ([x, target, t], options) =>
      crossEntropy.jvp(given(x), given(target), given(t), { ...options, ...ofEachRow }),
    expected: (input) =>
      reference.crossEntropyJvp(input.logits, targetOf(input), input.directions, input.layout, optionsOf(input)),
    attainable: terms.crossEntropyJvp,
  },
  'crossEntropy.hvp': {
    ...perEntry,
    ...short,
    operands: ['logits', 'target', 'rowCotangent', 'direction'],
    call: ([x, target, g, t], options) =>
      crossEntropy.hvp(given(x), given(target), given(g), given(t), { ...options, ...ofEachRow }),
    expected: (input) => {
      const { logits, rowCotangents, directions, layout } = input;
      return reference.crossEntropyHvp(logits, targetOf(input), rowCotangents, directions, layout, optionsOf(input));
    },
    attainable: terms.curvature(true),
  },
  sigmoid: {
    ...elementwise,
    operands: ['logits'],
    call: ([x]) => sigmoid(given(x)),
    expected: ({ logits }) => reference.sigmoid(logits),
  },
  'sigmoid.jacobian': {
    ...elementwise,
    ...small,
    operands: ['sigmoid'],
    call: ([y]) => sigmoid.jacobian(given(y)),
    expected: (input) => diagonalMatrices(slopesOfSigmoid(input), input.layout),
  },
  'sigmoid.linearize.diagonal': {
    ...elementwise,
    ...short,
    operands: ['logits'],
    call: ([x]) => diagonalOf(sigmoid.linearize(given(x))),
    expected: slopesOfSigmoid,
  },
  'sigmoid.vjp': { ...ofSigmoid, call: ([y, g]) => sigmoid.vjp(given(y), given(g)) },
  'sigmoid.jvp': { ...ofSigmoid, ...short, call: ([y, t]) => sigmoid.jvp(given(y), given(t)) },
  'sigmoid.hvp': {
    ...elementwise,
    ...short,
    operands: ['sigmoid', 'direction', 'tangent'],
    call: ([y, g, t]) => sigmoid.hvp(given(y), given(g), given(t)),
    expected: (input) => reference.sigmoidHvp(input.output('sigmoid'), input.directions, input.tangents),
  },
  relu: {
    ...elementwise,
    operands: ['logits'],
    call: ([x]) => relu(given(x)),
    expected: ({ logits }) => reference.relu(logits),
  },
  'relu.jacobian': {
    ...elementwise,
    ...small,
    operands: ['relu'],
    call: ([y]) => relu.jacobian(given(y)),
    expected: (input) => diagonalMatrices(slopesOfRelu(input), input.layout),
  },
  'relu.linearize.diagonal': {
    ...elementwise,
    ...short,
    operands: ['logits'],
    call: ([x]) => diagonalOf(relu.linearize(given(x))),
    expected: slopesOfRelu,
  },
  'relu.vjp': { ...ofRelu, ...short, call: ([y, g]) => relu.vjp(given(y), given(g)) },
  'relu.jvp': { ...ofRelu, ...short, call: ([y, t]) => relu.jvp(given(y), given(t)) },
};

const names = Object.keys(accuracyOps) as readonly AccuracyOpName[];

/**
 * The ops of these names; `all` stands for every one.
 *
 * @throws ERR_VALUE for an unknown name
 * @example
 * selectAccuracyOps(['softmax', 'softmax.vjp']); // ['softmax', 'softmax.vjp']
 */
export function selectAccuracyOps(chosen: readonly string[]): readonly AccuracyOpName[] {
  if (chosen.includes('all')) return names;
  return chosen.map((name) => {
    const found = names.find((known) => known === name);
    if (found === undefined)
      throw new SoftgradError(
        'ERR_VALUE',
        `unknown op '${shortened(name)}'; expected all or some of ${names.join(', ')}`,
      );
    return found;
  });
}

/** One of the operands of an op. */
function given(operand: Tensor | undefined): Tensor {
  if (operand === undefined) throw new TypeError('an op is called with fewer operands than it names');
  return operand;
}

const ofEachRow = { reduction: 'none' } as const;

function targetOf({ target, softTarget, targetKind }: Case): ReferenceTarget {
  if (targetKind === 'probabilities') return { kind: 'probabilities', values: softTarget };
  return { kind: 'indices', values: target };
}

function optionsOf({ parameters, targetKind }: Case): ReferenceCrossEntropyOptions {
  return { ...parameters, ...ofEachRow, ...(targetKind === 'smoothed' && { labelSmoothing: smoothing }) };
}

/** The diagonal of a Jacobian with the output that it was computed from. */
function diagonalOf({ value, diagonal }: { readonly value: Tensor; diagonal(): Tensor }): OfOwnOutput {
  return { output: value, result: diagonal() };
}

function slopesOfSigmoid(input: Case): Float64Array {
  const y = input.output('sigmoid');
  return reference.sigmoidVjp(y, new Float64Array(y.length).fill(1));
}

function slopesOfRelu(input: Case): Float64Array {
  return Float64Array.from(input.output('relu'), (y) => (y > 0 ? 1 : 0));
}

/** Matrices with these diagonals, one for each row. */
function diagonalMatrices(slopes: Float64Array, { classes }: Rows): Float64Array {
  const out = new Float64Array(slopes.length * classes);
  slopes.forEach((slope, k) => {
    out[k * classes + (k % classes)] = slope;
  });
  return out;
}

/** The rows of `values` with more entries at their ends. */
function extended(
  values: FloatArray,
  { outer, classes }: Rows,
  more: (row: readonly number[]) => readonly number[],
): Float64Array {
  const rows = Array.from({ length: outer }, (_, row) => [...values.subarray(row * classes, (row + 1) * classes)]);
  return Float64Array.from(rows.flatMap((row) => [...row, ...more(row)]));
}

/** So many columns of a matrix, from one on. */
function columns(values: Float64Array, width: number, from: number, count: number): Float64Array {
  return values.filter((_, k) => k % width >= from && k % width < from + count);
}
