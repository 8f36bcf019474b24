/** Which numbers a field, or a value in a link, may have. */
export interface NumberRange {
  /** With -Infinity, that is a number, too. */
  readonly least?: number | undefined;
  readonly most?: number | undefined;
  readonly integer?: boolean | undefined;
}

/** The number in a text; NaN unless it is decimal, as on the command line: `Number` also reads 0x10, and a text of spaces as 0. */
export function decimal(text: string): number {
  return /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i.test(text) ? Number(text) : Number.NaN;
}

/** The number in a text, which may be −∞ as NumPy, JavaScript and the fields write it; NaN if there is none. */
export function numberOf(text: string): number {
  return /^\s*[-−](?:inf(?:inity)?|∞)\s*$/i.test(text) ? Number.NEGATIVE_INFINITY : decimal(text);
}

/** What is wrong with the text of a field, null if it is a number in the range. */
export function problemOf(text: string, { least = -1e300, most = 1e300, integer = false }: NumberRange): string | null {
  const value = numberOf(text);
  if (!Number.isFinite(value) && value !== least) return `“${text}” is not a number`;
  if (integer && !Number.isInteger(value)) return 'expected an integer';
  if (value < least) return `expected ${least} or more`;
  return value > most ? `expected ${most} or less` : null;
}

/** The number in a text; null unless it is in the range. */
export function numberIn(range: NumberRange, text: string): number | null {
  return problemOf(text, range) === null ? numberOf(text) : null;
}

/** What is expected of a value in a link: `an integer from -8 to 8`. */
export function expectedOf({ least, most, integer = false }: NumberRange): string {
  const kind = integer ? 'an integer' : 'a number';
  if (least === undefined) return kind;
  return most === undefined ? `${kind} of ${least} or more` : `${kind} from ${least} to ${most}`;
}

/** Why a value in a link was not taken, for its field. */
export function refusalOf(text: string, expected: string): string {
  return `the link has “${text}”; expected ${expected}`;
}
