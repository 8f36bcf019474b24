import { SoftgradError } from '@softgrad/core';
import { isHeader } from './misspelled.js';
import { parseEntry } from './number.js';
import { quote } from './quote.js';

// Labels of rows that are numbers would be read as one more class, and numbers of columns as one more row. Either would silently change every result.

/** The part of a row that the checks need. */
interface Row {
  readonly cells: readonly string[];
  readonly line: number;
}

const numbersOnly = 'expected numbers only, as df.to_csv(path, index=False, header=False) saves them';

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

/** How many rows have to be numbered in order: fewer may be by chance. */
const counting = 3;

/**
 * Of a table of two rows, every other number must have so many significant digits. A table that was typed may well begin its rows with 0 and 1; a program that
 * writes numbers with all of their digits writes a decimal point in those of the same table that happen to be whole.
 */
const digitsOfPrograms = 6;

function significantDigits(cell: string): number {
  return cell.replace(/^[^1-9e]*|e.*|\D/gi, '').length;
}

/** True if a row is a probability distribution with its first cell: in one, 0 and 1 are what rounding leaves of a sure prediction. */
function addsUpTo1(cells: readonly string[]): boolean {
  const sum = cells.reduce((total, cell) => total + (parseEntry(cell) ?? Number.NaN), 0);
  return Math.abs(sum - 1) <= 1e-3;
}

interface IndexDetector {
  /** @throws ERR_VALUE if the first column counts from 0 or 1 and all other numbers have decimals */
  add(row: Row): void;
  /** Ends the table. @throws ERR_VALUE the same of a table of two rows, if all other numbers have many digits */
  end(): void;
}

/** Checks the first rows, one after another: pandas writes its index without a name if it is told to leave out the header. */
export function indexDetector(name: string): IndexDetector {
  let start = 0;
  let rows: number | null = 0;
  let firstLine = 0;
  let writtenByProgram = true;
  const refuse = (count: number) => {
    const numbers = Array.from({ length: count }, (_, row) => start + row).join(', ');
    throw new SoftgradError(
      'ERR_VALUE',
      `${name}: from line ${firstLine} on, the first column counts ${numbers} beside numbers with ${count < counting ? 'many digits' : 'decimals'}: an index, as pandas writes it; ${numbersOnly} (or ${start}.0 for a ${start} that is a number of the table)`,
    );
  };
  return {
    add({ cells, line }) {
      if (rows === null) return;
      const [label = '', ...others] = cells;
      if (rows === 0) {
        start = label === '1' ? 1 : 0;
        firstLine = line;
      }
      const counts = label === String(start + rows) && others.length > 0 && !others.some((cell) => integer.test(cell));
      rows = counts ? rows + 1 : null;
      writtenByProgram &&= others.every((cell) => significantDigits(cell) >= digitsOfPrograms) && !addsUpTo1(cells);
      if (rows === counting) refuse(counting);
    },
    end() {
      if (rows === counting - 1 && writtenByProgram) refuse(counting - 1);
    },
  };
}

/** @throws ERR_VALUE for a first column without a name: pandas writes the labels of the rows like this */
export function refuseIndex(first: Row, second: Row, name: string): void {
  const [label, ...others] = first.cells;
  // Columns without names are numbered.
  const named = isHeader(others) || others.every((cell, column) => cell === String(column));
  const unnamed = label === '' && others.length > 0 && named;
  // In printed tables and between blanks, a missing name shows only in the number of cells.
  const [start = ''] = second.cells;
  const oneMore = first.cells.length === second.cells.length - 1;
  // A cell with another separator in it was cut at a decimal comma, as 1,5;2 after the names a;b.
  const missing = oneMore && /^[01]$/.test(start) && !second.cells.some((cell) => /[;|\s]/.test(cell));
  if (!unnamed && !(missing && isHeader(first.cells))) return;
  throw new SoftgradError(
    'ERR_VALUE',
    `${name}: line ${first.line} leaves the first column without a name: the index that pandas writes; ${numbersOnly}`,
  );
}

/** @throws ERR_SHAPE for a header with more or fewer names than the first row has cells: which of them are named cannot be told */
export function refuseUnevenNames(header: Row, row: Row, name: string): void {
  const names = header.cells.length;
  const cells = row.cells.length;
  // The last delimiter of a header may be one that no row has.
  const ends = header.cells.at(-1) === '' && names === cells + 1;
  // A cell with another separator in it was cut at a decimal comma, which has an error of its own.
  if (names === cells || ends || row.cells.some((cell) => /[;|\s]/.test(cell))) return;
  const found = `line ${row.line} has ${cells} ${cells === 1 ? 'cell' : 'cells'}`;
  throw new SoftgradError(
    'ERR_SHAPE',
    `${name}: ${found}; expected ${names}, one for each name in line ${header.line}`,
  );
}

/** @throws ERR_VALUE for a first line that counts its cells: pandas numbers columns that have no names, and writes the numbers as the header */
export function refuseColumnNumbers(first: Row, second: Row | null, place: string, advice: string): void {
  const { cells } = first;
  const numbered = cells.length > 1 && cells.every((cell, column) => cell === String(column));
  if (!numbered || !second?.cells.some((cell) => /\d[.e]/i.test(cell))) return;
  throw new SoftgradError(
    'ERR_VALUE',
    `${place} numbers the columns 0 to ${cells.length - 1}, as pandas writes a header that it was not given; ${numbersOnly} (or 0.0 for a 0 that is a logit)${advice}`,
  );
}
