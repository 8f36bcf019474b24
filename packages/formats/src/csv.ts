import { checkAttached, SoftgradError } from '@softgrad/core';
import { type FileArray, sizeOf } from './array.js';
import { type Delimiter, nameOf } from './delimiter.js';
import { indexDetector, refuseColumnNumbers, refuseIndex, refuseLabels, refuseUnevenNames } from './labels.js';
import { expectedInstead, isComment, isHeader, isName } from './misspelled.js';
import { isEllipsis, parseEntry, printWhole } from './number.js';
import { quote } from './quote.js';
import type { RowReader } from './row-reader.js';

/** One row of a table, cut into cells, of which those in quotes may contain ends of lines. */
export interface CsvRecord {
  readonly cells: readonly string[];
  /** The number of its first line in the file, from 1: what `recordLines` gives. */
  readonly line: number;
}

/** Properties of a table that its text does not tell. */
export interface TableOptions {
  /** Whether the first line has the names of the columns; by default it does if its cells look like names. */
  readonly header?: 'yes' | 'no' | undefined;
  /** How the user of the caller can say whether there is a header, for messages about a first line. */
  readonly headerAdvice?: string | undefined;
  /** Whether true and false, in any case, are read as 1 and 0, as for a mask; by default they are an error. */
  readonly booleans?: boolean | undefined;
}

/** For `checkOptions`. */
export const tableNames = { header: true, headerAdvice: true, booleans: true } as const;

/** A table that is read cell by cell, by a parser for Node or for browsers. */
export interface CsvSource extends TableOptions {
  /** What error messages call it. */
  readonly name: string;
  readonly delimiter: Delimiter;
  readonly byteLength: number | null;
  readonly records: AsyncIterator<CsvRecord>;
  /** Bytes consumed so far. */
  position(): number;
  close(): Promise<void>;
  /** What is expected if there is no row of numbers; default: numbers between delimiters. */
  readonly expected?: string;
}

/**
 * Reads a table of numbers row by row. A first row whose cells look like names is a header and is skipped, unless `header` says
 * otherwise: none of its cells may be a number or look like a misspelled number. "nan", "inf" and "-inf" are numbers in any case, a line
 * that begins with # is a comment unless the rest of it reads as a row of the table, and a first line `sep=;` is Excel's declaration of the delimiter.
 *
 * The first lines are read before the reader is returned, the others by its `next`, which throws the same errors.
 *
 * @returns a reader of shape (rows, columns), whose rows are not counted before its end; its numbers are float64
 * @throws ERR_VALUE naming line and column of a cell that is not a number, and for a table without a row, with labels of its rows or with numbered columns
 * @throws ERR_SHAPE naming a line with more or fewer cells than the first, or than the header has names
 * @example
 * async function* records() {
 *   yield { cells: ['cat', 'dog'], line: 1 };
 *   yield { cells: ['2', '-1.5'], line: 2 };
 * }
 * const file = { name: 'logits.csv', byteLength: null, position: () => 0, async close() {} };
 * const reader = await csvRows({ ...file, delimiter: ',', records: records() });
 * (await reader.next(100))?.data; // [2, -1.5]
 */
export async function csvRows(source: CsvSource): Promise<RowReader> {
  const { name, delimiter, byteLength, position, close, header, headerAdvice, booleans } = source;
  const { expected = `numbers separated by ${nameOf(delimiter)}` } = source;
  const advice = header === undefined && headerAdvice !== undefined ? ` (${headerAdvice})` : '';
  let columns: number | null = null;
  // Until the number of columns is known, a comment of numbers may be any.
  const commentedRows: CommentedRow[] = [];
  const refuseCommented = (row: CommentedRow) => {
    if (columns === null) commentedRows.push(row);
    else if (row.columns === columns) {
      const expectation = 'expected the row without #, or a comment in words';
      throw new SoftgradError(
        'ERR_VALUE',
        `${name}: line ${row.line} starts with # but reads as a row of numbers; ${expectation}`,
      );
    }
  };
  const nextLine = () => nextRecord(source, refuseCommented);

  let first = await nextLine();
  if (first && isDelimiterLine(first, source)) first = await nextLine();
  const named = first !== null && (header === undefined ? isHeader(first.cells) : header === 'yes');
  let pending = named ? await nextLine() : first;
  if (!first || !pending) throw new SoftgradError('ERR_VALUE', `${name}: no row of numbers; expected ${expected}`);
  if (header !== 'no') refuseIndex(first, pending, name);
  if (named) {
    refuseLabels(first, pending, name);
    if (delimiter.trim() !== '' || delimiter === '\t') refuseUnevenNames(first, pending, name);
  }
  const index = indexDetector(name);
  columns = pending.cells.length;
  const width = columns;
  commentedRows.forEach(refuseCommented);
  // Before the error of a later line comes that of this one, whose cells are not read yet.
  let laterError: unknown = null;
  const laterLine = async () => {
    try {
      return await nextLine();
    } catch (error) {
      laterError = error;
      return null;
    }
  };
  let following = named ? null : await laterLine();
  if (header === undefined) refuseColumnNumbers(first, following, `${name}: line ${first.line}`, advice);
  const firstLine = pending.line;
  const lines = lineCounter();

  return {
    name,
    shape: [null, width],
    byteLength,
    async next(count) {
      if (!pending) return null;
      const values: number[] = [];
      let rows = 0;
      for (; pending && rows < count; rows++) {
        const { cells, line }: CsvRecord = pending;
        if (cells.length !== width) {
          if (cells.some(isEllipsis)) throw new SoftgradError('ERR_VALUE', `${name}: line ${line}: ${printWhole}`);
          throw new SoftgradError(
            'ERR_SHAPE',
            `${name}: line ${line} has ${countOf(cells.length)}; expected ${width}, as in line ${firstLine}`,
          );
        }
        for (const [column, cell] of cells.entries()) {
          const value = parseEntry(cell, booleans);
          const more = line === first.line ? advice : line === firstLine && isName(cell) ? ', no label' : '';
          values.push(value ?? refuseCell(cell, `${name}: line ${line}`, column, more));
        }
        index.add({ cells, line });
        lines.add(line);
        if (laterError !== null) throw laterError;
        pending = following ?? (await nextLine());
        following = null;
        if (!pending && laterError === null) index.end();
      }
      return {
        shape: [rows, width],
        data: Float64Array.from(values),
      };
    },
    position,
    lineOf: lines.lineOf,
    close,
  };
}

/** The lines of the rows that have been read. Only where rows are not on consecutive lines is a line stored, so that tables may have any length. */
function lineCounter() {
  const starts: { readonly row: number; readonly line: number }[] = [];
  let rows = 0;
  let previous = 0;
  return {
    add(line: number) {
      if (line !== previous + 1) starts.push({ row: rows, line });
      previous = line;
      rows++;
    },
    lineOf(row: number): number {
      const start = starts.filter((one) => one.row <= row).at(-1);
      return start === undefined ? row + 1 : start.line + row - start.row;
    },
  };
}

/** A comment that reads as a row of numbers: one that somebody disabled, or a number with a stray sign. */
interface CommentedRow {
  readonly line: number;
  readonly columns: number;
}

/** The next line that is not a comment. @throws ERR_VALUE for a comment with a quote that is closed in a later line */
async function nextRecord(
  { name, delimiter, records, booleans }: CsvSource,
  onCommentedRow: (row: CommentedRow) => void,
): Promise<CsvRecord | null> {
  for (;;) {
    const { value, done } = await records.next();
    if (done) return null;
    const record: CsvRecord = value;
    // Columns that are aligned have several blanks between them.
    const cells = delimiter === ' ' ? record.cells.filter((cell) => cell !== '') : record.cells;
    const [first] = cells;
    if (first === undefined) continue;
    if (!isComment(first)) return { ...record, cells };
    if (cells.some((cell) => /[\r\n]/.test(cell))) {
      throw new SoftgradError(
        'ERR_VALUE',
        `${name}: line ${record.line}: a comment with an unclosed quote, which includes the following lines; expected quotes in pairs`,
      );
    }
    const rest = first.replace(/^[#\s]+/, '');
    const numbers = rest === '' && delimiter === ' ' ? cells.slice(1) : [rest, ...cells.slice(1)];
    if (numbers.every((cell) => parseEntry(cell, booleans) !== null)) {
      onCommentedRow({ line: record.line, columns: numbers.length });
    }
  }
}

/** Whether a first line is Excel's `sep=;`, which the parser may have split at that semicolon. @throws ERR_VALUE for another delimiter */
function isDelimiterLine({ cells, line }: CsvRecord, { name, delimiter }: CsvSource): boolean {
  const [first = '', ...others] = cells;
  const stated = /^sep=(.?)$/is.exec(first)?.[1];
  if (stated === undefined || others.some((cell) => cell !== '')) return false;
  if (stated === '' || stated === delimiter) return true;
  throw new SoftgradError(
    'ERR_VALUE',
    `${name}: line ${line} says that cells are separated by ${quote(stated)}; expected a comma, a semicolon, a tab or a blank`,
  );
}

function refuseCell(cell: string, place: string, column: number, advice: string): never {
  if (isEllipsis(cell)) throw new SoftgradError('ERR_VALUE', `${place}: ${printWhole}`);
  if (cell === '') {
    const missing = `${place}, column ${column + 1} is empty; expected a number (write nan for a missing value)`;
    throw new SoftgradError('ERR_VALUE', `${missing}${advice}`);
  }
  throw new SoftgradError(
    'ERR_VALUE',
    `${place}, column ${column + 1} is ${quote(cell)}; expected ${expectedInstead(cell)}${advice}`,
  );
}

function countOf(count: number): string {
  return count === 1 ? '1 cell' : `${count} cells`;
}

/**
 * The rows of an array of at most two dimensions as lines, in pieces of bounded length; a vector is written as a column. Reading a number gives the
 * same one; those that are not finite are written as nan, inf and -inf.
 *
 * @throws ERR_DISPOSED if the memory of the data was detached
 * @example
 * const lines = csvLines({ shape: [2, 2], data: Float64Array.of(1, 2.5, 3, Number.NaN) }, ',');
 * [...lines].join(''); // '1,2.5\n3,nan\n'
 */
export function* csvLines(array: FileArray, delimiter: ',' | '\t'): Generator<string> {
  checkAttached('csvLines', array.data);
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

/** The largest number of numbers that are joined to one text. */
const pieceLength = 8192;

function csvNumber(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  return Object.is(value, -0) ? '-0' : String(value);
}
