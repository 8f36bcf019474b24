// One function for each type of array: V8 reads fast only where a place has seen few types.

/** The number at an index that is known to be within the array. */
export function at(values: Float64Array, k: number): number {
  return values[k] ?? Number.NaN;
}

/** True where a flag of 0 or 1 is set, at an index that is known to be within the array. */
export function isSet(flags: Uint8Array, k: number): boolean {
  return flags[k] === 1;
}

/** The size of a dimension that is known to exist. */
export function sizeAt(shape: readonly number[], d: number): number {
  return shape[d] ?? Number.NaN;
}
