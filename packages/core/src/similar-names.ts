// Names that callers give instead of the name of an option, a dtype or a backend.

/** Names of options and dtypes in other libraries, as `plain` makes them. */
const elsewhere: Readonly<Record<string, string>> = {
  dim: 'axis',
  tau: 'temperature',
  t: 'temperature',
  ep: 'step',
  rtol: 'tolerance',
  label: 'target',
  smoothing: 'labelSmoothing',
  where: 'mask',
  classweight: 'weight',
  float: 'float32',
  double: 'float64',
  half: 'float16',
};

/** Its letters and digits in lower case, without the s of a plural. */
function plain(text: string): string {
  return text.toLowerCase().replace(/\W|_|s$/g, '');
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
  return known.find((one) => one === elsewhere[plain(name)] || plain(one) === plain(name));
}

/**
 * The question whether another name was meant: the one that `optionMeant` finds, else one that the name begins, or begins with, or that differs from it by a
 * replacement of at most two letters, or by two letters in the other order.
 *
 * @returns the empty text if no name is similar
 *
 * @example
 * hintOf('f32', ['float16', 'float32']); // " (did you mean 'float32'?)"
 */
export function hintOf(name: string, known: readonly string[]): string {
  const given = plain(name);
  const replaced = given.length > 4 ? 2 : 1;
  const swapped = (at: number) => given.slice(0, at) + given.charAt(at + 1) + given.charAt(at) + given.slice(at + 2);
  const isAlike = (one: string) =>
    given.startsWith(one) ||
    [...given].some(
      (_, at) =>
        one === swapped(at) || (one.startsWith(given.slice(0, at + 1)) && one.endsWith(given.slice(at + 1 + replaced))),
    );
  // A name from another library is not similar to anything else: label is not labelSmoothing.
  const meant =
    optionMeant(name, known) ?? (elsewhere[given] === undefined && known.find((one) => isAlike(plain(one))));
  return meant ? ` (did you mean '${meant}'?)` : '';
}
