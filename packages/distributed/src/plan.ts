import {
  checkOptions,
  describeOption,
  type FloatDType,
  namesOf as optionNamesOf,
  SoftgradError,
  sizeOf,
  withoutAxis,
} from '@softgrad/core';
import { formatShape } from '@softgrad/formats';
import { matrixOf, namesOf } from './block.js';
import { countTargets, readWeights } from './divisor.js';
import { checkShape, inspect, inspectMask, inspectTarget, inspectWeight } from './inputs.js';
import { type Input, longestPath, type Operation, type Plan, planSchema } from './schema.js';
import { checkShardCount, directed } from './shards.js';
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

const optionNames = optionNamesOf<RunOptions>({
  operation: true,
  logits: true,
  direction: true,
  mask: true,
  target: true,
  out: true,
  shardClasses: true,
  axis: true,
  temperature: true,
  dtype: true,
  reduction: true,
  ignoreIndex: true,
  weight: true,
  labelSmoothing: true,
  gradient: true,
  backend: true,
  shardBytes: true,
});

/** The largest number of bytes of logits in a shard, unless `shardBytes` is given: 64 MB. */
export const defaultShardBytes = 64e6;

/** Rows of a file are read in pieces of at least this many classes, so that a disk spends more time reading than seeking. */
const leastClasses = 65_536;
/** Smaller shards have at most this many rows, so that classes are split even then. */
const mostRows = 16;

/**
 * Reads the headers of the inputs and determines the shards. Nothing is written. The same call on the same files gives the same plan.
 *
 * Several files of logits are one array, along the first dimension, or along the last with `shardClasses`. Of cross-entropy, class indices and weights
 * are read too, because the divisor of the mean follows from them.
 *
 * @throws ERR_VALUE for an unknown, missing or invalid option, and for a file that is missing or no valid .npy file
 * @throws ERR_SHAPE, ERR_DTYPE or ERR_AXIS naming the file and what was expected: shapes that do not fit, dtypes that are not supported, an axis that
 *   the logits do not have or that cannot be split
 * @example
 * const store = folderStore('/data');
 * const plan = await createPlan(store, { operation: 'softmax', logits: ['logits.npy'], out: 'probabilities', backend: 'cpu' });
 * plan.inputs.logits.shape; // [2, 3]
 * plan.options; // { axis: 1, temperature: 1, dtype: 'float32' }
 */
export async function createPlan(store: Store, options: RunOptions): Promise<Plan> {
  const { operation, shardClasses = false, temperature = 1, shardBytes = defaultShardBytes } = options;
  checkOptions('createPlan', options, optionNames);
  checkOperation(options);
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
  if (target?.kind === 'probabilities' && ignoreIndex >= 0) {
    throw new SoftgradError(
      'ERR_VALUE',
      `ignoreIndex ${ignoreIndex} with probabilities as the target; it ignores rows by their class index: expected class indices, or no ignoreIndex`,
    );
  }
  const classes = logits.shape[axis] ?? 1;
  const weight = options.weight && (await inspectWeight(place, options.weight, classes));
  const weights = weight && (await readWeights(store, weight));
  const divisor =
    target?.kind === 'probabilities'
      ? { counted: sizeOf(withoutAxis(logits.shape, axis)), weightsCancel: false }
      : target && (await countTargets(store, target.input, classes, ignoreIndex, weights));
  const block = blockOf(logits, by, shardBytes);
  checkShardCount({ inputs: { logits }, by, block }, `${namesOf(logits.files)}, with ${shardBytes} bytes in a shard`);
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
      ...(target
        ? { reduction, ignoreIndex, gradient, counted: divisor?.counted, target: target.kind, labelSmoothing }
        : {}),
      ...(divisor?.weightsCancel ? { weightsCancel: true } : {}),
    },
    inputs: {
      logits,
      ...(direction ? { direction } : {}),
      ...(mask ? { mask } : {}),
      ...(target ? { target: target.input } : {}),
      ...(weight ? { weight } : {}),
    },
    block,
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
function checkOperation({
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
  ignoreIndex,
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
  const ofLoss = { reduction, gradient, weight, ignoreIndex, 'label smoothing': labelSmoothing };
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
