import {
  type Backend,
  crossEntropy,
  type FloatDType,
  logSoftmax,
  logSumExp,
  type MaskInput,
  SoftgradError,
  softmax,
  type Tensor,
  tensor,
} from '@softgrad/core';
import { type BlockReader, blockReader, type Numbers } from './block.js';
import type { Input, Plan } from './schema.js';
import type { Shard } from './shards.js';
import { compensatedSum } from './statistics.js';
import type { Store } from './store.js';

/** The results of a shard: the numbers of every part, and the sum of the losses if there are any. */
export interface ShardResult {
  readonly data: Readonly<Record<string, Float32Array | Float64Array>>;
  readonly lossSum?: number;
}

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

/** Computes whole rows on a backend with the operations of core. */
export async function computeRows(plan: Plan, shard: Shard, inputs: Inputs, backend: Backend): Promise<ShardResult> {
  const { options } = plan;
  const { rows } = shard.range;
  const rest = plan.inputs.logits.shape.slice(1);
  const shape = [rows[1] - rows[0], ...rest];
  const dtype = computedIn(options.dtype);
  if (!backend.supports.dtypes.includes(dtype)) {
    throw new SoftgradError(
      'ERR_DTYPE',
      `${backend.name} does not compute in ${dtype}; expected another --backend or --dtype`,
    );
  }
  const upload = async (reader: BlockReader): Promise<Tensor> =>
    tensor(await reader.read(shard.range), { shape, dtype, backend });
  using logits = await upload(inputs.logits);
  const mask = inputs.mask === null ? undefined : await readMask(inputs.mask, shard, shape);
  const { axis, temperature } = options;
  const settings = { axis, temperature, mask };
  switch (plan.operation) {
    case 'softmax':
      return single(plan, softmax(logits, settings));
    case 'log-softmax':
      return single(plan, logSoftmax(logits, settings));
    case 'log-sum-exp':
      return single(plan, logSumExp(logits, settings));
    case 'vjp':
    case 'jvp': {
      if (inputs.direction === null) throw new Error(`${plan.operation} without a direction`);
      using direction = await upload(inputs.direction);
      using probabilities = softmax(logits, settings);
      // The Jacobian is symmetric, so both products are the same.
      return single(plan, softmax.vjp(probabilities, direction));
    }
    case 'cross-entropy': {
      if (inputs.target === null) throw new Error('cross-entropy without a target');
      using target =
        options.target === 'probabilities'
          ? await upload(inputs.target)
          : tensor(Int32Array.from(await inputs.target.read({ rows, columns: [0, inputs.target.columns] })), {
              shape: shape.filter((_, k) => k !== axis),
              dtype: 'int32',
              backend,
            });
      const weight = inputs.weight && (await inputs.weight.read({ rows: [0, 1], columns: [0, inputs.weight.columns] }));
      return crossEntropyRows(plan, logits, target, mask, weight && Float64Array.from(weight));
    }
  }
}

async function single({ operation }: Plan, result: Tensor): Promise<ShardResult> {
  using held = result;
  return { data: { [operation]: floats(await held.data()) } };
}

async function crossEntropyRows(
  { options }: Plan,
  logits: Tensor,
  target: Tensor,
  mask: MaskInput | undefined,
  weight: Float64Array | null,
): Promise<ShardResult> {
  const { axis, temperature, ignoreIndex, labelSmoothing, reduction, gradient: wanted } = options;
  const settings = {
    ...{ axis, temperature, mask, ignoreIndex, labelSmoothing, weight: weight ?? undefined },
    reduction: 'none',
  } as const;
  if (wanted === false) {
    using loss = crossEntropy.loss(logits, target, settings);
    return losses(floats(await loss.data()), reduction);
  }
  const both = crossEntropy(logits, target, settings);
  using loss = both.loss;
  using gradient = both.gradient;
  const entries = floats(await gradient.data());
  const scale = gradientScale(options);
  const result = losses(floats(await loss.data()), reduction);
  return {
    ...result,
    data: { ...result.data, gradient: scaled(entries, scale) },
  };
}

/** For a mean over no rows, non-finite values become 0 too. */
function scaled(entries: Float32Array | Float64Array, scale: number): Float32Array | Float64Array {
  if (scale === 1) return entries;
  return scale === 0 ? entries.fill(0) : entries.map((entry) => entry * scale);
}

/** The losses of rows as a result: as they are, or their sum. */
export function losses(loss: Float32Array | Float64Array, reduction: Plan['options']['reduction']): ShardResult {
  if (reduction === 'none') return { data: { loss } };
  const sum = compensatedSum();
  for (const value of loss) sum.add(value);
  return { data: {}, lossSum: sum.value() };
}

/** The factor for the gradient of the sum of the losses. */
export function gradientScale({ reduction, counted = 0 }: Plan['options']): number {
  if (reduction !== 'mean') return 1;
  return counted === 0 ? 0 : 1 / counted;
}

/** float16 is computed in float32 and rounded, on every backend, so that all backends give the same result. */
function computedIn(dtype: FloatDType): FloatDType {
  return dtype === 'float16' ? 'float32' : dtype;
}

async function readMask(reader: BlockReader, { range }: Shard, shape: readonly number[]): Promise<MaskInput> {
  const { input, rows, columns } = reader;
  const own = input.by === 'rows';
  const values = await reader.read(own ? range : { rows: [0, rows], columns: [0, columns] });
  return { data: checkMask(values, input), shape: own ? shape : input.shape };
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

function floats(data: ArrayLike<number>): Float32Array | Float64Array {
  return data instanceof Float32Array || data instanceof Float64Array ? data : Float64Array.from(data);
}
