import { extname } from 'node:path';
import { type DType, SoftgradError } from '@softgrad/core';
import {
  csvLines,
  type FileArray,
  formatBytes,
  jsonRows,
  type NpyDescr,
  npyElements,
  npyHeader,
  npzBytes,
} from '@softgrad/formats';
import type { OutputStream } from '../context.js';
import { fileOutput, type Output, standardOutput } from './output.js';

/** The formats for writing. */
export type OutputFormat = 'npy' | 'npz' | 'json' | 'csv' | 'tsv';

/** An array written from its first row to its last. */
export interface RowWriter {
  /** Reports how much of the rows is written, from 0 to 1, while a long text is written. */
  write(rows: FileArray, onShare?: (share: number) => void): Promise<void>;
  finish(): Promise<void>;
  /** The bytes that `finish` assembles in one step. */
  held?(): number;
  abort(): Promise<void>;
}

/**
 * The format for a file's ending.
 *
 * @throws ERR_VALUE for an unknown ending
 */
export function outputFormat(path: string): OutputFormat {
  const ending = extname(path).toLowerCase().slice(1);
  if (ending === 'npy' || ending === 'npz' || ending === 'json' || ending === 'csv' || ending === 'tsv') return ending;
  const hint = /^-$|^\/dev\//.test(path)
    ? '; without --out, the result is JSON on standard output; for another format there, write a file first: --out result.npy && cat result.npy'
    : '';
  throw new SoftgradError(
    'ERR_VALUE',
    `--out ${path || "''"}: unknown ending; expected .npy, .npz, .json, .csv or .tsv${hint}`,
  );
}

/**
 * Starts the output of one array of known rank.
 *
 * @throws ERR_SHAPE if the format cannot hold that many dimensions
 */
export async function openWriter(
  path: string | undefined,
  rank: number,
  dtype: DType,
  stdout: OutputStream,
): Promise<RowWriter> {
  const format = path === undefined ? 'json' : outputFormat(path);
  if ((format === 'csv' || format === 'tsv') && rank > 2) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `--out ${path}: .${format} holds at most two dimensions, but the result has ${rank}; expected .npy, .npz or .json`,
    );
  }
  const output = path === undefined ? standardOutput(stdout) : await fileOutput(path);
  const body = bodies[format](output, rank, dtype, path);
  return {
    ...body,
    async finish() {
      await body.finish();
      await output.commit();
    },
    abort: () => output.abort(),
  };
}

/** An archive is assembled in memory. */
const largestArchive = 2 ** 31;

type Body = Omit<RowWriter, 'abort'>;

const bodies: Readonly<
  Record<OutputFormat, (output: Output, rank: number, dtype: DType, path: string | undefined) => Body>
> = {
  npy(output, _rank, dtype) {
    const descr = descrs[dtype];
    let shape: readonly number[] | null = null;
    return {
      async write(rows) {
        if (shape === null) await output.write(npyHeader(descr, rows.shape));
        shape = shape === null ? rows.shape : inSequence(shape, rows.shape);
        await output.write(npyElements(rows.data, descr));
      },
      async finish() {
        // The number of rows is known only now; the header has space for it.
        if (shape !== null) await output.writeAt(npyHeader(descr, shape), 0);
      },
    };
  },
  npz(output, _rank, dtype, path) {
    const chunks: FileArray[] = [];
    let bytes = 0;
    return {
      async write(rows) {
        bytes += rows.data.byteLength;
        if (bytes > largestArchive) {
          throw new SoftgradError(
            'ERR_OUT_OF_MEMORY',
            `--out ${path}: the result is larger than ${formatBytes(largestArchive)}, the limit for writing a .npz; expected .npy`,
          );
        }
        chunks.push(rows);
      },
      held: () => bytes,
      async finish() {
        await output.write(npzBytes({ result: npyBytes(chunks, descrs[dtype]) }));
      },
    };
  },
  json(output, rank) {
    const separator = rank > 1 ? ',\n ' : ',';
    let next = rank > 0 ? '[' : '';
    return {
      async write(rows, onShare) {
        await writeText(output, next, jsonRows(rows), rows.data.length, onShare);
        next = separator;
      },
      async finish() {
        await output.write(rank > 0 ? ']\n' : '\n');
      },
    };
  },
  csv: (output) => separated(output, ','),
  tsv: (output) => separated(output, '\t'),
};

function separated(output: Output, delimiter: ',' | '\t'): Body {
  return {
    write: (rows, onShare) => writeText(output, '', csvLines(rows, delimiter), rows.data.length, onShare),
    async finish() {},
  };
}

/** Writes pieces of text together, because each write is a system call. */
async function writeText(
  output: Output,
  first: string,
  pieces: Iterable<string>,
  numbers: number,
  onShare?: (share: number) => void,
): Promise<void> {
  let text = first;
  let written = 0;
  for (const piece of pieces) {
    text += piece;
    if (text.length > 65536) {
      await output.write(text);
      written += onShare ? countSeparators(text) : 0;
      onShare?.(Math.min(1, written / numbers));
      text = '';
    }
  }
  await output.write(text);
}

/** The commas, tabs and line ends between the numbers of a text. */
function countSeparators(text: string): number {
  let count = 0;
  let before = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === comma || code === tab || (code === newline && before !== comma)) count++;
    before = code;
  }
  return count;
}

const comma = 0x2c;
const tab = 0x09;
const newline = 0x0a;

const descrs: Readonly<Record<DType, NpyDescr>> = {
  float16: '<f2',
  float32: '<f4',
  float64: '<f8',
  int32: '<i4',
  bool: '|b1',
};

function npyBytes(chunks: readonly FileArray[], descr: NpyDescr): Uint8Array {
  const shape = chunks.map((chunk) => chunk.shape).reduce(inSequence);
  return Buffer.concat([npyHeader(descr, shape), ...chunks.map((chunk) => npyElements(chunk.data, descr))]);
}

/** The shape of the rows of two arrays, of the same number of columns, after each other. */
function inSequence([before = 1]: readonly number[], [after = 1, ...columns]: readonly number[]): readonly number[] {
  return [before + after, ...columns];
}

/** Named arrays in one file: a .json object or a .npz archive. */
export async function writeNamed(
  path: string | undefined,
  arrays: Readonly<Record<string, FileArray>>,
  dtype: DType,
  stdout: OutputStream,
  onShare?: (share: number) => void,
): Promise<void> {
  const output = path === undefined ? standardOutput(stdout) : await fileOutput(path);
  try {
    if (path !== undefined && outputFormat(path) === 'npz') {
      const files = Object.entries(arrays).map(([name, array]) => [name, npyBytes([array], descrs[dtype])]);
      await output.write(npzBytes(Object.fromEntries(files)));
    } else {
      let separator = '{';
      for (const [name, array] of Object.entries(arrays)) {
        const [open, close] = array.shape.length > 0 ? ['[', ']'] : ['', ''];
        await writeText(
          output,
          `${separator}${JSON.stringify(name)}: ${open}`,
          jsonRows(array),
          array.data.length,
          onShare,
        );
        await output.write(close);
        separator = ',\n';
      }
      await output.write('}\n');
    }
    await output.commit();
  } finally {
    await output.abort();
  }
}
