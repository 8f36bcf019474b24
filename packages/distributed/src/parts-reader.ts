import { SoftgradError, sizeOf } from '@softgrad/core';
import { formatShape, npyArray, type RowReader } from '@softgrad/formats';
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
 * @throws ERR_VALUE if there is no manifest, if its parts are not the whole array, if there are several arrays and none is named, or, from `next`, if
 *   a part is missing or has another shape
 * @example
 * const reader = await partsReader(folderStore('/data/probabilities'), undefined);
 * reader.shape; // [2, 3]
 * (await reader.next(1))?.data; // [0.0900, 0.2447, 0.6652]
 */
export async function partsReader(store: Store, entry: string | undefined): Promise<RowReader> {
  const manifest = await readJson(store, 'manifest.json', manifestSchema, 'the manifest of a run');
  const names = Object.keys(manifest.arrays);
  const name = entry ?? (names.length === 1 ? names[0] : undefined);
  const array = name !== undefined && Object.hasOwn(manifest.arrays, name) ? manifest.arrays[name] : undefined;
  if (array === undefined) {
    const found = entry === undefined ? `${names.length} arrays` : `no array ${entry}`;
    throw new SoftgradError(
      'ERR_VALUE',
      `${store.name}: ${found}; expected one of ${names.map((each) => `:${each}`).join(', ')}`,
    );
  }
  const { shape, dtype, parts } = array;
  checkParts(array, `manifest.json: ${name}`);
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

/** @throws ERR_VALUE unless the parts follow each other without a gap, from left to right and from top to bottom */
function checkParts({ shape, parts }: ArrayParts, what: string): void {
  const [rows = 1, ...rest] = shape;
  const width = sizeOf(rest);
  let [row, column, heightOfRow] = [0, 0, 0];
  const refuse = (found: string): never => {
    const place = shape.length === 1 ? `[${row}]` : `[${row}, ${column}]`;
    throw new SoftgradError(
      'ERR_VALUE',
      `${what} of shape ${formatShape(shape)}: ${found}; expected one at ${place}; softgrad run --resume writes the manifest again`,
    );
  };
  for (const {
    path,
    start,
    shape: [height = 1, ...lengths],
  } of parts) {
    const across = sizeOf(lengths);
    const [top = 0, left = 0, ...others] = start;
    const sameRank = start.length === shape.length && lengths.length === rest.length;
    const whole = rest.length <= 1 || lengths.every((length, axis) => length === rest[axis]);
    const fits =
      sameRank && whole && others.every((at) => at === 0) && row + height <= rows && column + across <= width;
    if (column === 0) heightOfRow = height;
    if (!fits || top !== row || left !== column || height !== heightOfRow)
      refuse(`${path} of shape ${formatShape([height, ...lengths])} at [${start.join(', ')}]`);
    column += across;
    if (column < width) continue;
    [row, column] = [row + height, 0];
  }
  if (row < rows) refuse(`${parts.length} parts end before`);
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
  if (file.fortranOrder || formatShape(file.shape) !== formatShape(part.shape)) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${part.path}: shape ${formatShape(file.shape)}${file.fortranOrder ? ' in Fortran order' : ''}; expected ${formatShape(part.shape)}, as the run wrote it`,
    );
  }
  const numbers = await file.elements((start - top) * partWidth, (end - start) * partWidth);
  // Columns are split only in parts of two dimensions; the second start of others is 0.
  const left = part.start[1] ?? 0;
  for (let row = start, at = 0; row < end; row++, at += partWidth) {
    out.set(numbers.subarray(at, at + partWidth), (row - first) * width + left);
  }
}
