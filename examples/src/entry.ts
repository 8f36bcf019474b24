/** An entry of an array. @throws RangeError where there is none */
export function entry<T>(values: ArrayLike<T>, at: number): T {
  const value = values[at];
  if (value === undefined) throw new RangeError(`${values.length} entries have no entry ${at}`);
  return value;
}
