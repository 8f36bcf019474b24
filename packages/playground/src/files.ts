import { SoftgradError } from '@softgrad/core';
import {
  type CsvCounts,
  type CsvRecord,
  csvParseOptions,
  csvRows,
  decodeText,
  detectDelimiter,
  type FileArray,
  formatBytes,
  formatShape,
  openRows,
  parseText,
  type RowReader,
  readAll,
  recordLines,
} from '@softgrad/formats';

/** How many bytes the page can hold without problems. */
const memory = 2 ** 28;

/** Advice for data that is too large for a page. */
export function onCommandLine(command: string): string {
  return `use \`${command}\` on the command line, which has no such limit`;
}

/** Samples by classes, the input of the panels. */
export interface Matrix {
  readonly rows: number;
  readonly classes: number;
  readonly values: Float64Array;
}

/** The array in a file, whose format is determined by the name's ending. @throws ERR_VALUE, ERR_SHAPE, ERR_DTYPE naming the position in the file */
export async function readFile(file: File): Promise<FileArray> {
  const { name } = file;
  if (file.size > memory) {
    throw new SoftgradError(
      'ERR_OUT_OF_MEMORY',
      `${name}: ${formatBytes(file.size)}; the page accepts up to ${formatBytes(memory)}. Pass fewer rows, or ${onCommandLine('softgrad')}`,
    );
  }
  const bytes = new Uint8Array(await file.arrayBuffer());
  const rows = await openRows(
    {
      name,
      byteLength: bytes.length,
      read: async (position, length) => bytes.subarray(position, position + length),
      whole: async () => bytes,
      table: (preferred) => openCsv(decodeText(bytes, name), name, preferred),
      close: async () => {},
    },
    { memory },
  );
  return readAll(rows, memory, 'pass fewer rows');
}

/** The array in a text: JSON, an array as NumPy prints it, or a table. */
export async function readText(text: string, name = 'pasted text'): Promise<FileArray> {
  return parseText(new TextEncoder().encode(text), name, memory);
}

export async function readMatrixFile(file: File): Promise<Matrix> {
  return toMatrix(await readFile(file), file.name);
}

export async function readMatrixText(text: string): Promise<Matrix> {
  return toMatrix(await readText(text), 'pasted text');
}

/** One row if there is one dimension. @throws ERR_SHAPE */
function toMatrix({ shape, data }: FileArray, name: string): Matrix {
  const [classes = 0, rows = 1, ...others] = [...shape].reverse();
  if (others.length > 0 || shape.length === 0 || data.length === 0) {
    throw new SoftgradError('ERR_SHAPE', `${name}: shape ${formatShape(shape)}; expected (n, f), samples by classes`);
  }
  const values = Float64Array.from(data);
  const wrong = values.findIndex((x) => Number.isNaN(x) || x === Number.POSITIVE_INFINITY);
  if (wrong >= 0) {
    const place = `row ${Math.floor(wrong / classes)}, column ${wrong % classes}`;
    throw new SoftgradError(
      'ERR_VALUE',
      `${name}: ${place} is ${values[wrong]}; expected a finite number or -Infinity`,
    );
  }
  return { rows, classes, values };
}

async function openCsv(text: string, name: string, preferred: ',' | '\t'): Promise<RowReader> {
  const { CsvError, parse } = await import('csv-parse/browser/esm/sync');
  const delimiter = detectDelimiter(text, preferred);
  async function* records(): AsyncGenerator<CsvRecord> {
    const found: CsvRecord[] = [];
    const lines = recordLines();
    const on_record = (cells: string[], counts: CsvCounts) => {
      found.push({ cells, line: lines.next(cells, counts) });
      return null;
    };
    let error: unknown = null;
    try {
      parse(text, { ...csvParseOptions(delimiter), info: false, on_record });
    } catch (cause) {
      if (!(cause instanceof CsvError)) throw cause;
      error = new SoftgradError('ERR_VALUE', `${name}: line ${lines.ofFailing(cause)}: unpaired quotes`, { cause });
    }
    // The lines before the error may be wrong, too.
    yield* found;
    if (error !== null) throw error;
  }
  return csvRows({
    name,
    delimiter,
    byteLength: null,
    records: records(),
    position: () => 0,
    close: async () => {},
  });
}
