import type { FileArray } from './array.js';
import { type CsvRecord, csvRows } from './csv.js';
import { type Delimiter, detectDelimiter } from './delimiter.js';
import { decodeText, jsonArray, parseJson, readJson } from './json.js';
import { isPrinted, parsePrinted } from './printed.js';
import { readAll } from './row-reader.js';

/** What `parseText` reads, for messages. */
const expected = 'nested lists (JSON), an array as NumPy prints it, or rows of numbers';

/**
 * Reads an array from a text of whatever origin: JSON, an array as NumPy or PyTorch print it, or a table whose cells are
 * separated by commas, tabs, semicolons or blanks.
 *
 * @throws ERR_VALUE, ERR_SHAPE naming the line
 */
export async function parseText(bytes: Uint8Array, name: string, limit: number): Promise<FileArray> {
  const text = decodeText(bytes, name);
  if (/^\s*\{/.test(text)) return parseJson(bytes, name);
  const json = /^\s*["[]/.test(text) ? readJson(text) : null;
  if (json) return jsonArray(json.root, name);
  if (isPrinted(text)) return parsePrinted(text, name);
  const delimiter = detectDelimiter(text, text.includes('\t') ? '\t' : ',');
  const source = { name, delimiter, byteLength: null, expected, records: cut(text, delimiter) };
  const reader = await csvRows({ ...source, position: () => 0, close: async () => {} });
  return readAll(reader, limit, 'give some of its rows');
}

/** Cells of numbers need no quotes; those around them are taken off. Lines that `np.savetxt` marks with # are comments. */
async function* cut(text: string, delimiter: Delimiter): AsyncGenerator<CsvRecord> {
  let line = 0;
  for (const written of text.split(/\r\n|\n|\r/)) {
    line++;
    if (/^\s*(?:#|$)/.test(written)) continue;
    const cells = written.split(delimiter === ' ' ? /\s+/ : delimiter);
    yield {
      line,
      cells: cells.map((cell) =>
        cell
          .trim()
          .replace(/^"(.*)"$/, '$1')
          .trim(),
      ),
    };
  }
}
