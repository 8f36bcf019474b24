import { SoftgradError } from './errors.js';
import { shortened } from './shortened.js';
import { isBranded } from './tensor/brand.js';
import { describe } from './tensor/describe.js';

/** Names of options and dtypes in other libraries. */
const elsewhere: Readonly<Record<string, string>> = {
  dim: 'axis',
  dims: 'axis',
  axes: 'axis',
  tau: 'temperature',
  t: 'temperature',
  probs: 'probabilities',
  label: 'target',
  labels: 'target',
  smoothing: 'labelSmoothing',
  float: 'float32',
  double: 'float64',
  half: 'float16',
};

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
  if (typeof options !== 'object' || options === null || Array.isArray(options) || isBranded(options)) {
    const expected = `${known.length > 0 ? 'an object with ' : ''}${listed(known)}${exampleOf(options, known)}`;
    throw new SoftgradError('ERR_VALUE', `${operation}: options are ${describe(options)}; expected ${expected}`);
  }
  for (const name of Object.keys(options)) if (!known.includes(name)) throw unknownOption(operation, name, known);
  return options;
}

/** Its letters and digits, in lower case. */
function plain(text: string): string {
  return text.replace(/\W|_/g, '').toLowerCase();
}

/**
 * The option that an unknown name stands for: the same name in another spelling or number, or the name of the option in another library.
 *
 * @param known the names of the options that there are
 * @returns undefined if there is no such option
 *
 * @example
 * optionMeant('dim', ['axis', 'temperature']); // 'axis'
 * optionMeant('labelSmoothing', ['label-smoothing']); // 'label-smoothing'
 * optionMeant('thread', ['threads']); // 'threads'
 */
export function optionMeant(name: string, known: readonly string[]): string | undefined {
  const singular = (text: string) => plain(text).replace(/s$/, '');
  return known.find((one) => one === elsewhere[plain(name)] || singular(one) === singular(name));
}

/** The option that was meant by what is given in the place of the options: an axis, a dtype or a shape. */
function exampleOf(given: unknown, known: readonly string[]): string {
  const example = (name: string, value: string) =>
    known.includes(name) ? `, as in { ${name}: ${shortened(value)} }` : '';
  if (Array.isArray(given)) return example('shape', `[${given.join(', ')}]`);
  if (typeof given === 'string') return example('dtype', `'${given}'`);
  return typeof given === 'number' ? example('axis', `${given}`) : '';
}

/**
 * The question whether another name was meant: the one that `optionMeant` finds, else one that the name begins, or begins with, or that differs from it by a
 * replacement of at most two letters.
 *
 * @returns empty if there is none
 *
 * @example
 * hintOf('f32', ['float16', 'float32']); // " (did you mean 'float32'?)"
 */
export function hintOf(name: string, known: readonly string[]): string {
  const given = plain(name);
  const replaced = given.length > 4 ? 2 : 1;
  const isAlike = (one: string) =>
    given.startsWith(one) ||
    [...given].some((_, at) => one.startsWith(given.slice(0, at + 1)) && one.endsWith(given.slice(at + 1 + replaced)));
  // A name from another library is not similar to anything else: label is not labelSmoothing.
  const meant =
    optionMeant(name, known) ?? (elsewhere[given] === undefined && known.find((one) => isAlike(plain(one))));
  return meant ? ` (did you mean '${meant}'?)` : '';
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
