import type { Backend } from '../backend/interface.js';
import { type Definition, derivativeNames, operationName } from './definition.js';
import { hasKernel } from './evaluate.js';
import { definitions } from './table.js';

/** How a backend computes a function: with a kernel, composed from its basis, or not at all. */
export type Computed = 'kernel' | 'composed' | 'missing';

/**
 * How a backend computes each function of core and each derivative, by their public names. A kernel may decline a call (its layout,
 * temperature or mask); that call is then composed.
 *
 * @example
 * operationsOf(getBackend())['logSoftmax.vjp']; // 'kernel'
 */
export function operationsOf(backend: Backend): Readonly<Record<string, Computed>> {
  const otherwise = backend.basis ? 'composed' : 'missing';
  const operations: Record<string, Computed> = {};
  for (const definition of Object.values<Definition>(definitions)) {
    for (const name of ['value', ...derivativeNames] as const) {
      const member = definition[name];
      if (member === undefined) continue;
      const isKernel = member.kernel !== undefined && hasKernel(backend, member.kernel.name);
      operations[operationName(definition, name)] = isKernel ? 'kernel' : otherwise;
    }
  }
  operations.crossEntropy = hasKernel(backend, 'crossEntropy') ? 'kernel' : otherwise;
  return operations;
}
