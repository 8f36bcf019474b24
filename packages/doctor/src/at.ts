// One function for each type of array: V8 optimizes an element access only if it has seen few array types there.

/** The number at an index that is known to be in range. */
export function at(values: Float64Array, k: number): number {
  return values[k] ?? Number.NaN;
}

/** True if the flag (0 or 1) at an index is set; the index is known to be in range. */
export function isSet(flags: Uint8Array, k: number): boolean {
  return flags[k] === 1;
}

/** The size of a dimension that is known to exist. */
export function sizeAt(shape: readonly number[], d: number): number {
  return shape[d] ?? Number.NaN;
}
