/** The element at an index that is known to be within the array. */
export function at(values: ArrayLike<number>, k: number): number {
  return values[k] ?? Number.NaN;
}
