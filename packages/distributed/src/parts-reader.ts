import { SoftgradError, sizeOf } from '@softgrad/core';
import { npyArray, type RowReader } from '@softgrad/formats';
import { readJson } from './run-folder.js';
import { type Manifest, manifestSchema } from './schema.js';
import type { Store } from './store.js';

type ArrayParts = Manifest['arrays'][string];
type ArrayPart = ArrayParts['parts'][number];

/**
 * Reads a result of a finished run as one array, row by row. The store's root is the folder of the results.
 *
 * The numbers are float32, or float64 if the results are; float16 is read as float32.
 *
 * @param entry the name of the array if the run has several, such as `gradient`
 * @throws ERR_VALUE if there is no manifest, if there are several arrays and none is named, or, from `next`, if a part is missing
 * @example
 * const reader = await partsReader(folderStore('/data/probabilities'), undefined);
 * reader.shape; // [2, 3]
 * (await reader.next(1))?.data; // [0.0900, 0.2447, 0.6652]
 */
export async function partsReader(store: Store, entry: string | undefined): Promise<RowReader> {
  const manifest = await readJson(store, 'manifest.json', manifestSchema, 'the manifest of a run');
  const names = Object.keys(manifest.arrays);
  const name = entry ?? (names.length === 1 ? names[0] : undefined);
  const array = name === undefined ? undefined : manifest.arrays[name];
  if (array === undefined) {
    const found = entry === undefined ? `${names.length} arrays` : `no array ${entry}`;
    throw new SoftgradError(
      'ERR_VALUE',
      `${store.name}: ${found}; expected one of ${names.map((each) => `:${each}`).join(', ')}`,
    );
  }
  const { shape, dtype, parts } = array;
  const rows = shape[0] ?? 1;
  const width = sizeOf(shape.slice(1));
  let at = 0;
  let started = false;
  return {
    name: `${store.name}:${name}`,
    shape,
    byteLength: parts.reduce((sum, { byteLength }) => sum + byteLength, 0),
    async next(count) {
      if (started && at >= rows) return null;
      started = true;
      const take = Math.min(count, rows - at);
      const data = dtype === 'float64' ? new Float64Array(take * width) : new Float32Array(take * width);
      for (const part of parts) await copyRows(store, array, part, at, take, data);
      at += take;
      const chunk = { shape: shape.length === 0 ? [] : [take, ...shape.slice(1)], data };
      return dtype === 'float16' ? { ...chunk, stored: dtype } : chunk;
    },
    position: () => at * width * (dtype === 'float64' ? 8 : 4),
    async close() {},
  };
}

/** Copies rows `first … first + count − 1` as far as a part has them. */
async function copyRows(
  store: Store,
  { shape }: ArrayParts,
  part: ArrayPart,
  first: number,
  count: number,
  out: Float32Array | Float64Array,
): Promise<void> {
  const width = sizeOf(shape.slice(1));
  const partWidth = sizeOf(part.shape.slice(1));
  const top = part.start[0] ?? 0;
  const start = Math.max(first, top);
  const end = Math.min(first + count, top + (part.shape[0] ?? 1));
  if (start >= end) return;
  const file = await npyArray((position, length) => store.get(part.path, position, length), part.byteLength, part.path);
  const numbers = await file.elements((start - top) * partWidth, (end - start) * partWidth);
  // Columns are split only in parts of two dimensions; the second start of others is 0.
  const left = part.start[1] ?? 0;
  for (let row = start, at = 0; row < end; row++, at += partWidth) {
    out.set(numbers.subarray(at, at + partWidth), (row - first) * width + left);
  }
}
