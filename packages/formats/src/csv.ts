import { SoftgradError } from '@softgrad/core';
import { type FileArray, sizeOf } from './array.js';
import { quote } from './quote.js';
import type { RowReader } from './rows.js';

const number = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const words: Readonly<Record<string, number>> = {
  nan: Number.NaN,
  inf: Number.POSITIVE_INFINITY,
  infinity: Number.POSITIVE_INFINITY,
};
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
  readonly delimiter: ',' | '\t';
  readonly byteLength: number | null;
  readonly records: AsyncIterator<CsvRecord>;
  /** Bytes consumed so far. */
  position(): number;
  close(): Promise<void>;
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
}: CsvSource): Promise<RowReader> {
  const nextLine = async (): Promise<CsvRecord | null> => {
    const { value, done } = await records.next();
    return done ? null : value;
  };

  let pending = await nextLine();
  if (pending && isHeader(pending.cells)) pending = await nextLine();
  if (!pending) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${name}: no row of numbers; expected numbers separated by ${delimiter === ',' ? 'commas' : 'tabs'}`,
    );
  }
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
          throw new SoftgradError(
            'ERR_SHAPE',
            `${name}: line ${line} has ${countOf(cells.length)}; expected ${columns}, as in line ${firstLine}`,
          );
        }
        for (let column = 0; column < columns; column++) {
          const value = parseCell(cells[column]);
          if (value === null) {
            const found = cells[column] === '' ? 'empty' : quote(cells[column]);
            throw new SoftgradError(
              'ERR_VALUE',
              `${name}: line ${line}, column ${column + 1} is ${found}; expected a number`,
            );
          }
          values.push(value);
        }
        pending = await nextLine();
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

function parseCell(cell: string): number | null {
  if (number.test(cell)) return Number(cell);
  const [, sign, word] = /^([+-]?)([a-z]+)$/i.exec(cell) ?? [];
  const value = word === undefined ? undefined : words[word.toLowerCase()];
  return value === undefined ? null : sign === '-' ? -value : value;
}

function isHeader(cells: readonly string[]): boolean {
  return cells.every((cell) => parseCell(cell) === null) && cells.some((cell) => cell !== '');
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
