import { SoftgradError } from './errors.js';
import { shortened } from './shortened.js';
import { hintOf } from './similar-names.js';
import { isBranded } from './tensor/brand.js';
import { describe } from './tensor/describe.js';

/**
 * The names of the options of a type, for `checkOptions`. A missing name, or one that the type does not have, is a compile error.
 *
 * @example
 * namesOf({ threads: true }); // ['threads']
 */
export function namesOf<O>(names: { readonly [K in keyof Required<O>]: true }): readonly string[] {
  return Object.keys(names);
}

/**
 * Checks the names of a call's options. An unknown option would be ignored silently; the compiler catches it only in TypeScript and only in
 * object literals. For operations, and for a backend's `open`.
 *
 * @returns the options
 * @throws ERR_VALUE naming the option and those that there are
 *
 * @example
 * checkOptions('wasm.open', { thread: 2 }, ['threads']); // ERR_VALUE: wasm.open: unknown option 'thread' (did you mean 'threads'?); expected threads
 */
export function checkOptions<O extends object>(operation: string, options: O, known: readonly string[]): O {
  return checkMembers(operation, ': options are', options, known);
}

/** The same for any object with known names; `are` is how an error about anything else continues after `what`. */
export function checkMembers<O extends object>(what: string, are: string, options: O, known: readonly string[]): O {
  if (typeof options !== 'object' || options === null || Array.isArray(options) || isBranded(options)) {
    const expected = `${known.length > 0 ? 'an object with ' : ''}${listed(known)}${exampleOf(options, known)}`;
    throw new SoftgradError('ERR_VALUE', `${what}${are} ${describe(options)}; expected ${expected}`);
  }
  for (const name of Object.keys(options)) if (!known.includes(name)) throw unknownOption(what, name, known);
  return options;
}

/** The option that was meant by what is given in the place of the options: an axis, a dtype or a shape. */
function exampleOf(given: unknown, known: readonly string[]): string {
  const example = (name: string, value: string) =>
    known.includes(name) ? `, as in { ${name}: ${shortened(value)} }` : '';
  if (Array.isArray(given)) return example('shape', `[${given.join(', ')}]`);
  if (typeof given === 'string') return example('dtype', `'${given}'`);
  return typeof given === 'number' ? example('axis', `${given}`) : '';
}

function unknownOption(operation: string, name: string, known: readonly string[]): SoftgradError {
  return new SoftgradError(
    'ERR_VALUE',
    `${operation}: unknown option '${shortened(name)}'${hintOf(name, known)}; expected ${known.length > 1 ? 'one of ' : ''}${listed(known)}`,
  );
}

function listed(names: readonly string[]): string {
  return names.join(', ') || 'none';
}
