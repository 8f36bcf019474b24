/** How many files are looked at at once: enough to hide the latency of a shared file system or of object storage. */
const looks = 32;

/**
 * Calls `make` for every item, at most `width` at a time. The results are in the order of the items.
 *
 * @throws the first error; no further items are started then
 */
export async function mapInLanes<T, R>(
  items: Iterable<T>,
  make: (item: T) => Promise<R>,
  width = looks,
): Promise<readonly R[]> {
  const results: R[] = [];
  const waiting = [...items].entries();
  let failed = false;
  const lane = async () => {
    for (const [at, item] of waiting) {
      if (failed) return;
      try {
        results[at] = await make(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  return results;
}
