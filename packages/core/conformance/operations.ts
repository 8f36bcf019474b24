import {
  type Kernels,
  logSoftmax,
  logSumExp,
  type Rows,
  relu,
  sigmoid,
  softmax,
  softmin,
  type Tensor,
} from '../src/index.js';
import { cotangents, rounded } from './inputs.js';
import type { Problem } from './problem.js';
import type { ReferenceParameters, Values } from './reference.js';
import * as reference from './reference.js';
import type { Precision } from './tolerance.js';
import * as bounds from './tolerance.js';

/** The options that operations share, as a case sets them. */
export interface CallOptions {
  readonly axis: number;
  readonly temperature?: number;
  readonly mask?: { readonly data: Uint8Array; readonly shape: readonly number[] };
  readonly out?: Tensor;
}

/** Host values of an operand and the dimensions they have. */
export interface Operand {
  readonly values: Float64Array;
  readonly shape: readonly number[];
}

/** One function of core's public API, with what it should give and how exactly. Laws and value cases go over a list of these. */
export interface Operation {
  /** As a user writes it: `logSoftmax.vjp`. */
  readonly name: string;
  readonly family: string;
  readonly member: string;
  /** Options besides the axis that it has. */
  readonly takes: readonly ('axis' | 'temperature' | 'mask')[];
  /** What it needs of a backend without a basis: a fused kernel, nothing (undefined: the required kernels do), or there is no way (null). */
  needs(problem: Problem): keyof Kernels<unknown> | null | undefined;
  operands(problem: Problem): readonly Operand[];
  apply(tensors: readonly Tensor[], options: CallOptions, problem: Problem): Tensor;
  expected(operands: readonly Values[], problem: Problem): Float64Array;
  tolerance(
    precision: Precision,
    operands: readonly Values[],
    expected: Float64Array,
    problem: Problem,
  ): ArrayLike<number>;
}

type Family = Pick<Operation, 'family' | 'takes'> & {
  /** Its output, from which the derivatives are taken. */
  output(x: Float64Array, problem: Problem): Float64Array;
};

const softmaxFamily = (family: string, sign: 1 | -1): Family => ({
  family,
  takes: ['axis', 'temperature', 'mask'],
  output: (x, { rows, parameters }) => reference.softmax(x, rows, signed(parameters, sign)),
});

/** softmax and softmin: one at the temperature T, the other at −T. */
function softmaxOperations(f: typeof softmax, family: Family, sign: 1 | -1): readonly Operation[] {
  const temperatureOf = ({ parameters }: Problem) => sign * (parameters.temperature ?? 1);
  const untempered = (problem: Problem) => temperatureOf(problem) === 1;
  const derivative = { ...family, takes: ['axis', 'temperature'] } as const;
  const product = (member: 'vjp' | 'jvp'): Operation => ({
    ...named(derivative, member),
    needs: (problem) => (untempered(problem) ? undefined : 'softmaxVjp'),
    operands: (problem) => [outputOf(family, problem), cotangentOf(problem)],
    apply: ([s, g], options) => f[member](s, g, options),
    expected: ([s, g], problem) => reference.softmaxVjp(s, g, problem.rows, temperatureOf(problem)),
    tolerance: (precision, [s, g], expected, problem) =>
      bounds.softmaxVjpTolerance(precision, s, g, expected, problem.rows, temperatureOf(problem)),
  });
  const jacobian: Operation = {
    ...named(derivative, 'jacobian'),
    needs: (problem) => (untempered(problem) ? undefined : 'softmaxJacobian'),
    operands: (problem) => [outputOf(family, problem)],
    apply: ([s], options) => f.jacobian(s, options),
    expected: ([s], problem) => reference.softmaxJacobian(s, problem.rows, temperatureOf(problem)),
    tolerance: (precision, [s], expected, problem) =>
      bounds.softmaxJacobianTolerance(precision, s, expected, problem.rows, temperatureOf(problem)),
  };
  return [
    {
      ...named(family, 'values'),
      needs: (problem) => (untempered(problem) && !problem.parameters.mask ? undefined : 'softmax'),
      operands: (problem) => [logitsOf(problem)],
      apply: ([x], options) => f(x, options),
      expected: ([x], { rows, parameters }) => reference.softmax(x, rows, signed(parameters, sign)),
      tolerance: (precision, [x], expected, { rows, parameters }) =>
        bounds.softmaxTolerance(precision, x, expected, rows, signed(parameters, sign)),
    },
    product('vjp'),
    product('jvp'),
    jacobian,
    diagonalOf(jacobian, ([s], { out, ...options }) => f.linearize(s, options).diagonal(outOption(out))),
    denseOf(jacobian, ([s], { out, ...options }) => f.linearize(s, options).toDense(outOption(out))),
  ];
}

const logSoftmaxFamily: Family = {
  family: 'log-softmax',
  takes: ['axis', 'temperature', 'mask'],
  output: (x, { rows, parameters }) => reference.logSoftmax(x, rows, parameters),
};

const logSoftmaxJacobian: Operation = {
  ...named(logSoftmaxFamily, 'jacobian'),
  needs: ({ parameters }) => (parameters.mask ? null : 'logSoftmaxJacobian'),
  operands: (problem) => [outputOf(logSoftmaxFamily, problem)],
  apply: ([y], options) => logSoftmax.jacobian(y, options),
  expected: ([y], { rows, parameters }) => reference.logSoftmaxJacobian(y, rows, parameters),
  tolerance: (precision, [y], expected, { rows, parameters }) =>
    bounds.logSoftmaxJacobianTolerance(precision, y, expected, rows, parameters.temperature),
};

const logSoftmaxOperations: readonly Operation[] = [
  {
    ...named(logSoftmaxFamily, 'values'),
    needs: () => 'logSoftmax',
    operands: (problem) => [logitsOf(problem)],
    apply: ([x], options) => logSoftmax(x, options),
    expected: ([x], { rows, parameters }) => reference.logSoftmax(x, rows, parameters),
    tolerance: (precision, [x], expected, { rows, parameters }) =>
      bounds.logSoftmaxTolerance(precision, x, expected, rows, parameters),
  },
  {
    ...named(logSoftmaxFamily, 'vjp'),
    needs: ({ parameters }) => (parameters.mask ? null : 'logSoftmaxVjp'),
    operands: (problem) => [outputOf(logSoftmaxFamily, problem), cotangentOf(problem)],
    apply: ([y, g], options) => logSoftmax.vjp(y, g, options),
    expected: ([y, g], { rows, parameters }) => reference.logSoftmaxVjp(y, g, rows, parameters),
    tolerance: (precision, [y, g], expected, { rows, parameters }) =>
      bounds.logSoftmaxVjpTolerance(precision, y, g, expected, rows, parameters.temperature),
  },
  {
    ...named(logSoftmaxFamily, 'jvp'),
    needs: ({ parameters }) => (parameters.mask ? null : 'logSoftmaxJvp'),
    operands: (problem) => [outputOf(logSoftmaxFamily, problem), cotangentOf(problem)],
    apply: ([y, t], options) => logSoftmax.jvp(y, t, options),
    expected: ([y, t], { rows, parameters }) => reference.logSoftmaxJvp(y, t, rows, parameters),
    tolerance: (precision, [y, t], expected, { rows, parameters }) =>
      bounds.logSoftmaxJvpTolerance(precision, y, t, expected, rows, parameters.temperature),
  },
  logSoftmaxJacobian,
  diagonalOf(logSoftmaxJacobian, ([y], { out, ...options }) =>
    logSoftmax.linearize(y, options).diagonal(outOption(out)),
  ),
  denseOf(logSoftmaxJacobian, ([y], { out, ...options }) => logSoftmax.linearize(y, options).toDense(outOption(out))),
];

const logSumExpFamily = { family: 'log-sum-exp', takes: ['axis', 'temperature', 'mask'] } as const;

const logSumExpOperations: readonly Operation[] = [
  {
    ...named(logSumExpFamily, 'values'),
    needs: () => 'logSumExp',
    operands: (problem) => [logitsOf(problem)],
    apply: ([x], options) => logSumExp(x, options),
    expected: ([x], { rows, parameters }) => reference.logSumExp(x, rows, parameters),
    tolerance: (precision, [x], expected, { rows, parameters }) =>
      bounds.logSumExpTolerance(precision, x, expected, rows, parameters),
  },
  {
    ...named(logSumExpFamily, 'gradient'),
    needs: ({ parameters }) => ((parameters.temperature ?? 1) !== 1 ? null : parameters.mask ? 'softmax' : undefined),
    operands: (problem) => [logitsOf(problem)],
    apply: ([x], options) => logSumExp.gradient(x, options),
    expected: ([x], { rows, parameters }) => reference.logSumExpVjp(x, null, rows, parameters),
    tolerance: (precision, [x], expected, { rows, parameters }) =>
      bounds.logSumExpVjpTolerance(precision, x, null, expected, rows, parameters),
  },
  {
    ...named(logSumExpFamily, 'vjp'),
    needs: () => null,
    operands: (problem) => [logitsOf(problem), rowCotangentOf(problem)],
    apply: ([x, g], options) => logSumExp.vjp(x, g, options),
    expected: ([x, g], { rows, parameters }) => reference.logSumExpVjp(x, g, rows, parameters),
    tolerance: (precision, [x, g], expected, { rows, parameters }) =>
      bounds.logSumExpVjpTolerance(precision, x, g, expected, rows, parameters),
  },
  {
    ...named(logSumExpFamily, 'jvp'),
    needs: () => null,
    operands: (problem) => [logitsOf(problem), cotangentOf(problem)],
    apply: ([x, t], options) => logSumExp.jvp(x, t, options),
    expected: ([x, t], { rows, parameters }) => reference.logSumExpJvp(x, t, rows, parameters),
    tolerance: (precision, [x, t], expected, { rows, parameters }) =>
      bounds.logSumExpJvpTolerance(precision, x, t, expected, rows, parameters),
  },
];

function elementwiseOperations(
  f: typeof sigmoid,
  family: Family,
  kernels: { readonly forward: keyof Kernels<unknown>; readonly vjp: keyof Kernels<unknown> },
  forwardTolerance: (precision: Precision, x: Values, expected: Values) => Float64Array,
  vjp: (y: Values, g: Values) => Float64Array,
  vjpTolerance: (precision: Precision, y: Values, g: Values, expected: Values) => Float64Array,
): readonly Operation[] {
  const product = (member: 'vjp' | 'jvp'): Operation => ({
    ...named(family, member),
    needs: () => kernels.vjp,
    operands: (problem) => [outputOf(family, problem), cotangentOf(problem)],
    apply: ([y, g], { out }) => f[member](y, g, outOption(out)),
    expected: ([y, g]) => vjp(y, g),
    tolerance: (precision, [y, g], expected) => vjpTolerance(precision, y, g, expected),
  });
  const ones = (y: Values) => new Float64Array(y.length).fill(1);
  const jacobian: Operation = {
    ...named({ ...family, takes: ['axis'] }, 'jacobian'),
    needs: () => null,
    operands: (problem) => [outputOf(family, problem)],
    apply: ([y], { axis, out }) => f.jacobian(y, { axis, out }),
    expected: ([y], { rows }) => diagonalMatrices(vjp(y, ones(y)), rows),
    tolerance: (precision, [y], _, { rows }) =>
      diagonalMatrices(vjpTolerance(precision, y, ones(y), vjp(y, ones(y))), rows),
  };
  return [
    {
      ...named(family, 'values'),
      needs: () => kernels.forward,
      operands: (problem) => [logitsOf(problem)],
      apply: ([x], { out }) => f(x, outOption(out)),
      expected: ([x], problem) => family.output(Float64Array.from(x), problem),
      tolerance: (precision, [x], expected) => forwardTolerance(precision, x, expected),
    },
    product('vjp'),
    product('jvp'),
    jacobian,
    { ...diagonalOf(jacobian, ([y], { out }) => f.linearize(y).diagonal(outOption(out))), takes: [] },
  ];
}

const exactly = (_: Precision, __: Values, expected: Values) => new Float64Array(expected.length);

/** Every operation but cross-entropy's. */
export const operations: readonly Operation[] = [
  ...softmaxOperations(softmax, softmaxFamily('softmax', 1), 1),
  ...softmaxOperations(softmin, softmaxFamily('softmin', -1), -1),
  ...logSoftmaxOperations,
  ...logSumExpOperations,
  ...elementwiseOperations(
    sigmoid,
    { family: 'sigmoid', takes: [], output: (x) => reference.sigmoid(x) },
    { forward: 'sigmoid', vjp: 'sigmoidVjp' },
    bounds.sigmoidTolerance,
    reference.sigmoidVjp,
    bounds.sigmoidVjpTolerance,
  ),
  ...elementwiseOperations(
    relu,
    { family: 'relu', takes: [], output: (x) => reference.relu(x) },
    { forward: 'relu', vjp: 'reluVjp' },
    exactly,
    reference.reluVjp,
    (precision, y, _, expected) => exactly(precision, y, expected),
  ),
];

/** `softmax` for its values, `softmax.vjp` for a derivative. */
export function named<F extends Pick<Operation, 'family' | 'takes'>>(
  { family, takes }: F,
  member: string,
): Pick<Operation, 'name' | 'family' | 'member' | 'takes'> {
  const f = family.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
  return { name: member === 'values' ? f : `${f}.${member}`, family, member, takes };
}

export function logitsOf({ values, shape }: Problem): Operand {
  return { values, shape };
}

/** A cotangent or tangent in the shape of the logits. */
export function cotangentOf({ values, shape, dtype }: Problem): Operand {
  return { values: cotangents(values.length, dtype), shape };
}

/** A cotangent with one entry a row. */
export function rowCotangentOf({ rows, shape, axis, dtype }: Problem): Operand {
  return { values: cotangents(rows.outer * rows.inner, dtype), shape: shape.filter((_, k) => k !== axis) };
}

function outputOf(family: Family, problem: Problem): Operand {
  const output = family.output(problem.values, problem);
  return { values: output.map((value) => rounded(value, problem.dtype)), shape: problem.shape };
}

function signed(parameters: ReferenceParameters, sign: 1 | -1): ReferenceParameters {
  return { ...parameters, temperature: sign * (parameters.temperature ?? 1) };
}

export function outOption(out: Tensor | undefined): { readonly out?: Tensor } {
  return out ? { out } : {};
}

/** The operator's diagonal: that of the Jacobian, in the shape of the operand. */
function diagonalOf(jacobian: Operation, apply: Operation['apply']): Operation {
  return {
    ...jacobian,
    name: jacobian.name.replace('.jacobian', '.linearize.diagonal'),
    member: 'diagonal',
    needs: () => null,
    apply,
    expected: (operands, problem) => diagonal(jacobian.expected(operands, problem), problem.rows),
    tolerance: (precision, operands, _, problem) => {
      const matrices = jacobian.expected(operands, problem);
      return diagonal(jacobian.tolerance(precision, operands, matrices, problem), problem.rows);
    },
  };
}

/** The operator's matrix: the Jacobian. */
function denseOf(jacobian: Operation, apply: Operation['apply']): Operation {
  const name = jacobian.name.replace('.jacobian', '.linearize.toDense');
  return { ...jacobian, name, member: 'to-dense', apply };
}

function diagonal(matrices: ArrayLike<number>, rows: Rows): Float64Array {
  const out = new Float64Array(rows.outer * rows.classes * rows.inner);
  reference.rowIndices(rows).forEach((at, row) => {
    at.forEach((i, c) => {
      out[i] = matrices[(row * rows.classes + c) * rows.classes + c];
    });
  });
  return out;
}

function diagonalMatrices(slopes: Float64Array, rows: Rows): Float64Array {
  const out = new Float64Array(slopes.length * rows.classes);
  reference.rowIndices(rows).forEach((at, row) => {
    at.forEach((i, c) => {
      out[(row * rows.classes + c) * rows.classes + c] = slopes[i];
    });
  });
  return out;
}
