import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { SoftgradError } from '@softgrad/core';
import {
  type CsvRecord,
  csvParseOptions,
  csvRows,
  decodeText,
  delimiterSample,
  detectDelimiter,
  encodingOf,
  type RowReader,
  type TableOptions,
  type TextEncoding,
} from '@softgrad/formats';
import type { CsvError, Info } from 'csv-parse';

const longestLine = 2 ** 28;

interface Line {
  readonly record: readonly string[];
  readonly info: Info;
}

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
  const { CsvError: ofParser, parse } = await import('csv-parse');
  const file = createReadStream(path);
  const parser = parse({ ...csvParseOptions(delimiter), max_record_size: longestLine });
  const encoding = encodingOf(sample);
  // Errors reach the iterator below, because the pipeline destroys the parser with them.
  if (encoding === 'utf-8') pipeline(file, parser, () => {});
  else pipeline(file, decoder(encoding), parser, () => {});
  return csvRows({
    ...options,
    name: path,
    delimiter,
    byteLength,
    records: records(parser[Symbol.asyncIterator](), ofParser, path),
    position: () => file.bytesRead,
    async close() {
      file.destroy();
      parser.destroy();
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
function decoder(encoding: TextEncoding) {
  return async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
    const decoding = new TextDecoder(encoding);
    for await (const chunk of chunks) yield decoding.decode(chunk, { stream: true });
    yield decoding.decode();
  };
}

function records(lines: AsyncIterator<Line>, ofParser: typeof CsvError, path: string): AsyncIterator<CsvRecord> {
  return {
    async next() {
      try {
        const { value, done } = await lines.next();
        return done ? { value: undefined, done } : { value: { cells: value.record, line: value.info.lines } };
      } catch (error) {
        throw error instanceof ofParser ? malformed(error, path) : error;
      }
    },
  };
}

/** The parser's messages quote the file; only their titles and the line number are safe to print. */
function malformed(cause: CsvError, path: string): SoftgradError {
  const title = cause.message.replace(/:.*/s, '').toLowerCase();
  return new SoftgradError(
    'ERR_VALUE',
    `${path}: line ${cause.lines}: ${title}; expected numbers in cells, quotes in pairs`,
    { cause },
  );
}
