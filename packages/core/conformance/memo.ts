/** The same function with cached results: its arguments must be plain data, and its results must not be modified. */
export function memoized<A extends readonly unknown[], R>(compute: (...args: A) => R): (...args: A) => R {
  const results = new Map<string, R>();
  return (...args) => cached(results, JSON.stringify(args), () => compute(...args));
}

/** The same function of an object. Its results are cached as long as the object exists, and must not be modified. */
export function memoizedFor<K extends object, R>(compute: (key: K) => R): (key: K) => R {
  const results = new WeakMap<K, R>();
  return (key) => cached(results, key, () => compute(key));
}

interface Cache<K, R> {
  get(key: K): R | undefined;
  set(key: K, result: R): unknown;
}

function cached<K, R>(results: Cache<K, R>, key: K, compute: () => R): R {
  const known = results.get(key);
  if (known !== undefined) return known;
  const result = compute();
  results.set(key, result);
  return result;
}
