import { logSumExp } from '../../src/index.js';
import * as reference from '../reference.js';
import * as bounds from '../tolerance.js';
import { cotangentOf, logitsOf, named, type Operation, rowCotangentOf } from './operation.js';

const family = { family: 'log-sum-exp', takes: ['axis', 'temperature', 'mask'] } as const;

export const logSumExpOperations: readonly Operation[] = [
  {
    ...named(family, 'values'),
    needs: () => 'logSumExp',
    operands: (problem) => [logitsOf(problem)],
    apply: ([x], options) => logSumExp(x, options),
    expected: ([x], { rows, parameters }) => reference.logSumExp(x, rows, parameters),
    tolerance: (precision, [x], expected, { rows, parameters }) =>
      bounds.logSumExpTolerance(precision, x, expected, rows, parameters),
  },
  {
    ...named(family, 'gradient'),
    needs: ({ parameters }) => ((parameters.temperature ?? 1) !== 1 ? null : parameters.mask ? 'softmax' : undefined),
    operands: (problem) => [logitsOf(problem)],
    apply: ([x], options) => logSumExp.gradient(x, options),
    expected: ([x], { rows, parameters }) => reference.logSumExpVjp(x, null, rows, parameters),
    tolerance: (precision, [x], expected, { rows, parameters }) =>
      bounds.logSumExpVjpTolerance(precision, x, null, expected, rows, parameters),
  },
  {
    ...named(family, 'vjp'),
    needs: () => null,
    operands: (problem) => [logitsOf(problem), rowCotangentOf(problem)],
    apply: ([x, g], options) => logSumExp.vjp(x, g, options),
    expected: ([x, g], { rows, parameters }) => reference.logSumExpVjp(x, g, rows, parameters),
    tolerance: (precision, [x, g], expected, { rows, parameters }) =>
      bounds.logSumExpVjpTolerance(precision, x, g, expected, rows, parameters),
  },
  {
    ...named(family, 'jvp'),
    needs: () => null,
    operands: (problem) => [logitsOf(problem), cotangentOf(problem)],
    apply: ([x, t], options) => logSumExp.jvp(x, t, options),
    expected: ([x, t], { rows, parameters }) => reference.logSumExpJvp(x, t, rows, parameters),
    tolerance: (precision, [x, t], expected, { rows, parameters }) =>
      bounds.logSumExpJvpTolerance(precision, x, t, expected, rows, parameters),
  },
];
