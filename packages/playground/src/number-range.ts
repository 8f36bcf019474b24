/** Which numbers a field, or a value in a link, may have. */
export interface NumberRange {
  readonly least?: number | undefined;
  readonly most?: number | undefined;
  readonly integer?: boolean | undefined;
}

/** The number in a text; NaN unless it is decimal, as on the command line: `Number` also reads 0x10, and a text of spaces as 0. */
export function decimal(text: string): number {
  return /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i.test(text) ? Number(text) : Number.NaN;
}

/** What is wrong with the text of a field, null if it is a number in the range. */
export function problemOf(text: string, { least = -1e300, most = 1e300, integer = false }: NumberRange): string | null {
  const value = decimal(text);
  if (!Number.isFinite(value)) return `“${text}” is not a number`;
  if (integer && !Number.isInteger(value)) return 'expected an integer';
  if (value < least) return `expected ${least} or more`;
  return value > most ? `expected ${most} or less` : null;
}

/** The number in a text; null unless it is in the range. */
export function numberIn(range: NumberRange, text: string): number | null {
  return problemOf(text, range) === null ? decimal(text) : null;
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
