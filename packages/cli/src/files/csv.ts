import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { SoftgradError } from '@softgrad/core';
import {
  type CsvRecord,
  csvParseOptions,
  csvRows,
  type Delimiter,
  decodeText,
  delimiterSample,
  detectDelimiter,
  encodingOf,
  type RowReader,
  recordLines,
  type TableOptions,
  type TextEncoding,
} from '@softgrad/formats';
import type { CsvError } from 'csv-parse';

const longestLine = 2 ** 28;

/**
 * Reads a table of numbers from a file row by row. If the first line of numbers has another delimiter than the one
 * for the file's ending, that delimiter is used; lines that start with # are comments.
 *
 * @throws ERR_VALUE, ERR_SHAPE naming the line
 */
export async function openCsv(
  path: string,
  byteLength: number,
  preferred: ',' | '\t',
  options: TableOptions = {},
): Promise<RowReader> {
  const sample = await beginning(path);
  const delimiter = detectDelimiter(decodeText(sample, path), preferred, options.booleans);
  const file = createReadStream(path);
  const encoding = encodingOf(sample);
  return csvRows({
    ...options,
    name: path,
    delimiter,
    byteLength,
    records: records(encoding === 'utf-8' ? file : decoded(file, encoding), delimiter, path),
    position: () => file.bytesRead,
    async close() {
      file.destroy();
    },
  });
}

async function beginning(path: string): Promise<Uint8Array> {
  const handle = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(delimiterSample), 0, delimiterSample, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** The parser reads only UTF-8. */
async function* decoded(chunks: AsyncIterable<Uint8Array>, encoding: TextEncoding): AsyncGenerator<string> {
  const decoding = new TextDecoder(encoding);
  for await (const chunk of chunks) yield decoding.decode(chunk, { stream: true });
  yield decoding.decode();
}

/**
 * The records of each chunk, and then the error in it: the parser as a stream would drop the records before an error that are still to be read, one
 * of which may be wrong, too.
 */
async function* records(
  chunks: AsyncIterable<Uint8Array | string>,
  delimiter: Delimiter,
  path: string,
): AsyncGenerator<CsvRecord> {
  const { CsvError: ofParser, parse } = await import('csv-parse');
  const found: CsvRecord[] = [];
  const lines = recordLines();
  const parser = parse({
    ...csvParseOptions(delimiter),
    max_record_size: longestLine,
    info: false,
    on_record(cells: string[], counts) {
      found.push({ cells, line: lines.next(cells, counts) });
      return null;
    },
  });
  // They reach the callbacks below, too.
  parser.on('error', () => {});
  const refuse = (error: Error | null | undefined) => {
    if (error) throw error instanceof ofParser ? malformed(error, lines.ofFailing(error), path) : error;
  };
  for await (const chunk of chunks) {
    const error = await new Promise<Error | null | undefined>((resolve) => parser.write(chunk, resolve));
    yield* found.splice(0);
    refuse(error);
  }
  const error = await new Promise<Error | null | undefined>((resolve) => parser.end(resolve));
  yield* found;
  refuse(error);
}

/** The parser's messages quote the file; only their titles and the line number are safe to print. */
function malformed(cause: CsvError, line: number, path: string): SoftgradError {
  const title = cause.message.replace(/:.*/s, '').toLowerCase();
  return new SoftgradError('ERR_VALUE', `${path}: line ${line}: ${title}; expected numbers in cells, quotes in pairs`, {
    cause,
  });
}
