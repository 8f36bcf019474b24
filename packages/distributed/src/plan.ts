import { describeOption, type FloatDType, SoftgradError, sizeOf } from '@softgrad/core';
import { formatShape, npyArray } from '@softgrad/formats';
import { blockReader, matrixOf, type Numbers, namesOf } from './block.js';
import { mapInLanes } from './lanes.js';
import { type Input, type InputFile, longestPath, type Operation, type Plan, planSchema } from './schema.js';
import { directed } from './shards.js';
import { compensatedSum } from './statistics.js';
import type { Store } from './store.js';
import { version } from './version.js';

/** What to compute, as the user specifies it. Files are paths or patterns like `logits/*.npy`, relative to the store. */
export interface RunOptions {
  readonly operation: Operation;
  readonly logits: readonly string[];
  /** The upstream gradient of vjp or the tangent of jvp, with the shape of the logits. */
  readonly direction?: readonly string[] | undefined;
  /** 0 where an entry is masked: with the shape of the logits, or of one row. */
  readonly mask?: readonly string[] | undefined;
  /** For cross-entropy: class indices, one for each row, or probabilities with the shape of the logits. */
  readonly target?: readonly string[] | undefined;
  /** The folder of the results, in the store. */
  readonly out: string;
  /** Split by classes instead of rows, for rows that are larger than memory. */
  readonly shardClasses?: boolean | undefined;
  /** Default −1. */
  readonly axis?: number | undefined;
  readonly temperature?: number | undefined;
  /** The dtype of the results; default: that of the logits, float64 for integers. */
  readonly dtype?: FloatDType | undefined;
  readonly reduction?: 'mean' | 'sum' | 'none' | undefined;
  readonly ignoreIndex?: number | undefined;
  /** For cross-entropy: a weight for each class. */
  readonly weight?: readonly string[] | undefined;
  /** ε of cross-entropy, from 0 to 1: the target becomes (1 − ε) target + ε/K over the K classes. */
  readonly labelSmoothing?: number | undefined;
  /** False to compute only the loss. */
  readonly gradient?: boolean | undefined;
  readonly backend: string;
  /** The largest number of bytes of logits in a shard. Default 64 MB. */
  readonly shardBytes?: number | undefined;
}

export const defaultShardBytes = 64e6;

/** Rows of a file are read in pieces of at least this many classes, so that a disk spends more time reading than seeking. */
const leastClasses = 65_536;
/** Smaller shards have at most this many rows, so that classes are split even then. */
const mostRows = 16;

/**
 * Reads the headers of the inputs and determines the shards. Nothing is written. The same call on the same files gives the same plan.
 *
 * @throws ERR_VALUE, ERR_SHAPE, ERR_DTYPE or ERR_AXIS naming the file and its error
 */
export async function createPlan(store: Store, options: RunOptions): Promise<Plan> {
  const { operation, shardClasses = false, temperature = 1, shardBytes = defaultShardBytes } = options;
  checkOptions(options);
  const out = locateOut(store, options.out);
  const place = { store, out };
  const by = shardClasses ? 'classes' : 'rows';
  const logits = await inspect(place, options.logits, by);
  const axis = checkAxis(logits, options.axis ?? -1, by);
  const direction = options.direction && (await inspect(place, options.direction, by));
  if (direction) checkShape(direction, logits.shape, 'the direction');
  const mask = options.mask && (await inspectMask(place, options.mask, logits, by));
  const target = options.target && (await inspectTarget(place, options.target, logits, axis, by));
  const {
    dtype = dtypeOf(logits),
    reduction = 'mean',
    ignoreIndex = -100,
    gradient = true,
    labelSmoothing = 0,
  } = options;
  const classes = logits.shape[axis] ?? 1;
  const weight = options.weight && (await inspectWeight(place, options.weight, classes));
  const weights = weight && (await readWeights(store, weight));
  const counted =
    target?.kind === 'probabilities'
      ? sizeOf(logits.shape) / Math.max(1, classes)
      : target && (await countTargets(store, target.input, classes, ignoreIndex, weights));
  const plan = {
    format: 'softgrad-plan/1',
    version,
    operation,
    by,
    backend: options.backend,
    options: {
      axis,
      temperature,
      dtype,
      ...(target ? { reduction, ignoreIndex, gradient, counted, target: target.kind, labelSmoothing } : {}),
    },
    inputs: {
      logits,
      ...(direction ? { direction } : {}),
      ...(mask ? { mask } : {}),
      ...(target ? { target: target.input } : {}),
      ...(weight ? { weight } : {}),
    },
    block: blockOf(logits, by, shardBytes),
    out,
  };
  return planSchema.parse(plan);
}

/** @throws ERR_VALUE for the root of the store, which has other files too */
function locateOut(store: Store, out: string): string {
  const path = store.locate(out);
  if (out !== '' && path !== '' && path.length <= longestPath && !/[\\\0]/.test(path)) return path;
  throw new SoftgradError('ERR_VALUE', `${JSON.stringify(out)}: expected a folder below ${store.name} for the results`);
}

/** @throws ERR_VALUE for options that the operation does not take, or for missing ones */
function checkOptions({
  operation,
  direction,
  target,
  axis = -1,
  temperature = 1,
  shardBytes = 1,
  reduction,
  gradient,
  weight,
  labelSmoothing,
}: RunOptions): void {
  const refuse = (what: string): never => {
    throw new SoftgradError('ERR_VALUE', what);
  };
  if (directed.has(operation) !== (direction !== undefined)) {
    refuse(
      `${operation} ${direction ? 'takes no' : 'needs a'} direction (${operation === 'jvp' ? 'tangent' : 'upstream gradient'})`,
    );
  }
  if ((operation === 'cross-entropy') !== (target !== undefined)) {
    refuse(`${operation} ${target ? 'takes no' : 'needs a'} target`);
  }
  const ofLoss = { reduction, gradient, weight, 'label smoothing': labelSmoothing };
  const [given] = Object.entries(ofLoss).filter(([, value]) => value !== undefined);
  if (operation !== 'cross-entropy' && given) {
    refuse(`${operation} has no loss; ${given[0]} is an option of cross-entropy`);
  }
  if (
    labelSmoothing !== undefined &&
    !(Number.isFinite(labelSmoothing) && labelSmoothing >= 0 && labelSmoothing <= 1)
  ) {
    refuse(`${describeOption('label smoothing', labelSmoothing)}; expected a number from 0 to 1`);
  }
  if (!(temperature > 0 && Number.isFinite(temperature)))
    refuse(`${describeOption('temperature', temperature)}; expected a finite number above 0`);
  if (typeof shardBytes !== 'number' || !(shardBytes >= 1))
    refuse(`${describeOption('shardBytes', shardBytes)}; expected at least 1`);
  if (typeof axis !== 'number') refuse(`${describeOption('axis', axis)}; expected an integer`);
}

/** Where the inputs are, and the folder of the results, in which they are not. */
interface Place {
  readonly store: Store;
  readonly out: string;
}

/** The array in consecutive files. @throws ERR_VALUE if there are none, ERR_SHAPE if their shapes do not fit */
async function inspect(place: Place, patterns: readonly string[], by: Input['by']): Promise<Input> {
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
    if (found.length === 0)
      throw new SoftgradError('ERR_VALUE', `${pattern}: no such file in ${store.name}; expected .npy files`);
    paths.push(...found.toSorted(byNumber.compare));
  }
  const known = new Set<string>();
  const twice = paths.find((path) => known.size === known.add(path).size);
  if (twice !== undefined) throw new SoftgradError('ERR_VALUE', `${twice}: named twice`);
  return paths;
}

/** Sorts part-2 before part-10. */
const byNumber = new Intl.Collator('en', { numeric: true });

async function inspectFile(store: Store, path: string): Promise<InputFile> {
  const found = await store.stat(path);
  const byteLength = found?.byteLength ?? 0;
  if (!/\.npy$/i.test(path))
    throw new SoftgradError('ERR_VALUE', `${path}: expected a .npy file, which can be read in parts`);
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

/** @throws ERR_AXIS, ERR_SHAPE unless rows or classes can be split for this axis */
function checkAxis({ shape, files }: Input, axis: number, by: Input['by']): number {
  const rank = shape.length;
  const name = namesOf(files);
  if (rank === 0) {
    throw new SoftgradError('ERR_SHAPE', `${name}: a single number, of shape (); expected at least one dimension`);
  }
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new SoftgradError(
      'ERR_AXIS',
      `${name}: axis ${axis} of an array of shape ${formatShape(shape)}; expected ${-rank} to ${rank - 1}`,
    );
  }
  const resolved = axis < 0 ? axis + rank : axis;
  if (by === 'classes' && (rank > 2 || resolved !== rank - 1)) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `${name}: shape ${formatShape(shape)}, axis ${axis}; expected one or two dimensions, the classes last, to split them; in NumPy: np.moveaxis(x, ${axis}, -1).reshape(-1, ${shape[resolved]})`,
    );
  }
  if (by === 'rows' && resolved === 0) {
    throw new SoftgradError(
      'ERR_AXIS',
      `${name}: axis 0 of shape ${formatShape(shape)} needs all rows at once, so rows cannot be split; expected the classes in the last dimension, split by classes (--shard-classes), or another axis`,
    );
  }
  return resolved;
}

function checkShape({ shape, files }: Input, expected: readonly number[], what: string): void {
  if (shape.join() === expected.join()) return;
  throw new SoftgradError(
    'ERR_SHAPE',
    `${namesOf(files)}: ${what} has shape ${formatShape(shape)}; expected ${formatShape(expected)}`,
  );
}

async function inspectMask(place: Place, patterns: readonly string[], logits: Input, by: Input['by']): Promise<Input> {
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
async function inspectTarget(
  place: Place,
  patterns: readonly string[],
  logits: Input,
  axis: number,
  by: Input['by'],
): Promise<Target> {
  const [path = ''] = await expand(place, patterns);
  const { shape } = await inspectFile(place.store, path);
  const expected = logits.shape.filter((_, k) => k !== axis);
  const single = expected.length === 0 && sizeOf(shape) === 1;
  if (shape.length !== logits.shape.length || single) {
    const input = await inspect(place, patterns, 'rows');
    if (!single) checkShape(input, expected, 'the target');
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

async function inspectWeight(place: Place, patterns: readonly string[], classes: number): Promise<Input> {
  const weight = await inspect(place, patterns, 'classes');
  checkShape(weight, [classes], 'the weight');
  return weight;
}

/** @throws ERR_VALUE for a weight that is not finite */
async function readWeights(store: Store, weight: Input): Promise<Numbers> {
  const reader = blockReader(store, weight);
  const weights = await reader.read({ rows: [0, 1], columns: [0, reader.columns] });
  const wrong = weights.findIndex((value) => !Number.isFinite(value));
  if (wrong < 0) return weights;
  throw new SoftgradError(
    'ERR_VALUE',
    `${namesOf(weight.files)}: the weight of class ${wrong} is ${weights[wrong]}; expected a finite number`,
  );
}

/** The divisor of the mean: the number of rows that are not ignored, or the sum of the weights of their classes. @throws ERR_VALUE for an invalid class, naming its position */
async function countTargets(
  store: Store,
  target: Input,
  classes: number,
  ignoreIndex: number,
  weights: Numbers | undefined,
): Promise<number> {
  const reader = blockReader(store, target);
  const step = Math.max(1, Math.floor(1e6 / Math.max(1, reader.columns)));
  const counted = compensatedSum();
  for (let start = 0; start < reader.rows; start += step) {
    const end = Math.min(reader.rows, start + step);
    const labels = await reader.read({ rows: [start, end], columns: [0, reader.columns] });
    for (const [at, label] of labels.entries()) {
      if (label === ignoreIndex) continue;
      if (!Number.isInteger(label) || label < 0 || label >= classes) {
        throw new SoftgradError(
          'ERR_VALUE',
          `${target.files.map(({ path }) => path).join(', ')}: the target of row ${start * reader.columns + at} is ${label}; expected a class index from 0 to ${classes - 1}, or ${ignoreIndex} to ignore the row`,
        );
      }
      counted.add(weights?.[label] ?? 1);
    }
  }
  return counted.value();
}

function dtypeOf({ files }: Input): FloatDType {
  const dtypes = files.map(({ dtype }) => dtype);
  if (dtypes.every((dtype) => dtype === 'float16')) return 'float16';
  return dtypes.every((dtype) => dtype === 'float32' || dtype === 'float16') ? 'float32' : 'float64';
}

function blockOf(logits: Input, by: Input['by'], shardBytes: number): Plan['block'] {
  const [rows, columns] = matrixOf(logits);
  const bytes = logits.files.some(({ dtype }) => dtype === 'float64') ? 8 : 4;
  const elements = Math.max(1, Math.floor(shardBytes / bytes));
  if (by === 'rows') {
    return { rows: Math.max(1, Math.floor(elements / Math.max(1, columns))), classes: Math.max(1, columns) };
  }
  const least = Math.min(leastClasses, Math.ceil(elements / mostRows));
  const classes = Math.min(Math.max(1, columns), Math.max(least, Math.floor(elements / Math.max(1, rows))));
  return { rows: Math.max(1, Math.floor(elements / classes)), classes };
}
