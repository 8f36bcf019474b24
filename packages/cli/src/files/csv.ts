import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { SoftgradError } from '@softgrad/core';
import { CsvError, type Info, parse } from 'csv-parse';
import { type FileArray, sizeOf } from './array.js';
import { quote } from './quote.js';
import type { RowReader } from './rows.js';

const number = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const words: Readonly<Record<string, number>> = {
  nan: Number.NaN,
  inf: Number.POSITIVE_INFINITY,
  infinity: Number.POSITIVE_INFINITY,
};
const longestLine = 2 ** 28;

interface Line {
  readonly record: readonly string[];
  readonly info: Info;
}

/**
 * Reads a table of numbers row by row. A first row in which no cell is a number is the header and is passed over;
 * "nan", "inf" and "-inf" are numbers in any case.
 *
 * @throws ERR_VALUE naming line and column of a cell that is no number
 * @throws ERR_SHAPE naming a line with more or fewer cells than the first
 */
export async function csvRows(path: string, byteLength: number, delimiter: ',' | '\t'): Promise<RowReader> {
  const file = createReadStream(path);
  const parser = parse({
    delimiter,
    bom: true,
    trim: true,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: longestLine,
  });
  // Errors reach the iterator below, since the pipeline destroys the parser with them.
  pipeline(file, parser, () => {});
  const lines: AsyncIterator<Line> = parser[Symbol.asyncIterator]();

  const nextLine = async (): Promise<Line | null> => {
    try {
      const { value, done } = await lines.next();
      return done ? null : value;
    } catch (error) {
      throw error instanceof CsvError ? malformed(error, path) : error;
    }
  };

  let pending = await nextLine();
  if (pending && isHeader(pending.record)) pending = await nextLine();
  if (!pending) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${path}: no row of numbers; expected numbers separated by ${delimiter === ',' ? 'commas' : 'tabs'}`,
    );
  }
  const columns = pending.record.length;
  const firstLine = pending.info.lines;

  return {
    name: path,
    shape: [null, columns],
    byteLength,
    async next(count) {
      if (!pending) return null;
      const values: number[] = [];
      let rows = 0;
      for (; pending && rows < count; rows++) {
        const { record, info }: Line = pending;
        if (record.length !== columns) {
          throw new SoftgradError(
            'ERR_SHAPE',
            `${path}: line ${info.lines} has ${cells(record.length)}; expected ${columns}, as in line ${firstLine}`,
          );
        }
        for (let column = 0; column < columns; column++) {
          const value = parseCell(record[column]);
          if (value === null) {
            const found = record[column] === '' ? 'empty' : quote(record[column]);
            throw new SoftgradError(
              'ERR_VALUE',
              `${path}: line ${info.lines}, column ${column + 1} is ${found}; expected a number`,
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
    position: () => file.bytesRead,
    async close() {
      file.destroy();
      parser.destroy();
    },
  };
}

function parseCell(cell: string): number | null {
  if (number.test(cell)) return Number(cell);
  const [, sign, word] = /^([+-]?)([a-z]+)$/i.exec(cell) ?? [];
  const value = word === undefined ? undefined : words[word.toLowerCase()];
  return value === undefined ? null : sign === '-' ? -value : value;
}

function isHeader(record: readonly string[]): boolean {
  return record.every((cell) => parseCell(cell) === null) && record.some((cell) => cell !== '');
}

function cells(count: number): string {
  return count === 1 ? '1 cell' : `${count} cells`;
}

/** The parser's messages quote the file; their titles and the line are what is safe to show. */
function malformed(cause: CsvError, path: string): SoftgradError {
  const [title] = cause.message.split(':');
  const line = typeof cause.lines === 'number' ? `line ${cause.lines}: ` : '';
  return new SoftgradError(
    'ERR_VALUE',
    `${path}: ${line}${title.toLowerCase()}; expected numbers in cells, quotes in pairs`,
    { cause },
  );
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
