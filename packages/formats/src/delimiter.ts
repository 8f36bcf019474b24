import { isComment } from './misspelled.js';
import { parseNumber } from './number.js';

/** What stands between the cells of a table; a blank is any run of blanks. */
export type Delimiter = ',' | '\t' | ';' | ' ';

const names: Readonly<Record<Delimiter, string>> = { ',': 'commas', '\t': 'tabs', ';': 'semicolons', ' ': 'blanks' };

export function nameOf(delimiter: Delimiter): string {
  return names[delimiter];
}

/** Enough of a table's beginning to tell its delimiter. */
export const delimiterSample = 2 ** 16;

/** The first line of a table that Excel reads, which states its delimiter. */
const statement = /^\ufeff?"?sep=([,;\t ])"?[,;\t ]*(?:[\r\n]|$)/i;

/**
 * The delimiter of a table, told from the beginning of its text: what a first line such as `sep=;` states; else the preferred one
 * where the first line of numbers has it, else the one that this line has. Names in a header may hold any of them, so that a header
 * tells nothing.
 */
export function detectDelimiter(text: string, preferred: Delimiter): Delimiter {
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
  // A number in quotes may have a comma of its own.
  const outside = line.replace(/"[^"]*"/g, '""');
  return order.find((delimiter) => outside.includes(delimiter)) ?? preferred;
}

function cellsOf(line: string): readonly string[] {
  return line.split(/[,;\s]/).filter((cell) => cell !== '');
}

function isNumber(cell: string): boolean {
  return parseNumber(cell.replaceAll('"', '')) !== null;
}

/**
 * How csv-parse is to read a table between `delimiter`, in the page as on the command line. Comments are left to `csvRows`, which tells
 * them from a first cell such as #N/A; a quote inside of them is no error, and in a cell it is one of the number.
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
