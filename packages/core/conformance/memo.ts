/** The same function with cached results: its arguments must be plain data, and its results must not be modified. */
export function memoized<A extends readonly unknown[], R>(compute: (...args: A) => R): (...args: A) => R {
  const results = new Map<string, R>();
  return (...args) => {
    const key = JSON.stringify(args);
    const known = results.get(key);
    if (known !== undefined) return known;
    const result = compute(...args);
    results.set(key, result);
    return result;
  };
}
