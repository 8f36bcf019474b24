import { type Kernels, type Rows, relu, sigmoid } from '../../src/index.js';
import type { Values } from '../reference.js';
import * as reference from '../reference.js';
import type { Precision } from '../tolerance.js';
import * as bounds from '../tolerance.js';
import {
  cotangentOf,
  diagonalOf,
  type Family,
  logitsOf,
  named,
  type Operation,
  outOption,
  outputOf,
} from './operation.js';

export const elementwiseOperations: readonly Operation[] = [
  ...derived(
    sigmoid,
    { family: 'sigmoid', takes: [], output: (x) => reference.sigmoid(x) },
    { forward: 'sigmoid', vjp: 'sigmoidVjp' },
    bounds.sigmoidTolerance,
    reference.sigmoidVjp,
    bounds.sigmoidVjpTolerance,
  ),
  ...derived(
    relu,
    { family: 'relu', takes: [], output: (x) => reference.relu(x) },
    { forward: 'relu', vjp: 'reluVjp' },
    exactly,
    reference.reluVjp,
    (precision, y, _, expected) => exactly(precision, y, expected),
  ),
];

function derived(
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

/** No rounding at all. */
function exactly(_: Precision, __: Values, expected: Values): Float64Array {
  return new Float64Array(expected.length);
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
