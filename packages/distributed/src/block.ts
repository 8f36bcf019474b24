import { SoftgradError, sizeOf } from '@softgrad/core';
import { type NpyArray, npyArray } from '@softgrad/formats';
import type { Input, InputFile } from './schema.js';
import type { Store, StoredObject } from './store.js';

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
  /** The same into an array, which they fill, rounded to its dtype. They are not copied on the way if they are contiguous in a file of this dtype. */
  readInto(range: Range, out: Float32Array | Float64Array): Promise<void>;
  /** @throws ERR_VALUE for a file that has been read from and is no longer the one of the plan */
  checkUnchanged(): Promise<void>;
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
  const piecesOf = (range: Range) =>
    placed
      .map((piece) => ({ ...piece, common: intersect(range, piece.range) }))
      .filter((piece) => sizeOfRange(piece.common) > 0);
  const read: BlockReader['read'] = async (range) => {
    const pieces = piecesOf(range);
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
  };
  return {
    input,
    rows,
    columns,
    read,
    async checkUnchanged() {
      const used = input.files.filter(({ path }) => opened.has(path));
      await Promise.all(used.map((file) => checkPlanned(store, file)));
    },
    async readInto(range, out) {
      const [first, ...others] = piecesOf(range);
      const start = first && others.length === 0 ? contiguousFrom(first.range, first.common) : null;
      if (first && start !== null) await (await open(first.file)).elementsInto(start, out);
      else out.set(await read(range));
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

/** @throws ERR_VALUE if the file is missing, or not the one of the plan by its size and time */
async function checkPlanned(store: Store, file: InputFile): Promise<void> {
  const found = await store.stat(file.path);
  if (found === null)
    throw new SoftgradError('ERR_VALUE', `${file.path}: no such file; it was there when the run was planned`);
  const change = changeFrom(file, found);
  if (change !== null)
    throw new SoftgradError(
      'ERR_VALUE',
      `${file.path}: ${change}; expected the file as it was, or a new run with another --out`,
    );
}

/** How a file differs from that of the plan by its size and time; null if it does not. */
export function changeFrom(file: InputFile, found: StoredObject): string | null {
  if (found.byteLength === file.byteLength && Math.floor(found.modified) === file.modified) return null;
  const then = `${file.byteLength} bytes of ${new Date(file.modified).toISOString()}`;
  const now = `${found.byteLength} bytes of ${new Date(found.modified).toISOString()}`;
  return `changed since the run was planned, from ${then} to ${now}`;
}

async function openPlanned(store: Store, file: InputFile): Promise<NpyArray> {
  await checkPlanned(store, file);
  const getInto = store.getInto?.bind(store);
  return npyArray(
    (position, length) => store.get(file.path, position, length),
    file.byteLength,
    file.path,
    getInto && ((position, into) => getInto(file.path, position, into)),
  );
}

/** Part of a file, which contains the range `whole` of the matrix. */
async function readPiece(array: NpyArray, whole: Range, part: Range): Promise<Numbers> {
  const width = part.columns[1] - part.columns[0];
  const rows = part.rows[1] - part.rows[0];
  const contiguous = contiguousFrom(whole, part);
  if (contiguous !== null) return array.elements(contiguous, rows * width);
  const start = startOf(whole, part);
  const first = await array.elements(start, width);
  const out = new (first.constructor as NumbersConstructor)(rows * width);
  out.set(first);
  const fileWidth = whole.columns[1] - whole.columns[0];
  for (let row = 1; row < rows; row++) out.set(await array.elements(start + row * fileWidth, width), row * width);
  return out;
}

/** Where a part that is contiguous in its file begins; null if it is not. */
function contiguousFrom(whole: Range, part: Range): number | null {
  const isWide = part.columns[1] - part.columns[0] === whole.columns[1] - whole.columns[0];
  return isWide || part.rows[1] - part.rows[0] === 1 ? startOf(whole, part) : null;
}

/** The first element of a part in the file with the range `whole`. */
function startOf(whole: Range, part: Range): number {
  const fileWidth = whole.columns[1] - whole.columns[0];
  return (part.rows[0] - whole.rows[0]) * fileWidth + part.columns[0] - whole.columns[0];
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
