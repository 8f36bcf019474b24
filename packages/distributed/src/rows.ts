import {
  type Backend,
  type CrossEntropyTarget,
  crossEntropy,
  empty,
  type FloatDType,
  isSoftgradError,
  logSoftmax,
  logSumExp,
  type MaskInput,
  SoftgradError,
  softmax,
  type Tensor,
  tensor,
} from '@softgrad/core';
import { type BlockReader, blockReader, type Numbers, namesOf, type Range } from './block.js';
import type { Input, Plan } from './schema.js';
import type { Shard } from './shards.js';
import { compensatedSum } from './statistics.js';
import type { Store } from './store.js';

/** Receives results of a shard, in the order of the rows; they may change after it resolves. Those of an array without a part are dropped. */
export type Append = (array: string, data: Float32Array | Float64Array) => Promise<void>;

/** Numbers by the name of the array that they belong to. */
export type Arrays = Readonly<Record<string, Float32Array | Float64Array>>;

/** The opened inputs of a plan. */
export interface Inputs {
  readonly logits: BlockReader;
  readonly direction: BlockReader | null;
  readonly mask: BlockReader | null;
  readonly target: BlockReader | null;
  /** One row: a weight for each class. */
  readonly weight: BlockReader | null;
}

export function openInputs(store: Store, { inputs }: Plan): Inputs {
  const open = (input: Input | undefined) => (input === undefined ? null : blockReader(store, input));
  return {
    logits: blockReader(store, inputs.logits),
    direction: open(inputs.direction),
    mask: open(inputs.mask),
    target: open(inputs.target),
    weight: open(inputs.weight),
  };
}

/** Inputs that changed while they were read would give a result of two versions. @throws ERR_VALUE naming the file */
export async function checkUnchanged(inputs: Inputs): Promise<void> {
  for (const reader of Object.values(inputs)) await reader?.checkUnchanged();
}

/**
 * A shard is computed in strips with this many bytes of logits in float64, whose results are written before the next strip is read: the memory of a
 * worker does not depend on the size of a shard. Each strip uses the memory of the one before, because the operating system takes longer to provide
 * new memory than a backend to fill it.
 */
const stripBytes = 8e6;

/**
 * Computes whole rows on a backend with the operations of core.
 *
 * @param append receives the results, strip by strip from the first row to the last
 * @returns the sum of the losses if the plan asks for their sum or mean
 */
export async function computeRows(
  plan: Plan,
  { range }: Shard,
  inputs: Inputs,
  backend: Backend,
  append: Append,
): Promise<number | undefined> {
  const { dtype, reduction } = plan.options;
  if (!backend.supports.dtypes.includes(computedIn(dtype))) {
    throw new SoftgradError(
      'ERR_DTYPE',
      `${backend.name} does not compute in ${computedIn(dtype)}; expected another --backend or --dtype`,
    );
  }
  const shared = await readShared(inputs);
  const sum = compensatedSum();
  const reduced = plan.operation === 'cross-entropy' && reduction !== 'none';
  const height = Math.max(1, Math.floor(stripBytes / (8 * inputs.logits.columns)));
  for (let start = range.rows[0]; start < range.rows[1]; start += height) {
    const rows = [start, Math.min(range.rows[1], start + height)] as const;
    await computeStrip(plan, { ...range, rows }, inputs, shared, backend, async (array, data) => {
      if (reduced && array === 'loss') for (const value of data) sum.add(value);
      else await append(array, data);
    });
  }
  return reduced ? sum.value() : undefined;
}

/** Operations count rows from the first that they are given. */
function failIn({ files }: Input, [start, end]: Range['rows'], error: unknown): never {
  if (!isSoftgradError(error)) throw error;
  throw new SoftgradError(error.code, `${namesOf(files)}: rows ${start} to ${end - 1}: ${error.message}`, {
    cause: error,
  });
}

/** What every strip uses as a whole. */
interface Shared {
  /** null if each row has its own mask. */
  readonly mask: MaskInput | null;
  readonly weight: Float64Array | null;
}

async function readShared({ mask, weight }: Inputs): Promise<Shared> {
  const whole = ({ rows, columns }: BlockReader): Range => ({ rows: [0, rows], columns: [0, columns] });
  const isShared = mask !== null && mask.input.by !== 'rows';
  return {
    mask: isShared ? { data: checkMask(await mask.read(whole(mask)), mask.input), shape: mask.input.shape } : null,
    weight: weight && Float64Array.from(await weight.read(whole(weight))),
  };
}

async function computeStrip(
  plan: Plan,
  range: Range,
  inputs: Inputs,
  shared: Shared,
  backend: Backend,
  append: Append,
): Promise<void> {
  const { options } = plan;
  const { rows } = range;
  const shape = [rows[1] - rows[0], ...plan.inputs.logits.shape.slice(1)];
  const dtype = computedIn(options.dtype);
  const upload = (reader: BlockReader) => uploadRange(reader, range, shape, dtype, backend);
  using logits = await upload(inputs.logits);
  const mask =
    shared.mask ?? (inputs.mask && { data: checkMask(await inputs.mask.read(range), inputs.mask.input), shape });
  const { axis, temperature } = options;
  const settings = { axis, temperature, mask: mask ?? undefined };
  const appendTensor = async (array: string, result: Tensor) => {
    using held = result;
    await append(array, await entriesOf(held));
  };
  switch (plan.operation) {
    case 'softmax':
      await appendTensor(plan.operation, softmax(logits, settings));
      return;
    case 'log-softmax':
      await appendTensor(plan.operation, logSoftmax(logits, settings));
      return;
    case 'log-sum-exp':
      await appendTensor(plan.operation, logSumExp(logits, settings));
      return;
    case 'vjp':
    case 'jvp': {
      if (inputs.direction === null) throw new Error(`${plan.operation} without a direction`);
      using direction = await upload(inputs.direction);
      using probabilities = softmax(logits, settings);
      // The Jacobian is symmetric, so both products are the same.
      await appendTensor(plan.operation, softmax.vjp(probabilities, direction));
      return;
    }
    case 'cross-entropy': {
      if (inputs.target === null) throw new Error('cross-entropy without a target');
      const { columns, input } = inputs.target;
      using probabilities = options.target === 'probabilities' ? await upload(inputs.target) : null;
      const target = probabilities ?? {
        // A typed array of floats would not be class indices.
        data: Array.from(await inputs.target.read({ rows, columns: [0, columns] })),
        shape: shape.filter((_, k) => k !== axis),
      };
      const { loss, gradient } = crossEntropyRows(plan, logits, target, settings.mask, shared.weight, (error) =>
        failIn(input, rows, error),
      );
      using heldGradient = gradient;
      await appendTensor('loss', loss);
      if (heldGradient === null) return;
      await append('gradient', scaled(await entriesOf(heldGradient), gradientScale(options)));
    }
  }
}

/** The tensor of a range, read into the memory of the backend if that is accessible. */
async function uploadRange(
  reader: BlockReader,
  range: Range,
  shape: readonly number[],
  dtype: FloatDType,
  backend: Backend,
): Promise<Tensor> {
  if (backend.view === undefined) return tensor(await reader.read(range), { shape, dtype, backend });
  const made = empty(shape, { dtype, backend });
  try {
    // The view remains valid while this waits, because a thread computes one shard at a time and nothing else calls its backend.
    await reader.readInto(range, made.view());
  } catch (error) {
    made.dispose();
    throw error;
  }
  return made;
}

/** The loss of each row, and its gradient unless the plan does without it. */
function crossEntropyRows(
  { options }: Plan,
  logits: Tensor,
  target: CrossEntropyTarget,
  mask: MaskInput | undefined,
  weight: Float64Array | null,
  refuse: (error: unknown) => never,
): { readonly loss: Tensor; readonly gradient: Tensor | null } {
  const { axis, temperature, ignoreIndex, labelSmoothing, gradient: wanted } = options;
  const settings = {
    axis,
    temperature,
    mask,
    ignoreIndex,
    labelSmoothing,
    weight: weight ?? undefined,
    reduction: 'none',
  } as const;
  try {
    if (wanted === false) return { loss: crossEntropy.loss(logits, target, settings), gradient: null };
    return crossEntropy(logits, target, settings);
  } catch (error) {
    return refuse(error);
  }
}

/** The entries in place, multiplied by a factor. Entries that are 0, as those of ignored rows, stay 0 even if the factor is infinite. */
function scaled(entries: Float32Array | Float64Array, scale: number): Float32Array | Float64Array {
  if (scale === 1) return entries;
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i] ?? 0;
    if (entry !== 0) entries[i] = entry * scale;
  }
  return entries;
}

/** The factor for the gradient of the sum of the losses: 0 for a mean over no weight, where rows of NaN stay NaN, and infinite where the weights cancel, as in core. */
export function gradientScale({ reduction, counted = 0, weightsCancel = false }: Plan['options']): number {
  if (reduction !== 'mean') return 1;
  if (counted !== 0) return 1 / counted;
  return weightsCancel ? Number.POSITIVE_INFINITY : 0;
}

/** float16 is computed in float32 and rounded, on every backend, so that all backends give the same result. */
function computedIn(dtype: FloatDType): FloatDType {
  return dtype === 'float16' ? 'float32' : dtype;
}

/** @throws ERR_VALUE for an entry that is neither true nor false */
export function checkMask(values: Numbers, { files }: Input): Uint8Array {
  const wrong = values.find((value) => value !== 0 && value !== 1);
  if (wrong === undefined) return Uint8Array.from(values);
  const names = files.map(({ path }) => path).join(', ');
  throw new SoftgradError(
    'ERR_VALUE',
    `${names}: the mask has ${wrong}; expected true or 1 to keep an entry, false or 0 to mask it`,
  );
}

/** The entries of a result, to be used before the next operation: in the memory of the backend if that is accessible, otherwise a copy. */
async function entriesOf(result: Tensor): Promise<Float32Array | Float64Array> {
  const data = result.backend.view === undefined ? await result.data() : result.view();
  return data instanceof Float32Array || data instanceof Float64Array ? data : Float64Array.from(data);
}
