const number = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const words: ReadonlyMap<string | undefined, number> = new Map([
  ['nan', Number.NaN],
  ['inf', Number.POSITIVE_INFINITY],
  ['infinity', Number.POSITIVE_INFINITY],
]);

/** The decimal number in a text, or NaN or infinity for "nan", "inf", "infinity" in any case; null for any other text, and for digits beyond float64. */
export function parseNumber(text: string): number | null {
  if (number.test(text)) {
    const value = Number(text);
    return Number.isFinite(value) ? value : null;
  }
  const [, sign, word] = /^([+-]?)([a-z]+)$/.exec(text.toLowerCase()) ?? [];
  const value = words.get(word);
  if (value === undefined) return null;
  return sign === '-' ? -value : value;
}

/** Whether a text is a decimal number so large that float64 would be infinite. */
export function isBeyondRange(text: string): boolean {
  return number.test(text) && !Number.isFinite(Number(text));
}

/** What to expect instead of such a number. */
export function withinRange(infinity: string): string {
  return `a number in the range of float64, up to 1.8e308 in size, or ${infinity}`;
}

/** A number, or with `booleans` also 1 for "true" and 0 for "false" in any case; null for any other text. */
export function parseEntry(text: string, booleans = false): number | null {
  const value = parseNumber(text);
  if (value !== null || !booleans) return value;
  return /^true$/i.test(text) ? 1 : /^false$/i.test(text) ? 0 : null;
}

/** The sign that NumPy and PyTorch print for omitted entries of a long array. */
export function isEllipsis(text: string): boolean {
  return text === '...' || text === '…';
}

/** What to do if only a part of an array was printed. */
export const printWhole =
  'abbreviated ("..."): entries are missing; print it whole, after np.set_printoptions(threshold=np.inf) or torch.set_printoptions(threshold=float("inf")), or in JavaScript with JSON.stringify';
