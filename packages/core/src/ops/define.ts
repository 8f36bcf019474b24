import { functionName } from '../copies.js';
import type { TensorLike } from './arguments.js';
import { callOn, planOf } from './call.js';
import { type Definition, derivativeNames, type MemberName } from './definition.js';
import { linearizeBy } from './linearize.js';
import type { SoftmaxOptions } from './settings.js';

/**
 * Makes a function with its derivatives from its definition. All of them go through `callOn`, the only place that checks options, operands,
 * rows, temperature, mask and `out`.
 */
export function define<F>(definition: Definition): F {
  const call = (name: MemberName) => {
    const plan = planOf(definition, name);
    switch (plan.directions.length) {
      case 0:
        return (x: TensorLike, options?: SoftmaxOptions) => callOn(plan, x, [], options);
      case 1:
        return (x: TensorLike, v: TensorLike, options?: SoftmaxOptions) => callOn(plan, x, [v], options);
      default:
        return (x: TensorLike, v: TensorLike, t: TensorLike, options?: SoftmaxOptions) =>
          callOn(plan, x, [v, t], options);
    }
  };
  const members: Record<string, unknown> = { [functionName]: definition.name, linearize: linearizeBy(definition) };
  for (const name of derivativeNames) {
    if (definition[name]) members[name] = call(name);
  }
  // The types of the functions are written out, with their docstrings, beside each definition.
  return Object.assign(call('value'), members) as F;
}
