/** The entry of an array at an index. @throws RangeError if the index is out of range */
export function entry<T>(values: ArrayLike<T>, at: number): T {
  const value = values[at];
  if (value === undefined) throw new RangeError(`${values.length} entries have no entry ${at}`);
  return value;
}
