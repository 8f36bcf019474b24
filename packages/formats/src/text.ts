import { checkOptions, namesOf, SoftgradError } from '@softgrad/core';
import type { FileArray } from './array.js';
import { type CsvRecord, csvRows, type TableOptions, tableNames } from './csv.js';
import { decodeText } from './decode.js';
import { type Delimiter, detectDelimiter } from './delimiter.js';
import { jsonArray, parseJson } from './json.js';
import { readJson } from './json-syntax.js';
import { isPrinted, parsePrinted } from './printed.js';
import { arrayRows, type OnShare, type RowReader, readAll } from './row-reader.js';

/** The formats that `parseText` reads, for messages. */
const expected = 'nested lists (JSON), an array as NumPy prints it, or rows of numbers';

interface TextOptions extends TableOptions {
  readonly onShare?: OnShare | undefined;
}

const optionNames = namesOf<TextOptions>({ ...tableNames, onShare: true });

/**
 * Reads an array from a text in any of these formats: JSON, an array as NumPy or PyTorch print it, or a table whose cells are
 * separated by commas, tabs, semicolons or blanks.
 *
 * @param bytes the text in UTF-8 or UTF-16
 * @param name of the file, for messages
 * @param limit the largest number of bytes that a table may take, as for `readAll`
 * @returns the array, float64; of JSON's booleans bytes 0 and 1
 * @throws ERR_VALUE, ERR_SHAPE naming the line
 * @throws ERR_OUT_OF_MEMORY for a table that takes more than `limit` bytes
 * @throws ERR_DISPOSED for bytes that were transferred to a worker
 * @example
 * const { shape, data } = await parseText(new TextEncoder().encode('array([[1., 2.], [3., nan]])'), 'logits.txt', 1e9);
 * shape; // [2, 2]
 * data; // [1, 2, 3, NaN]
 */
export async function parseText(
  bytes: Uint8Array,
  name: string,
  limit: number,
  options: TextOptions = {},
): Promise<FileArray> {
  return (await parseLines(bytes, name, limit, checkOptions('parseText', options, optionNames))).array;
}

/**
 * The same as rows, which know their lines if the text is a table. All of it is read at once.
 *
 * @throws as `parseText`
 * @example
 * const reader = await textRows(new TextEncoder().encode('cat dog\n1 2\n3 4'), 'logits.txt', 1e9);
 * (await reader.next(5))?.data; // [1, 2, 3, 4]
 * reader.lineOf?.(0); // 2
 */
export async function textRows(
  bytes: Uint8Array,
  name: string,
  limit: number,
  options: TextOptions = {},
): Promise<RowReader> {
  checkOptions('textRows', options, optionNames);
  const { array, ...lines } = await parseLines(bytes, name, limit, options);
  return { ...arrayRows(array, name), ...lines };
}

interface Parsed extends Pick<RowReader, 'lineOf'> {
  readonly array: FileArray;
}

async function parseLines(bytes: Uint8Array, name: string, limit: number, options: TextOptions): Promise<Parsed> {
  const { booleans = false, onShare } = options;
  const text = decodeText(bytes, name);
  onShare?.(shareOfDecoding);
  if (/^\s*\{/.test(text)) return { array: parseJson(bytes, name, { onShare }) };
  const json = /^\s*["[]/.test(text) ? readJson(text) : null;
  if (json) return { array: jsonArray(json.root, name, { onShare }) };
  const rest = onShare && ((share: number) => onShare(shareOfDecoding + (1 - shareOfDecoding) * share));
  if (isPrinted(text)) return { array: parsePrinted(text, name, booleans, rest) };
  const unread = objects.find(([pattern]) => pattern.test(text));
  if (unread) throw new SoftgradError('ERR_VALUE', `${name}: ${unread[1]}`);
  const delimiter = detectDelimiter(text, text.includes('\t') ? '\t' : ',', booleans);
  const source = { ...options, name, delimiter, byteLength: null, expected, records: cut(text, delimiter, rest) };
  const reader = await csvRows({ ...source, position: () => 0, close: async () => {} });
  const array = await readAll(reader, limit, 'pass fewer rows');
  return { array, lineOf: reader.lineOf };
}

/** What consoles print of objects instead of their numbers, and how to print those. */
const objects: readonly (readonly [pattern: RegExp, advice: string])[] = [
  [
    /^\s*Tensor\w*\s*\{/,
    'a tensor of TensorFlow.js without its numbers; expected the output of x.print(), or JSON.stringify(x.arraySync())',
  ],
  [/^\s*Promise\s*\{/, 'a promise without its numbers; expected what is printed after await'],
];

/** How much of the time of reading a text goes into its characters. */
const shareOfDecoding = 0.1;

/** Lines between two reports of progress. */
const betweenReports = 1024;

/** The lines of a table, split into cells; a quoted cell may contain the delimiter, but not an end of line. */
async function* cut(text: string, delimiter: Delimiter, onShare?: OnShare): AsyncGenerator<CsvRecord> {
  let line = 0;
  const lines = text.split(/\r\n|\n|\r/);
  for (const written of lines) {
    line++;
    if (line % betweenReports === 0) onShare?.(line / lines.length);
    if (written.trim() !== '') yield { line, cells: cellsOf(written, delimiter) };
  }
}

/** A cell up to the next delimiter outside of quotes. */
const patterns: Readonly<Record<Delimiter, RegExp>> = {
  ',': /(?:"[^"]*"|[^",]+|")*/y,
  ';': /(?:"[^"]*"|[^";]+|")*/y,
  '\t': /(?:"[^"]*"|[^"\t]+|")*/y,
  ' ': /(?:"[^"]*"|[^"\s]+|")*/y,
};

function cellsOf(line: string, delimiter: Delimiter): string[] {
  const cells: string[] = [];
  const pattern = patterns[delimiter];
  pattern.lastIndex = 0;
  for (let end = -1; end < line.length; pattern.lastIndex = end + 1) {
    const [cell = ''] = pattern.exec(line) ?? [];
    end = end + 1 + cell.length;
    cells.push(
      cell
        .trim()
        .replace(/^"([^"]*)"$/, '$1')
        .trim(),
    );
  }
  return cells;
}
