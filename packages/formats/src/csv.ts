import { SoftgradError } from '@softgrad/core';
import { type FileArray, sizeOf } from './array.js';
import { type Delimiter, nameOf } from './delimiter.js';
import { isEllipsis, parseNumber, printWhole } from './number.js';
import { quote } from './quote.js';
import type { RowReader } from './row-reader.js';

/** One line of a table, cut into cells. */
export interface CsvRecord {
  readonly cells: readonly string[];
  /** Its line in the file, from 1. */
  readonly line: number;
}

/** A table that is being cut into cells, by whatever parser suits the place. */
export interface CsvSource {
  /** What error messages call it. */
  readonly name: string;
  readonly delimiter: Delimiter;
  readonly byteLength: number | null;
  readonly records: AsyncIterator<CsvRecord>;
  /** Bytes consumed so far. */
  position(): number;
  close(): Promise<void>;
  /** What to expect where there is no row of numbers; numbers between delimiters where it is left out. */
  readonly expected?: string;
}

/**
 * Reads a table of numbers row by row. A first row in which no cell is a number is the header and is passed over;
 * "nan", "inf" and "-inf" are numbers in any case.
 *
 * @throws ERR_VALUE naming line and column of a cell that is no number
 * @throws ERR_SHAPE naming a line with more or fewer cells than the first
 */
export async function csvRows({
  name,
  delimiter,
  byteLength,
  records,
  position,
  close,
  expected = `numbers separated by ${nameOf(delimiter)}`,
}: CsvSource): Promise<RowReader> {
  const nextLine = async (): Promise<CsvRecord | null> => {
    for (;;) {
      const { value, done } = await records.next();
      if (done) return null;
      if (delimiter !== ' ') return value;
      // Columns that are aligned have several blanks between them.
      const cells = value.cells.filter((cell: string) => cell !== '');
      if (cells.length > 0) return { ...value, cells };
    }
  };

  const first = await nextLine();
  const header = first && isHeader(first.cells) ? first : null;
  let pending = header ? await nextLine() : first;
  if (!first || !pending) throw new SoftgradError('ERR_VALUE', `${name}: no row of numbers; expected ${expected}`);
  refuseIndex(first, pending, name);
  let following = header ? null : await nextLine();
  refuseColumnNumbers(first, following, name);
  const columns = pending.cells.length;
  const firstLine = pending.line;

  return {
    name,
    shape: [null, columns],
    byteLength,
    async next(count) {
      if (!pending) return null;
      const values: number[] = [];
      let rows = 0;
      for (; pending && rows < count; rows++) {
        const { cells, line }: CsvRecord = pending;
        if (cells.length !== columns) {
          if (cells.some(isEllipsis)) throw new SoftgradError('ERR_VALUE', `${name}: line ${line}: ${printWhole}`);
          throw new SoftgradError(
            'ERR_SHAPE',
            `${name}: line ${line} has ${countOf(cells.length)}; expected ${columns}, as in line ${firstLine}`,
          );
        }
        for (let column = 0; column < columns; column++) {
          values.push(parseCell(cells[column], `${name}: line ${line}`, column));
        }
        pending = following ?? (await nextLine());
        following = null;
      }
      return {
        shape: [rows, columns],
        data: Float64Array.from(values),
      };
    },
    position,
    close,
  };
}

function parseCell(cell: string, place: string, column: number): number {
  const value = parseNumber(cell);
  if (value !== null) return value;
  if (isEllipsis(cell)) throw new SoftgradError('ERR_VALUE', `${place}: ${printWhole}`);
  if (cell === '') {
    const missing = `${place}, column ${column + 1} is empty; expected a number (write nan for a missing value)`;
    throw new SoftgradError('ERR_VALUE', missing);
  }
  throw new SoftgradError(
    'ERR_VALUE',
    `${place}, column ${column + 1} is ${quote(cell)}; expected ${expectedFor(cell)}`,
  );
}

const decimalComma = /^[-+]?\d*,\d+(e[-+]?\d+)?$/i;

/** Numbers with a decimal comma are cut at it, or are none: 1,5;2,5 has a cell 5;2, and between tabs there is a cell 1,5. */
function expectedFor(cell: string): string {
  if (decimalComma.test(cell)) return `a decimal point, as in ${cell.replace(',', '.')}`;
  const parts = cell.split(';');
  if (parts.length > 1 && parts.every((part) => parseNumber(part) !== null)) {
    return 'a number; between semicolons, too, decimals have a point, as in 1.5;2.5';
  }
  return 'a number';
}

function isHeader(cells: readonly string[]): boolean {
  return (
    cells.every((cell) => parseNumber(cell) === null && !decimalComma.test(cell)) && cells.some((cell) => cell !== '')
  );
}

/**
 * pandas writes the labels of the rows as a first column without a name. Read as a class, they would change every result
 * without a word.
 */
function refuseIndex(first: CsvRecord, second: CsvRecord, name: string): void {
  const [label, ...others] = first.cells;
  // Columns that were never named are numbered.
  const named = isHeader(others) || others.every((cell, column) => cell === String(column));
  const unnamed = label === '' && others.length > 0 && named;
  // Printed or between blanks, the missing name is not seen but by its absence.
  const missing = first.cells.length === second.cells.length - 1 && /^[01]$/.test(second.cells[0]);
  if (!unnamed && !(missing && isHeader(first.cells))) return;
  throw new SoftgradError(
    'ERR_VALUE',
    `${name}: line ${first.line} leaves the first column without a name: the index that pandas writes; expected numbers only, as df.to_csv(path, index=False, header=False) saves them`,
  );
}

/** pandas numbers columns that have no names, and writes that as the header. Read as a row, it would be one more than there is. */
function refuseColumnNumbers(first: CsvRecord, second: CsvRecord | null, name: string): void {
  const { cells } = first;
  const numbered = cells.length > 1 && cells.every((cell, column) => cell === String(column));
  if (!numbered || !second?.cells.some((cell) => /\d[.e]/i.test(cell))) return;
  throw new SoftgradError(
    'ERR_VALUE',
    `${name}: line ${first.line} numbers the columns 0 to ${cells.length - 1}, as pandas writes a header that it was not given; expected numbers only, as df.to_csv(path, index=False, header=False) saves them (or 0.0 for a 0 that is a logit)`,
  );
}

function countOf(count: number): string {
  return count === 1 ? '1 cell' : `${count} cells`;
}

/** The rows of an array of at most two dimensions as lines, in pieces of bounded length; a vector is a column. */
export function* csvLines(array: FileArray, delimiter: ',' | '\t'): Generator<string> {
  const columns = sizeOf(array.shape.slice(1));
  const rows = array.shape[0] ?? 1;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column += pieceLength) {
      const start = row * columns + column;
      const end = row * columns + Math.min(columns, column + pieceLength);
      const separator = column > 0 ? delimiter : '';
      yield separator + Array.from(array.data.subarray(start, end), csvNumber).join(delimiter);
    }
    yield '\n';
  }
}

/** Most numbers that are joined to one text. */
const pieceLength = 8192;

function csvNumber(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  return Object.is(value, -0) ? '-0' : String(value);
}
