import { SoftgradError } from './errors.js';
import { isBranded } from './tensor/brand.js';
import { describe } from './tensor/describe.js';

/** Names by which other libraries know an option. */
const elsewhere: Readonly<Record<string, string>> = { dim: 'axis', dims: 'axis', tau: 'temperature', t: 'temperature' };

/** The names of the options in a type: one that is missing here, or that the type has not, does not compile. */
export function namesOf<O>(names: { readonly [K in keyof Required<O>]: true }): readonly string[] {
  return Object.keys(names);
}

/**
 * The options of a call. One that nobody knows would be ignored, and the result be another than the caller's: types say so only
 * where there are types.
 *
 * @throws ERR_VALUE naming the option and those that there are
 */
export function checkOptions<O extends object>(operation: string, options: O, known: readonly string[]): O {
  if (typeof options !== 'object' || options === null || Array.isArray(options) || isBranded(options)) {
    const expected = `an object with ${known.join(', ')}`;
    throw new SoftgradError('ERR_VALUE', `${operation}: options are ${describe(options)}; expected ${expected}`);
  }
  for (const name of Object.keys(options)) if (!known.includes(name)) throw unknownOption(operation, name, known);
  return options;
}

function unknownOption(operation: string, name: string, known: readonly string[]): SoftgradError {
  const plain = (text: string) => text.replace(/[_-]/g, '').toLowerCase();
  const meant = known.find((one) => one === elsewhere[plain(name)] || plain(one) === plain(name));
  const hint = meant === undefined ? '' : ` (did you mean '${meant}'?)`;
  return new SoftgradError(
    'ERR_VALUE',
    `${operation}: unknown option '${name}'${hint}; expected ${known.length > 1 ? 'one of ' : ''}${known.join(', ')}`,
  );
}
