import { callOn, planOf } from './call.js';
import { type Definition, derivativeNames, type MemberName } from './definition.js';
import type { TensorLike } from './linear-operator.js';
import { linearizeBy } from './linearize.js';
import type { SoftmaxOptions } from './settings.js';

const definitions = new WeakMap<object, Definition>();

/** The definition of one of core's functions, undefined for any other. */
export function definitionOf(f: object): Definition | undefined {
  return definitions.get(f);
}

/**
 * Makes a function with its derivatives from its definition. All of them go through `callOn`, the only place that checks options, operands,
 * rows, temperature, mask and `out`.
 */
export function define<F>(definition: Definition): F {
  const call = (name: MemberName) => {
    const plan = planOf(definition, name);
    const { direction, along } = plan.member;
    if (along !== undefined) {
      return (x: TensorLike, cotangent: TensorLike, tangent: TensorLike, options?: SoftmaxOptions) =>
        callOn(plan, x, cotangent, tangent, options);
    }
    return direction === undefined
      ? (x: TensorLike, options?: SoftmaxOptions) => callOn(plan, x, undefined, undefined, options)
      : (x: TensorLike, v: TensorLike, options?: SoftmaxOptions) => callOn(plan, x, v, undefined, options);
  };
  const members: Record<string, unknown> = { linearize: linearizeBy(definition) };
  for (const name of derivativeNames) {
    if (definition[name]) members[name] = call(name);
  }
  const f = Object.assign(call('value'), members);
  definitions.set(f, definition);
  // The types of the functions are written out, with their docstrings, beside each definition.
  return f as unknown as F;
}
