import { SoftgradError } from '@softgrad/core';
import { type FileArray, formatPosition, sizeOf } from './array.js';

/** An array read from its first row to its last, so that it does not have to fit into memory. A row is the slice at one index of the first dimension. */
export interface RowReader {
  /** The name in error messages: the file's path. */
  readonly name: string;
  /** `shape[0]` is null if it is not known before the end is read. An array of rank 0 is read in one chunk. */
  readonly shape: readonly (number | null)[];
  /** Bytes on disk, for the progress bar; null if there is no file. */
  readonly byteLength: number | null;
  /** Up to `count` more rows, or null after the last. An array without rows gives one empty chunk, from which its dtype is known. */
  next(count: number): Promise<FileArray | null>;
  /** Bytes of the file consumed so far. */
  position(): number;
  /** Only for tables: the line, from 1, of a row that has been read, from 0. */
  readonly lineOf?: ((row: number) => number) | undefined;
  close(): Promise<void>;
}

/**
 * Where element `index` of the flat data of an array of this shape is: the line and column of a table, from 1, otherwise its index in the array,
 * from 0.
 *
 * @example
 * placeOf({}, 4, [2, 3]); // '[1, 1]'
 * placeOf({ lineOf: (row) => row + 2 }, 4, [2, 3]); // 'line 3, column 2'
 */
export function placeOf({ lineOf }: Pick<RowReader, 'lineOf'>, index: number, shape: readonly number[]): string {
  if (lineOf === undefined) return formatPosition(index, shape);
  const columns = sizeOf(shape.slice(1));
  return `line ${lineOf(Math.floor(index / columns))}, column ${(index % columns) + 1}`;
}

/** Is told how much of a text or an archive has been read, from 0 to 1. Reading is synchronous in between. */
export type OnShare = (share: number) => void;

/**
 * Reads an array that is in memory. The chunks are views of it, not copies.
 *
 * @param name for messages
 * @example
 * const reader = arrayRows({ shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }, 'logits');
 * (await reader.next(1))?.data; // [1, 2]
 * (await reader.next(5))?.shape; // [1, 2]
 * await reader.next(1); // null
 */
export function arrayRows(array: FileArray, name: string): RowReader {
  const rows = array.shape[0] ?? 1;
  const rest = array.shape.slice(1);
  const rowSize = sizeOf(rest);
  let at = 0;
  let started = false;
  return {
    name,
    shape: array.shape,
    byteLength: null,
    async next(count) {
      if (started && at >= rows) return null;
      started = true;
      const end = Math.min(rows, at + count);
      const data = array.data.subarray(at * rowSize, end * rowSize);
      const shape = array.shape.length === 0 ? [] : [end - at, ...rest];
      at = end;
      return { ...array, shape, data };
    },
    position: () => 0,
    async close() {},
  };
}

/** The memory for processing an array: as read, as a tensor, as a result and as written, each in float64. */
function bytesFor(elements: number): number {
  return elements * 8 * 4;
}

/**
 * All rows of a reader as one array; the reader stays open. If their number is known, the array has the reader's dtype, otherwise float64.
 *
 * @param limit in bytes; an element counts as 32, because processing an array takes four copies of it in float64
 * @param advice what to do if there are more, for the message
 * @throws ERR_OUT_OF_MEMORY as soon as it is certain that they take more than `limit` bytes
 * @throws whatever `next` of the reader throws
 * @example
 * const reader = arrayRows({ shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }, 'logits');
 * (await readAll(reader, 1e9, 'pass fewer rows')).data; // [1, 2, 3, 4]
 */
export async function readAll(reader: RowReader, limit: number, advice: string): Promise<FileArray> {
  // A scalar is one row without a dimension for the rows.
  const first = reader.shape.length === 0 ? 1 : reader.shape[0];
  const rowSize = sizeOf(reader.shape.slice(1).map((length) => length ?? 0));
  const refuse = (): never => {
    throw new SoftgradError('ERR_OUT_OF_MEMORY', `${reader.name}: too large to fit into memory; ${advice}`);
  };
  if (typeof first === 'number') {
    if (bytesFor(first * rowSize) > limit) refuse();
    const all = await reader.next(Math.max(first, 1));
    if (all) return all;
  }
  const chunks: FileArray[] = [];
  let rows = 0;
  for (let chunk = await reader.next(4096); chunk; chunk = await reader.next(4096)) {
    const [count = 1] = chunk.shape;
    chunks.push(chunk);
    rows += count;
    if (bytesFor(rows * rowSize) > limit) refuse();
  }
  const data = new Float64Array(rows * rowSize);
  let at = 0;
  for (const chunk of chunks) {
    data.set(chunk.data, at);
    at += chunk.data.length;
  }
  return {
    shape: [rows, ...reader.shape.slice(1).map((length) => length ?? 0)],
    data,
  };
}
