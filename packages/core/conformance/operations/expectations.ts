import type { ReferenceParameters, Values } from '../../reference/functions.js';
import * as reference from '../../reference/functions.js';
import type { MatrixPart } from '../../reference/row-entries.js';
import type { KernelName, Rows } from '../../src/index.js';
import type { directionsOf, MemberName } from '../../src/ops/definition.js';
import type { definitions } from '../../src/ops/table.js';
import type { Precision } from '../precision.js';
import * as bounds from '../tolerance.js';
import * as seconds from '../tolerance-hvp.js';
import type { One, Three, Two } from './operation.js';

/** Temperature, negative for softmin, and mask of a call. */
type Parameters = ReferenceParameters & { readonly temperature: number };

/** The expected result of a function and its tolerance. */
export interface Expectation<O extends readonly Values[] = readonly Values[]> {
  expected(operands: O, rows: Rows, parameters: Parameters): Float64Array;
  tolerance(precision: Precision, operands: O, expected: Values, rows: Rows, parameters: Parameters): Float64Array;
  /** What a backend without a basis needs for it, if not its own kernel. */
  needs?(parameters: Parameters): KernelName | null | undefined;
}

/** The expected Jacobians, or only their diagonals, which take a fraction of the time. */
export interface MatrixExpectation extends Expectation<One<Values>> {
  expected(operands: One<Values>, rows: Rows, parameters: Parameters, part?: MatrixPart): Float64Array;
  tolerance(
    precision: Precision,
    operands: One<Values>,
    expected: Values,
    rows: Rows,
    parameters: Parameters,
    part?: MatrixPart,
  ): Float64Array;
}

/** For a function whose derivatives take its output: how an error of the output changes an entry of the Jacobian. */
export interface WithOperator {
  /** The entry of the matrix in the row of one entry of the output and the column of another entry or the same; `others` are the entries except `row`. */
  propagated(row: OutputEntry, column: OutputEntry, temperature: number, others: () => readonly OutputEntry[]): number;
}

/** An entry of a function's output, and its tolerance. */
interface OutputEntry {
  readonly y: number;
  readonly error: number;
}

type Name = keyof typeof definitions;
type OperandsBy = readonly [One<Values>, Two<Values>, Three<Values>];
type ExpectationOf<M extends MemberName> = Expectation<OperandsBy[(typeof directionsOf)[M]['length']]>;
type Expectations = {
  readonly [K in Name]: {
    readonly [M in keyof (typeof definitions)[K] & Exclude<MemberName, 'diagonal'>]: M extends 'jacobian'
      ? MatrixExpectation
      : ExpectationOf<M>;
  } & ('jacobian' extends keyof (typeof definitions)[K] ? WithOperator : unknown);
};

const ofSoftmax: Expectations['softmax'] = {
  value: stated(reference.softmax, bounds.softmaxTolerance),
  ...bothProducts(stated(reference.softmaxVjp, bounds.softmaxVjpTolerance)),
  hvp: stated(reference.softmaxHvp, seconds.softmaxHvpTolerance),
  doubleBackward: stated(reference.softmaxDoubleBackward, seconds.softmaxDoubleBackwardTolerance),
  jacobian: statedMatrices(reference.softmaxJacobian, bounds.softmaxJacobianTolerance),
  propagated: (row, column, temperature, others) => {
    const beside = row.y * column.error + column.y * row.error + row.error * column.error;
    if (row !== column) return beside / Math.abs(temperature);
    if (row.y <= 0.5) return (row.error * (1 + row.error)) / Math.abs(temperature);
    // The diagonal is the probability times the sum of the others.
    const rest = others().reduce((sum, { y }) => sum + y, 0);
    const errors = others().reduce((sum, { error }) => sum + error, 0);
    return (row.error * rest + (row.y + row.error) * errors) / Math.abs(temperature);
  },
};

/** The expectations of every function of core's table except cross-entropy. A missing one is a compile error. */
export const expectations: Expectations = {
  softmax: ofSoftmax,
  softmin: ofSoftmax,
  logSoftmax: {
    value: stated(reference.logSoftmax, bounds.logSoftmaxTolerance),
    vjp: stated(reference.logSoftmaxVjp, bounds.logSoftmaxVjpTolerance),
    jvp: stated(reference.logSoftmaxJvp, bounds.logSoftmaxJvpTolerance),
    hvp: stated(reference.logSoftmaxHvp, seconds.logSoftmaxHvpTolerance),
    jacobian: statedMatrices(reference.logSoftmaxJacobian, bounds.logSoftmaxJacobianTolerance),
    propagated: (_, { y, error }, temperature) => {
      const p = Math.exp(y);
      // The error of a logit far below the others may be beyond the range of exp.
      const most = p === 0 ? Math.exp(y + error) : p * Math.expm1(error);
      return y === Number.NEGATIVE_INFINITY ? 0 : most / Math.abs(temperature);
    },
  },
  logSumExp: {
    value: stated(reference.logSumExp, bounds.logSumExpTolerance),
    gradient: {
      ...stated<One<Values>>(
        (x, rows, parameters) => reference.logSumExpVjp(x, null, rows, parameters),
        (precision, x, expected, rows, parameters) =>
          bounds.logSumExpVjpTolerance(precision, x, null, expected, rows, parameters),
      ),
      // softmax, and a division unless the temperature is 1.
      needs: ({ temperature, mask }) => (temperature !== 1 ? null : mask ? 'softmax' : undefined),
    },
    vjp: stated<Two<Values>>(reference.logSumExpVjp, bounds.logSumExpVjpTolerance),
    jvp: stated(reference.logSumExpJvp, bounds.logSumExpJvpTolerance),
    hvp: stated(reference.logSumExpHvp, seconds.logSumExpHvpTolerance),
  },
  sigmoid: {
    value: stated(reference.sigmoid, bounds.sigmoidTolerance),
    ...ofEntries(reference.sigmoidVjp, bounds.sigmoidVjpTolerance),
    hvp: stated<Three<Values>>(reference.sigmoidHvp, seconds.sigmoidHvpTolerance),
    propagated: (row, column) => (row === column ? row.error * (1 + row.error) : 0),
  },
  relu: {
    value: stated<One<Values>>(reference.relu, (_, __, expected) => exactly(expected)),
    ...ofEntries(reference.reluVjp, (_, __, ___, expected) => exactly(expected)),
    propagated: () => 0,
  },
};

/** A function of the reference with its bound. */
function stated<O extends readonly Values[]>(
  f: (...operands: [...O, Rows, Parameters]) => Float64Array,
  bound: (precision: Precision, ...operands: [...O, Values, Rows, Parameters]) => Float64Array,
): Expectation<O> {
  return {
    expected: (operands, rows, parameters) => f(...operands, rows, parameters),
    tolerance: (precision, operands, expected, rows, parameters) =>
      bound(precision, ...operands, expected, rows, parameters),
  };
}

/** A Jacobian of the reference with its bound. */
function statedMatrices(
  f: typeof reference.softmaxJacobian,
  bound: typeof bounds.softmaxJacobianTolerance,
): MatrixExpectation {
  return {
    expected: ([y], rows, parameters, part) => f(y, rows, parameters, part),
    tolerance: (precision, [y], expected, rows, parameters, part) =>
      bound(precision, y, expected, rows, parameters, part),
  };
}

/** A symmetric Jacobian: the vjp is the jvp. */
function bothProducts(expectation: Expectation<Two<Values>>) {
  return { vjp: expectation, jvp: expectation };
}

/** The derivatives of an elementwise function. */
function ofEntries(
  vjp: (y: Values, g: Values) => Float64Array,
  tolerance: (precision: Precision, y: Values, g: Values, expected: Values) => Float64Array,
) {
  const ones = (y: Values) => new Float64Array(y.length).fill(1);
  const jacobian: MatrixExpectation = {
    expected: ([y], rows, _, part) => diagonalMatrices(vjp(y, ones(y)), rows, part),
    tolerance: (precision, [y], _, rows, __, part) =>
      diagonalMatrices(tolerance(precision, y, ones(y), vjp(y, ones(y))), rows, part),
  };
  return { ...bothProducts(stated<Two<Values>>(vjp, tolerance)), jacobian };
}

/**
 * The matrices of `linearize` at logits, or their diagonals: those of the Jacobian at its value. The error of that value may be as large as the
 * tolerance of the value.
 */
export function operatorExpectation(
  {
    value,
    jacobian,
    propagated,
  }: { readonly value: Expectation<One<Values>>; readonly jacobian: MatrixExpectation } & WithOperator,
  part: MatrixPart,
): Expectation<One<Values>> {
  return {
    expected: ([x], rows, parameters) =>
      jacobian.expected([value.expected([x], rows, parameters)], rows, parameters, part),
    tolerance(precision, [x], expected, rows, parameters) {
      const { temperature } = parameters;
      const y = value.expected([x], rows, parameters);
      const error = value.tolerance(precision, [x], y, rows, parameters);
      const own = jacobian.tolerance(precision, [y], expected, rows, parameters, part);
      let next = 0;
      const widen = (place: number, by: number) => {
        own[place] = (own[place] ?? Number.NaN) + by;
      };
      for (const at of reference.rowIndices(rows)) {
        const entries = at.map((i): OutputEntry => ({ y: y[i] ?? Number.NaN, error: error[i] ?? Number.NaN }));
        entries.forEach((row, r) => {
          const others = () => entries.filter((entry) => entry !== row);
          if (part === 'diagonal') widen(at[r] ?? Number.NaN, propagated(row, row, temperature, others));
          else for (const column of entries) widen(next++, propagated(row, column, temperature, others));
        });
      }
      return own;
    },
  };
}

/** The value without any rounding. */
function exactly(expected: Values): Float64Array {
  return new Float64Array(expected.length);
}

/** Matrices with these diagonals, or the diagonals themselves. */
function diagonalMatrices(slopes: Float64Array, rows: Rows, part: MatrixPart = 'all'): Float64Array {
  if (part === 'diagonal') return slopes;
  const out = new Float64Array(slopes.length * rows.classes);
  reference.rowIndices(rows).forEach((at, row) => {
    for (const [c, i] of at.entries()) out[(row * rows.classes + c) * rows.classes + c] = slopes[i] ?? Number.NaN;
  });
  return out;
}
