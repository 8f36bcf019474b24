import { SoftgradError } from '@softgrad/core';
import { parseEntry } from './number.js';
import { quote } from './quote.js';

// Labels of rows that are numbers would be read as one more class, and silently change every result.

/** The part of a row that the checks need. */
interface Row {
  readonly cells: readonly string[];
  readonly line: number;
}

/** Names of columns that are not classes, if their entries are integers or texts, and what they are. */
const names: readonly (readonly [pattern: RegExp, what: string, advice: string])[] = [
  [
    /^(?:id|idx|index|row|row[ _.-]?(?:id|number|names?)|unnamed: \d+)$/i,
    'the labels of the rows, not a class',
    'leave it out, as df.to_csv(path, index=False) does with an index',
  ],
  [
    /^(?:labels?|targets?)$/i,
    'the class of each row, not a number for one of the classes',
    'leave it out; as a target it goes into a file of its own',
  ],
];

const integer = /^[-+]?\d+$/;

/** @throws ERR_VALUE for a header that names such a column beside others */
export function refuseLabels(header: Row, first: Row, name: string): void {
  if (header.cells.length < 2) return;
  for (const [column, cell] of header.cells.entries()) {
    const [, what, advice] = names.find(([pattern]) => pattern.test(cell)) ?? [];
    const entry = first.cells[column];
    if (what === undefined || entry === undefined) continue;
    if (parseEntry(entry) !== null && !integer.test(entry)) continue;
    throw new SoftgradError(
      'ERR_VALUE',
      `${name}: line ${header.line} calls column ${column + 1} ${quote(cell)}: ${what}; ${advice} (or rename it if it is a class)`,
    );
  }
}

/** How many rows have to count. Fewer may do so by chance. */
const counting = 3;

/**
 * Checks the first rows, one after another: pandas writes its index without a name if it is told to leave out the header.
 *
 * @throws ERR_VALUE if the first column counts from 0 or 1 and all other numbers have decimals
 */
export function indexDetector(name: string): (row: Row) => void {
  let start = 0;
  let rows: number | null = 0;
  let firstLine = 0;
  return ({ cells, line }) => {
    if (rows === null) return;
    const [label = '', ...others] = cells;
    if (rows === 0) {
      start = label === '1' ? 1 : 0;
      firstLine = line;
    }
    const counts = label === String(start + rows) && others.length > 0 && !others.some((cell) => integer.test(cell));
    rows = counts ? rows + 1 : null;
    if (rows !== counting) return;
    const numbers = Array.from({ length: counting }, (_, row) => start + row).join(', ');
    throw new SoftgradError(
      'ERR_VALUE',
      `${name}: from line ${firstLine} on, the first column counts ${numbers} beside numbers with decimals: an index, as pandas writes it; expected numbers only, as df.to_csv(path, index=False, header=False) saves them (or ${start}.0 for a ${start} that is a number of the table)`,
    );
  };
}
