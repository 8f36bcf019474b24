/**
 * The numbers of a file: flat and row-major. float16 is read as the Float32Array of its values, integers wider than
 * int32 as a Float64Array that holds them exactly, booleans as 0 and 1.
 */
export interface FileArray {
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array | Uint8Array;
  /** Set if the file stores its numbers in half precision. */
  readonly stored?: 'float16';
}

/**
 * Bytes with their own ArrayBuffer, as `Blob` and `fetch` require. Written as the return type of `from`, because typed arrays have no type
 * parameter before TypeScript 5.7.
 */
export type OwnBytes = ReturnType<Uint8ArrayConstructor['from']>;

/**
 * The number of elements of a shape; 1 for a scalar.
 *
 * @example
 * sizeOf([4, 3]); // 12
 */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/**
 * A shape as Python writes it: `(4, 3)`, `(3,)`, `()`. A length of null, of rows that have not been counted yet, is written as `rows`.
 *
 * @example
 * formatShape([3]); // '(3,)'
 * formatShape([null, 3]); // '(rows, 3)'
 */
export function formatShape(shape: readonly (number | null)[]): string {
  const lengths = shape.map((length) => length ?? 'rows');
  return lengths.length === 1 ? `(${lengths[0]},)` : `(${lengths.join(', ')})`;
}

/**
 * The index in an array of this shape of element `index` of its flat data, which are in row-major order; both count from 0.
 *
 * @example
 * formatPosition(5, [2, 3]); // '[1, 2]'
 */
export function formatPosition(index: number, shape: readonly number[]): string {
  const position: number[] = [];
  let rest = index;
  for (const length of [...shape].reverse()) {
    position.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  return `[${position.join(', ')}]`;
}

/**
 * A number of bytes with three digits and a decimal unit: bytes, kB, MB, GB, TB, PB or EB, of which 1 kB is 1000 bytes.
 *
 * @example
 * formatBytes(25_600_000); // '25.6 MB'
 */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${Number((bytes / 1000 ** power).toPrecision(3))} ${units[power]}`;
}
