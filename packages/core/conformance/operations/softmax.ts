import { softmax, softmin } from '../../src/index.js';
import type { Problem } from '../problem.js';
import type { ReferenceParameters } from '../reference.js';
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

export const softmaxOperations: readonly Operation[] = [
  ...withDerivatives(softmax, 'softmax', 1),
  ...withDerivatives(softmin, 'softmin', -1),
];

/** softmax and softmin: one at the temperature T, the other at −T. */
function withDerivatives(f: typeof softmax, name: string, sign: 1 | -1): readonly Operation[] {
  const family: Family = {
    family: name,
    takes: ['axis', 'temperature', 'mask'],
    output: (x, { rows, parameters }) => reference.softmax(x, rows, signed(parameters, sign)),
  };
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

function signed(parameters: ReferenceParameters, sign: 1 | -1): ReferenceParameters {
  return { ...parameters, temperature: sign * (parameters.temperature ?? 1) };
}
