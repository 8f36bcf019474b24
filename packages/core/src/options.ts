import { SoftgradError } from './errors.js';
import { shortened } from './shortened.js';
import { isBranded } from './tensor/brand.js';
import { describe } from './tensor/describe.js';

/** Names of options in other libraries. */
const elsewhere: Readonly<Record<string, string>> = {
  dim: 'axis',
  dims: 'axis',
  axes: 'axis',
  tau: 'temperature',
  temp: 'temperature',
  t: 'temperature',
  grad: 'gradient',
  probs: 'probabilities',
  label: 'target',
  labels: 'target',
  smoothing: 'labelSmoothing',
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
    const expected = `${known.length > 0 ? 'an object with ' : ''}${listed(known)}`;
    throw new SoftgradError('ERR_VALUE', `${operation}: options are ${describe(options)}; expected ${expected}`);
  }
  for (const name of Object.keys(options)) if (!known.includes(name)) throw unknownOption(operation, name, known);
  return options;
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
  const plain = (text: string) => text.replace(/[_-]/g, '').toLowerCase();
  const singular = (text: string) => plain(text).replace(/s$/, '');
  return known.find((one) => one === elsewhere[plain(name)] || singular(one) === singular(name));
}

function unknownOption(operation: string, name: string, known: readonly string[]): SoftgradError {
  const meant = optionMeant(name, known);
  const hint = meant === undefined ? '' : ` (did you mean '${meant}'?)`;
  return new SoftgradError(
    'ERR_VALUE',
    `${operation}: unknown option '${shortened(name)}'${hint}; expected ${known.length > 1 ? 'one of ' : ''}${listed(known)}`,
  );
}

function listed(names: readonly string[]): string {
  return names.join(', ') || 'none';
}
