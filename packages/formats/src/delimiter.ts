import { isComment } from './misspelled.js';
import { parseEntry } from './number.js';

/** The separator of the cells of a table; a blank stands for any run of blanks. */
export type Delimiter = ',' | '\t' | ';' | ' ';

const names: Readonly<Record<Delimiter, string>> = { ',': 'commas', '\t': 'tabs', ';': 'semicolons', ' ': 'blanks' };

export function nameOf(delimiter: Delimiter): string {
  return names[delimiter];
}

/** How much of the beginning of a table is read to determine its delimiter. */
export const delimiterSample = 2 ** 16;

/** The first line of a table for Excel, which declares its delimiter. */
const statement = /^\ufeff?"?sep=([,;\t ])"?[,;\t ]*(?:[\r\n]|$)/i;

/**
 * The delimiter of a table, determined from the beginning of its text: the one that a first line such as `sep=;` declares; else the preferred
 * one if the first line of numbers contains it; else the one that this line contains. The header is not used, because names may contain any
 * delimiter. With `booleans`, true and false count as numbers.
 *
 * @param text the first `delimiterSample` characters, or all; more are not used
 * @example
 * detectDelimiter('cat;dog\n1,5;2', ','); // ','
 * detectDelimiter('cat;dog\n1.5;2', ','); // ';'
 */
export function detectDelimiter(text: string, preferred: Delimiter, booleans = false): Delimiter {
  const isNumber = (cell: string) => parseEntry(cell.replaceAll('"', ''), booleans) !== null;
  const stated = statement.exec(text)?.[1];
  const lines = text
    .slice(0, delimiterSample)
    .split(/\r\n|\n|\r/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !isComment(line));
  const ofNumbers = (line: string) => cellsOf(line).every(isNumber);
  const someNumbers = (line: string) => cellsOf(line).some(isNumber);
  const line = lines.find(ofNumbers) ?? lines.find(someNumbers) ?? '';
  const order: readonly Delimiter[] = [preferred, ',', ';', '\t', ' '];
  if (stated !== undefined) return order.find((delimiter) => delimiter === stated) ?? preferred;
  // A quoted number may contain a comma.
  const outside = line.replace(/"[^"]*"/g, '""');
  return order.find((delimiter) => outside.includes(delimiter)) ?? preferred;
}

function cellsOf(line: string): readonly string[] {
  return line.split(/[,;\s]/).filter((cell) => cell !== '');
}

/**
 * The options with which csv-parse reads a table with this `delimiter`, in the playground and on the command line. `csvRows` recognizes comments,
 * because a line may start with a first cell such as #N/A; a quote inside a comment is no error, and in a cell it is an error of the number.
 *
 * @example
 * const records = parse(text, csvParseOptions(detectDelimiter(text, ',')));
 */
export function csvParseOptions(delimiter: Delimiter) {
  return {
    delimiter: delimiter === ' ' ? [' ', '\t'] : delimiter,
    relax_quotes: true,
    bom: true,
    trim: true,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
  } as const;
}
