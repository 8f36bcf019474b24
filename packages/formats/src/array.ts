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

/** The number of elements of a shape; 1 for a scalar. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** A shape as Python writes it: `(4, 3)`, `(3,)`, `()`; `(rows, 3)` if the rows have not been counted yet. */
export function formatShape(shape: readonly (number | null)[]): string {
  const lengths = shape.map((length) => length ?? 'rows');
  return lengths.length === 1 ? `(${lengths[0]},)` : `(${lengths.join(', ')})`;
}

/** The index in the array of element `index` of the flat data: `[2, 0, 1]`. */
export function formatPosition(index: number, shape: readonly number[]): string {
  const position: number[] = [];
  let rest = index;
  for (const length of [...shape].reverse()) {
    position.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  return `[${position.join(', ')}]`;
}

/** Bytes in a readable unit: `8 TB`, `25.6 MB`, `96 bytes`. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${Number((bytes / 1000 ** power).toPrecision(3))} ${units[power]}`;
}
