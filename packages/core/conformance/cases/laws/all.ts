import { isRequired } from '../../../src/ops/evaluate.js';
import { type ConformanceCase, defineCase, defineKernelCase, type Requirements } from '../../case.js';
import { assertThrows } from '../../check.js';
import { allOperations } from '../../operations/all.js';
import type { Operation } from '../../operations/operation.js';
import { evaluate, problemOf, requirementsOf } from '../../problem.js';
import { hvpLaws } from './hvp.js';
import { invarianceLaws } from './invariance.js';
import { type Law, problemIn, statement } from './law.js';
import { optionLaws } from './options.js';
import { outputLaws } from './output.js';
import { stateLaws } from './state.js';
import { validationLaws } from './validation.js';

const laws: readonly Law[] = [
  ...outputLaws,
  ...invarianceLaws,
  ...optionLaws,
  ...stateLaws,
  ...hvpLaws,
  ...validationLaws,
];

/** Every law for every operation, and the error of an operation on a backend that cannot run it. */
export const lawCases: readonly ConformanceCase[] = [
  ...laws.flatMap(({ name, composable, requires, appliesTo, run }) =>
    allOperations
      .filter((operation) => appliesTo?.(operation) ?? true)
      .map((operation) => {
        const define = composable ? defineCase : defineKernelCase;
        const all = () => ({ ...needsOf(operation), ...requires?.(operation) });
        return define(`laws/${name}:operation=${operation.name}`, all, (backend) => run(backend, operation));
      }),
  ),
  ...allOperations.flatMap((operation) => {
    const kernel = operation.needs(problemOf(statement));
    if (kernel === undefined || isRequired(kernel)) return [];
    return [
      defineKernelCase(`laws/unsupported:operation=${operation.name}`, { lacks: kernel }, async (backend) => {
        const problem = problemIn(backend);
        await assertThrows(operation.name, 'ERR_UNSUPPORTED', () => evaluate(backend, operation, problem));
      }),
    ];
  }),
];

/** The requirements of a law about an operation: a basis where the required kernels may decline. */
function needsOf(operation: Operation): Requirements {
  const { dtype: _, ...needs } = requirementsOf(operation, problemOf(statement));
  return isRequired(needs.kernel) ? { ...needs, kernel: null } : needs;
}
