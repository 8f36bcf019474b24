import { SoftgradError, sizeOf } from '@softgrad/core';
import { type NpyArray, npyArray } from '@softgrad/formats';
import type { Input, InputFile } from './schema.js';
import type { Store } from './store.js';

/** Numbers of an array as they are read. */
export type Numbers = Float32Array | Float64Array | Int32Array | Uint8Array;

/** A range of rows and of columns of an array regarded as a matrix; the ends are exclusive. */
export interface Range {
  readonly rows: readonly [start: number, end: number];
  readonly columns: readonly [start: number, end: number];
}

/** One array in one or more files, of which any block can be read. */
export interface BlockReader {
  readonly input: Input;
  /** The array as the matrix that `matrixOf` defines. */
  readonly rows: number;
  readonly columns: number;
  /** The numbers of a block, row by row. @throws ERR_VALUE naming the file and its error */
  read(range: Range): Promise<Numbers>;
}

/** @throws ERR_VALUE for a file that has changed since the run was planned */
export function blockReader(store: Store, input: Input): BlockReader {
  const placed = placeFiles(input);
  const opened = new Map<string, Promise<NpyArray>>();
  const open = (file: InputFile) => {
    const known = opened.get(file.path) ?? openPlanned(store, file);
    opened.set(file.path, known);
    return known;
  };
  const [rows, columns] = matrixOf(input);
  return {
    input,
    rows,
    columns,
    async read(range) {
      const pieces = placed
        .map((piece) => ({ ...piece, common: intersect(range, piece.range) }))
        .filter((piece) => sizeOfRange(piece.common) > 0);
      const [first] = pieces;
      if (first && sizeOfRange(first.common) === sizeOfRange(range)) {
        return readPiece(await open(first.file), first.range, first.common);
      }
      const out = allocate(input, sizeOfRange(range));
      const width = range.columns[1] - range.columns[0];
      for (const { file, range: whole, common } of pieces) {
        const numbers = await readPiece(await open(file), whole, common);
        const columns = common.columns[1] - common.columns[0];
        for (let row = common.rows[0], at = 0; row < common.rows[1]; row++, at += columns) {
          const to = (row - range.rows[0]) * width + common.columns[0] - range.columns[0];
          out.set(numbers.subarray(at, at + columns), to);
        }
      }
      return out;
    },
  };
}

/** The matrix for an array of a plan. Split by rows: its first dimension by all others. Split by classes: all others by its last. */
export function matrixOf({ shape, by }: Pick<Input, 'shape' | 'by'>): readonly [rows: number, columns: number] {
  if (by === 'classes') return [sizeOf(shape.slice(0, -1)), shape.at(-1) ?? 1];
  return [shape[0] ?? 1, sizeOf(shape.slice(1))];
}

/** An array in messages, named by its first file. */
export function namesOf([first, ...others]: Input['files']): string {
  return others.length > 0 ? `${first?.path} and ${others.length} more` : `${first?.path}`;
}

/** Every file with the range of the matrix that it contains. */
function placeFiles(input: Input): readonly { readonly file: InputFile; readonly range: Range }[] {
  const [rows, columns] = matrixOf(input);
  let at = 0;
  return input.files.map((file) => {
    const [height, width] = matrixOf({ shape: file.shape, by: input.by });
    const start = at;
    at += input.by === 'rows' ? height : width;
    const range: Range =
      input.by === 'rows' ? { rows: [start, at], columns: [0, columns] } : { rows: [0, rows], columns: [start, at] };
    return { file, range };
  });
}

async function openPlanned(store: Store, file: InputFile): Promise<NpyArray> {
  const found = await store.stat(file.path);
  if (found === null)
    throw new SoftgradError('ERR_VALUE', `${file.path}: no such file; it was there when the run was planned`);
  if (found.byteLength !== file.byteLength || Math.floor(found.modified) !== file.modified) {
    const then = `${file.byteLength} bytes of ${new Date(file.modified).toISOString()}`;
    const now = `${found.byteLength} bytes of ${new Date(found.modified).toISOString()}`;
    throw new SoftgradError(
      'ERR_VALUE',
      `${file.path}: changed since the run was planned, from ${then} to ${now}; expected the file as it was, or a new run with another --out`,
    );
  }
  return npyArray((position, length) => store.get(file.path, position, length), file.byteLength, file.path);
}

/** Part of a file, which contains the range `whole` of the matrix. */
async function readPiece(array: NpyArray, whole: Range, part: Range): Promise<Numbers> {
  const fileWidth = whole.columns[1] - whole.columns[0];
  const width = part.columns[1] - part.columns[0];
  const rows = part.rows[1] - part.rows[0];
  const start = (part.rows[0] - whole.rows[0]) * fileWidth + part.columns[0] - whole.columns[0];
  if (rows === 1 || width === fileWidth) return array.elements(start, rows * width);
  const first = await array.elements(start, width);
  const out = new (first.constructor as NumbersConstructor)(rows * width);
  out.set(first);
  for (let row = 1; row < rows; row++) out.set(await array.elements(start + row * fileWidth, width), row * width);
  return out;
}

type NumbersConstructor = new (length: number) => Numbers;

/** Float32 only if no file has a wider dtype. */
function allocate({ files }: Input, length: number): Float32Array | Float64Array {
  const single = files.every(({ dtype }) => dtype === 'float32' || dtype === 'float16' || dtype === 'bool');
  return single ? new Float32Array(length) : new Float64Array(length);
}

function intersect(a: Range, b: Range): Range {
  const common = ([start, end]: Range['rows'], [from, to]: Range['rows']): Range['rows'] => {
    const first = Math.max(start, from);
    return [first, Math.max(first, Math.min(end, to))];
  };
  return { rows: common(a.rows, b.rows), columns: common(a.columns, b.columns) };
}

function sizeOfRange({ rows, columns }: Range): number {
  return (rows[1] - rows[0]) * (columns[1] - columns[0]);
}
