import { logSoftmax } from '../../src/index.js';
import * as reference from '../reference.js';
import * as bounds from '../tolerance.js';
import {
  cotangentOf,
  denseOf,
  diagonalOf,
  type Family,
  logitsOf,
  named,
  type Operation,
  outOption,
  outputOf,
} from './operation.js';

const family: Family = {
  family: 'log-softmax',
  takes: ['axis', 'temperature', 'mask'],
  output: (x, { rows, parameters }) => reference.logSoftmax(x, rows, parameters),
};

const jacobian: Operation = {
  ...named(family, 'jacobian'),
  needs: ({ parameters }) => (parameters.mask ? null : 'logSoftmaxJacobian'),
  operands: (problem) => [outputOf(family, problem)],
  apply: ([y], options) => logSoftmax.jacobian(y, options),
  expected: ([y], { rows, parameters }) => reference.logSoftmaxJacobian(y, rows, parameters),
  tolerance: (precision, [y], expected, { rows, parameters }) =>
    bounds.logSoftmaxJacobianTolerance(precision, y, expected, rows, parameters.temperature),
};

export const logSoftmaxOperations: readonly Operation[] = [
  {
    ...named(family, 'values'),
    needs: () => 'logSoftmax',
    operands: (problem) => [logitsOf(problem)],
    apply: ([x], options) => logSoftmax(x, options),
    expected: ([x], { rows, parameters }) => reference.logSoftmax(x, rows, parameters),
    tolerance: (precision, [x], expected, { rows, parameters }) =>
      bounds.logSoftmaxTolerance(precision, x, expected, rows, parameters),
  },
  {
    ...named(family, 'vjp'),
    needs: ({ parameters }) => (parameters.mask ? null : 'logSoftmaxVjp'),
    operands: (problem) => [outputOf(family, problem), cotangentOf(problem)],
    apply: ([y, g], options) => logSoftmax.vjp(y, g, options),
    expected: ([y, g], { rows, parameters }) => reference.logSoftmaxVjp(y, g, rows, parameters),
    tolerance: (precision, [y, g], expected, { rows, parameters }) =>
      bounds.logSoftmaxVjpTolerance(precision, y, g, expected, rows, parameters.temperature),
  },
  {
    ...named(family, 'jvp'),
    needs: ({ parameters }) => (parameters.mask ? null : 'logSoftmaxJvp'),
    operands: (problem) => [outputOf(family, problem), cotangentOf(problem)],
    apply: ([y, t], options) => logSoftmax.jvp(y, t, options),
    expected: ([y, t], { rows, parameters }) => reference.logSoftmaxJvp(y, t, rows, parameters),
    tolerance: (precision, [y, t], expected, { rows, parameters }) =>
      bounds.logSoftmaxJvpTolerance(precision, y, t, expected, rows, parameters.temperature),
  },
  jacobian,
  diagonalOf(jacobian, ([y], { out, ...options }) => logSoftmax.linearize(y, options).diagonal(outOption(out))),
  denseOf(jacobian, ([y], { out, ...options }) => logSoftmax.linearize(y, options).toDense(outOption(out))),
];
