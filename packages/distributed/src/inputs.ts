import { SoftgradError, sizeOf } from '@softgrad/core';
import { adviceOnName, formatShape, npyArray } from '@softgrad/formats';
import { namesOf } from './block.js';
import { mapInLanes } from './lanes.js';
import type { Input, InputFile } from './schema.js';
import type { Store } from './store.js';

/** Where the inputs are, and the folder of the results, in which they are not. */
export interface Place {
  readonly store: Store;
  readonly out: string;
}

/** The array whose parts the files hold, in this order. @throws ERR_VALUE without files, ERR_SHAPE if a file does not continue the first one */
export async function inspect(place: Place, patterns: readonly string[], by: Input['by']): Promise<Input> {
  const paths = await expand(place, patterns);
  const files = await mapInLanes(paths, (path) => inspectFile(place.store, path));
  const [first, ...others] = files;
  if (first === undefined) throw new SoftgradError('ERR_VALUE', 'no files; expected .npy files');
  const grows = by === 'rows' ? 0 : first.shape.length - 1;
  const rest = (shape: readonly number[]) => shape.filter((_, axis) => axis !== grows);
  for (const { path, shape } of others) {
    if (shape.length !== first.shape.length || rest(shape).join() !== rest(first.shape).join()) {
      const free = first.shape.map((length, axis) => (axis === grows ? null : length));
      throw new SoftgradError(
        'ERR_SHAPE',
        `${path}: shape ${formatShape(shape)}; expected ${formatShape(free).replace('rows', by)}, to continue ${first.path} by ${by}`,
      );
    }
  }
  const total = files.reduce((sum, { shape }) => sum + (shape[grows] ?? 1), 0);
  return { shape: first.shape.map((length, axis) => (axis === grows ? total : length)), by, files };
}

/** The folder with .npy files at a path, or below it, as that of a run's results is; null if there is none. */
async function folderIn(store: Store, path: string): Promise<string | null> {
  for (const pattern of [`${path}/*.npy`, `${path}/*/*.npy`]) {
    const [inside] = await store.match(pattern);
    if (inside !== undefined) return inside.slice(0, inside.lastIndexOf('/'));
  }
  return null;
}

/**
 * The files that patterns match, in the order of the patterns and, within each pattern, of the numbers in their names. Patterns do not match results
 * of the run itself, so that the same command continues it.
 */
async function expand({ store, out }: Place, patterns: readonly string[]): Promise<readonly string[]> {
  const paths: string[] = [];
  for (const pattern of patterns) {
    const path = store.locate(pattern);
    if ((await store.stat(path)) !== null) {
      paths.push(path);
      continue;
    }
    const found = (await store.match(path)).filter((name) => !name.startsWith(`${out}/`));
    if (found.length === 0) {
      const folder = await folderIn(store, path);
      throw new SoftgradError(
        'ERR_VALUE',
        folder !== null
          ? `${pattern}: a folder; expected .npy files, such as ${folder}/*.npy`
          : `${pattern}: no such file in ${store.name}${adviceOnName(pattern)}; expected .npy files`,
      );
    }
    paths.push(...found.toSorted(byName));
  }
  const known = new Set<string>();
  const twice = paths.find((path) => known.size === known.add(path).size);
  if (twice !== undefined) throw new SoftgradError('ERR_VALUE', `${twice}: named twice`);
  return paths;
}

/** Sorts part-2 before part-10. */
const byNumber = new Intl.Collator('en', { numeric: true });

/** Names such as part-2 and part-02 are equal as numbers: without the second comparison, their order would be that in which a machine lists the folder. */
function byName(a: string, b: string): number {
  return byNumber.compare(a, b) || (a < b ? -1 : 1);
}

async function inspectFile(store: Store, path: string): Promise<InputFile> {
  const found = await store.stat(path);
  const byteLength = found?.byteLength ?? 0;
  if (!/\.npy$/i.test(path))
    throw new SoftgradError(
      'ERR_VALUE',
      `${path}: expected a .npy file, which can be read in parts, as np.save writes it; other commands of softgrad also read other formats`,
    );
  const { shape, fortranOrder, dtype } = await npyArray(
    (position, length) => store.get(path, position, length),
    byteLength,
    path,
  );
  if (fortranOrder && shape.length > 1) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${path}: in Fortran order, in which rows are not contiguous; expected C order, as np.save(file, np.ascontiguousarray(x)) writes it`,
    );
  }
  return { path, byteLength, modified: Math.floor(found?.modified ?? 0), shape: [...shape], dtype };
}

export function checkShape({ shape, files }: Input, expected: readonly number[], what: string): void {
  if (shape.join() === expected.join()) return;
  throw new SoftgradError(
    'ERR_SHAPE',
    `${namesOf(files)}: ${what} has shape ${formatShape(shape)}; expected ${formatShape(expected)}`,
  );
}

export async function inspectMask(
  place: Place,
  patterns: readonly string[],
  logits: Input,
  by: Input['by'],
): Promise<Input> {
  const mask = await inspect(place, patterns, by);
  const row = logits.shape.slice(1);
  // One mask for all rows is not split along with them.
  if (logits.shape.length > 1 && mask.shape.join() === row.join()) {
    if (by === 'rows' && mask.files.length > 1) {
      throw new SoftgradError('ERR_SHAPE', `${namesOf(mask.files)}: a mask of one row must be in one file`);
    }
    return { ...mask, by: 'classes' };
  }
  checkShape(mask, logits.shape, 'the mask');
  return mask;
}

interface Target {
  readonly kind: 'indices' | 'probabilities';
  readonly input: Input;
}

/** Probabilities if it has as many dimensions as the logits, otherwise class indices. */
export async function inspectTarget(
  place: Place,
  patterns: readonly string[],
  logits: Input,
  axis: number,
  by: Input['by'],
): Promise<Target> {
  const [path = ''] = await expand(place, patterns);
  const { shape } = await inspectFile(place.store, path);
  const expected = logits.shape.filter((_, k) => k !== axis);
  // Flat logits are one row, whose class index has no dimensions.
  if (expected.length === 0 && shape.length > 0 && sizeOf(shape) === 1 && sizeOf(logits.shape) > 1) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `${path}: the target has shape ${formatShape(shape)}; expected a class index () or probabilities ${formatShape(logits.shape)}; flat logits are one row: save them as ${formatShape([1, ...logits.shape])} for a target of shape (1,)`,
    );
  }
  if (shape.length !== logits.shape.length) {
    const input = await inspect(place, patterns, 'rows');
    checkShape(input, expected, 'the target');
    return { kind: 'indices', input };
  }
  const input = await inspect(place, patterns, by);
  if (input.shape.join() !== logits.shape.join()) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `${namesOf(input.files)}: the target has shape ${formatShape(input.shape)}; expected class indices ${formatShape(expected)} or probabilities ${formatShape(logits.shape)}`,
    );
  }
  const whole = input.files.find(({ dtype }) => !dtype.startsWith('float'));
  if (whole === undefined) return { kind: 'probabilities', input };
  throw new SoftgradError(
    'ERR_DTYPE',
    `${whole.path}: ${whole.dtype} in the shape of the logits; expected probabilities as floats, or class indices of shape ${formatShape(expected)}`,
  );
}

export async function inspectWeight(place: Place, patterns: readonly string[], classes: number): Promise<Input> {
  const weight = await inspect(place, patterns, 'classes');
  checkShape(weight, [classes], 'the weight');
  return weight;
}
