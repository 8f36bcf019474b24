import { isBeyondRange, isEllipsis, parseNumber, withinRange } from './number.js';
import { invisible, quote } from './quote.js';

const missing = 'a number (write nan for a missing value)';

/** Words for a number or for a missing one in spreadsheets, R, pandas, SQL and C, and what to write instead. */
const words: readonly (readonly [pattern: RegExp, expected: (cell: string) => string])[] = [
  [/^(?:#?n\/a|na|n\.a\.?|<na>|\(?null\)?|none|nil|nat|missing|undefined)$/i, () => missing],
  [/^#(?:div\/0!|ref!|value!|name\?|num!|null!|spill!|calc!|getting_data)$/i, () => missing],
  [/^[-–—?]+$/, () => missing],
  [/^(?:true|false)$/i, (cell) => `a number, as in ${/^t/i.test(cell) ? 1 : 0}`],
  // Visual C++ wrote the first form until 2015; C may append the payload of a NaN.
  [/^[-+]?(?:1\.#(?:ind|[qs]?nan)\d*|[qs]?nan\s*\(.*\))$/i, () => 'a number, as in nan'],
  [/^[-+\u2212]?(?:1\.#inf\d*|∞|infty)$/i, (cell) => `a number, as in ${/^[-\u2212]/.test(cell) ? '-inf' : 'inf'}`],
];

/** What makes a number unreadable, how to remove it, and what is expected instead; applied one after another. The end checks that a number is left. */
const corrections: readonly (readonly [expected: string, correct: (cell: string) => string])[] = [
  ['no invisible characters', (cell) => cell.replace(invisible, '')],
  ['digits from 0 to 9', (cell) => cell.replace(/[\uff0b-\uff19]/g, (wide) => wide.normalize('NFKC'))],
  ['no apostrophe', (cell) => cell.replace(/^['’](?=[-+.\d])/, '')],
  ['no suffix', (cell) => cell.replace(/^([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)[fln]$/i, '$1')],
  ['"-" for the sign', (cell) => cell.replace(/^[\u2212\u2013\uff0d\ufe63]|(?<=\de)\u2212/iu, '-')],
  [
    'no currency sign',
    (cell) =>
      cell
        .replace(/^([-+]?)(?:[A-Z]{0,3}\p{Sc}|[A-Z]{3}(?=\s?\d[\d,]*[.,]\d))\s*(?=[-+.\d])/u, '$1')
        .replace(/(?<=\d)\s*(?:\p{Sc}|\s[A-Z]{3})$/u, ''),
  ],
  ['no underscores', (cell) => cell.replace(/(?<=\d)_(?=\d)/g, '')],
  [
    'no thousands separators',
    (cell) =>
      /^[-+]?\d{1,3}(?:[,'’\s]\d{2,3})*[,'’\s]\d{3}(?:\.\d*)?%?$/.test(cell)
        ? cell.replace(/[,'’\s]/g, '')
        : cell.replace(/^[-+]?\d{1,3}(?:[.'’\s]\d{3})+(?=,\d+%?$)/, (whole) => whole.replace(/[.'’\s]/g, '')),
  ],
  ['a decimal point', (cell) => cell.replace(/^([-+]?\d*),(?=\d)/, '$1.')],
  ['e before the exponent', (cell) => cell.replace(/(?<=[.\d])d(?=[-+\d])/i, 'e')],
  // Without ^ a cell of n characters would be searched from each of them, in time n².
  ['no percent sign', (cell) => cell.replace(/^(.*\d\.?)\s*%$/, percent)],
];

function percent(cell: string, number: string): string {
  const value = parseNumber(number);
  return value === null ? cell : String(Number((value / 100).toPrecision(15)));
}

/** What to expect instead of a cell that is not a number: `a decimal point, as in 1.5`. */
export function expectedInstead(cell: string): string {
  const word = words.find(([pattern]) => pattern.test(cell));
  if (word) return word[1](cell);
  if (isBeyondRange(cell)) return withinRange(cell.startsWith('-') ? '-inf' : 'inf');
  // One group of three digits may be a thousand or three decimals.
  const either = /^([-+]?\d{1,3}),(\d{3})$/.exec(cell);
  if (either)
    return `no thousands separator, as in ${either[1]}${either[2]}, or a decimal point, as in ${either[1]}.${either[2]}`;
  let corrected = cell;
  const expected: string[] = [];
  for (const [what, correct] of corrections) {
    const before = corrected;
    corrected = correct(before);
    if (corrected !== before) expected.push(what);
  }
  if (parseNumber(corrected) !== null) return `${expected.join(' and ')}, as in ${corrected}`;
  // Numbers with a decimal comma between commas or semicolons: 1,5;2,5 is split into 1, 5;2 and 5.
  if (cell.split(';').every((part) => parseNumber(part) !== null)) {
    return 'a number; decimals have a point between semicolons too, as in 1.5;2.5';
  }
  return withoutCode(cell) ?? 'a number';
}

/** The number in a cell of a line of code, such as `x = c(1` and `3);`, and what to remove around it. */
function withoutCode(cell: string): string | null {
  const [, before = '', middle = '', after = ''] = /^([^\d]*[=:([{]\s*)?([-+.\w]*?)([\])};]*)$/.exec(cell) ?? [];
  if (parseNumber(middle) === null) return null;
  if (before === '(' && after === ')')
    return `a number without parentheses: -${middle} if they are an accountant's minus sign`;
  const removed = [before, after].filter((text) => text !== '').map((text) => quote(text));
  return `a number without ${removed.join(' and ')}, as in ${middle}`;
}

/**
 * Whether a cell looks like a name: its first letter comes before any digit, and it is not a word for a number or for a
 * missing one.
 */
export function isName(cell: string): boolean {
  // A formula of a spreadsheet.
  if (cell.startsWith('=')) return false;
  if (words.some(([pattern]) => pattern.test(cell))) return false;
  if (/^[^\p{L}\p{N}]*(?:nan|inf|infinity)(?![\p{L}\p{N}_ ])/iu.test(cell)) return false;
  if (/^[A-Z]{0,3}\p{Sc}\s*[-+.,\d]|^[A-Z]{3}\s?[-+]?\d[\d,]*[.,]\d|^[Oo][.,]\d|^[eE][-+]\d/u.test(cell)) return false;
  return /^[^\p{L}\p{N}_]*[\p{L}_]/u.test(cell);
}

/** A first line is a header if its cells are names, some of which may be missing; a misspelled number makes it a row. */
export function isHeader(cells: readonly string[]): boolean {
  return cells.every((cell) => cell === '' || isEllipsis(cell) || isName(cell)) && cells.some((cell) => isName(cell));
}

/** The beginnings of lines that are not comments although they start with #: what spreadsheets write for a missing or failed number. */
const failedFormula = /^#(?:n\/a|div\/0!|ref!|value!|name\?|num!|null!|spill!|calc!|getting_data)/i;

/** Whether a line, or its first cell, begins a comment. */
export function isComment(line: string): boolean {
  return line.startsWith('#') && !failedFormula.test(line);
}
