import { SoftgradError } from '@softgrad/core';
import { type Numbers, namesOf } from './block.js';
import {
  type ApplyPart,
  crossEntropyPart,
  logSoftmaxPart,
  logSumExpOf,
  lossOf,
  softmaxPart,
  vjpPart,
  weightedCrossEntropyPart,
  weightedLossOf,
} from './from-statistics.js';
import { type Arrays, checkMask, gradientScale, type Inputs } from './rows.js';
import type { Plan } from './schema.js';
import type { Shard } from './shards.js';
import {
  compensatedSum,
  leaf,
  putStatistics,
  type RowPart,
  type Statistics,
  statisticsColumns,
  type WeightedTarget,
  weightedColumns,
} from './statistics.js';

/** A block of logits with the other inputs for it, row by row. */
interface Block {
  readonly rows: number;
  readonly part: (row: number) => RowPart;
  /** False if the row's target is ignoreIndex. */
  readonly counts: (row: number) => boolean;
}

/** The statistics pass: one row of numbers for every row of a block. */
export async function computeStatistics(plan: Plan, range: Shard['range'], inputs: Inputs): Promise<Float64Array> {
  const { rows, part, counts } = await readBlock(plan, range, inputs);
  const columns = columnsOf(plan);
  const out = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const own = part(row);
    if (counts(row)) checkTarget(own, range.rows[0] + row, range.columns[0], plan);
    putStatistics(out, row, leaf(own), columns);
  }
  return out;
}

/** @throws ERR_VALUE for a target that the mask excludes */
function checkTarget({ target, mask }: RowPart, row: number, firstClass: number, { options, inputs }: Plan): void {
  if (target === null || target === undefined || mask?.[target] !== 0) return;
  throw new SoftgradError(
    'ERR_VALUE',
    `${inputs.target ? namesOf(inputs.target.files) : ''}: row ${row}: the target is class ${firstClass + target}, which is masked; set it to ignoreIndex ${options.ignoreIndex}`,
  );
}

/** How many numbers the statistics of a row have. */
export function columnsOf(plan: Plan): number {
  return isWeighted(plan) ? weightedColumns : statisticsColumns;
}

/** Whether targets have more than one class: probabilities, or classes with weights or label smoothing. */
function isWeighted({ options, inputs }: Plan): boolean {
  return options.target === 'probabilities' || inputs.weight !== undefined || (options.labelSmoothing ?? 0) > 0;
}

/** The results of a block: the numbers of every part, and the sum of the losses if there are any. */
export interface BlockResult {
  readonly data: Arrays;
  readonly lossSum?: number;
}

/** The apply pass: the results of a block, given the statistics of its whole rows. Computed in float64 and rounded once to the dtype of the results. */
export async function applyStatistics(
  plan: Plan,
  shard: Shard,
  inputs: Inputs,
  statistics: (row: number) => Statistics,
): Promise<BlockResult> {
  const { operation, options } = plan;
  const block = await readBlock(plan, shard.range, inputs);
  const { temperature, dtype, reduction } = options;
  const numbers = (length: number) => (dtype === 'float64' ? new Float64Array(length) : new Float32Array(length));
  const perRow = (value: (row: number) => number) => {
    const out = numbers(block.rows);
    for (let row = 0; row < block.rows; row++) out[row] = value(row);
    return out;
  };
  if (operation === 'log-sum-exp') {
    return { data: { [operation]: perRow((row) => logSumExpOf(statistics(row), temperature)) } };
  }
  const first = shard.range.columns[0] === 0;
  const result: BlockResult =
    operation === 'cross-entropy' && first
      ? losses(
          perRow((row) => {
            if (!block.counts(row)) return 0;
            const { weighted } = block.part(row);
            return weighted
              ? weightedLossOf(statistics(row), temperature, weighted)
              : lossOf(statistics(row), temperature);
          }),
          reduction,
        )
      : { data: {} };
  const written = shard.parts.find(({ array }) => array === operation || array === 'gradient');
  if (written === undefined) return result;
  const width = shard.range.columns[1] - shard.range.columns[0];
  const out = numbers(block.rows * width);
  for (let row = 0; row < block.rows; row++) {
    const scale = block.counts(row) ? gradientScale(options) : null;
    const weighted = isWeighted(plan);
    applyOf(operation, scale, weighted)(out.subarray(row * width, (row + 1) * width), block.part(row), statistics(row));
  }
  return { ...result, data: { ...result.data, [written.array]: out } };
}

function applyOf(
  operation: Exclude<Plan['operation'], 'log-sum-exp'>,
  scale: number | null,
  weighted: boolean,
): ApplyPart {
  switch (operation) {
    case 'softmax':
      return softmaxPart;
    case 'log-softmax':
      return logSoftmaxPart;
    case 'vjp':
    case 'jvp':
      return vjpPart;
    case 'cross-entropy':
      return weighted ? weightedCrossEntropyPart(scale) : crossEntropyPart(scale);
  }
}

async function readBlock(plan: Plan, range: Shard['range'], inputs: Inputs): Promise<Block> {
  const { options } = plan;
  const rows = range.rows[1] - range.rows[0];
  const width = range.columns[1] - range.columns[0];
  const logits = await inputs.logits.read(range);
  const direction = inputs.direction && (await inputs.direction.read(range));
  const shared = inputs.mask !== null && inputs.mask.rows === 1;
  const maskRange = shared ? { rows: [0, 1] as const, columns: range.columns } : range;
  const mask = inputs.mask && checkMask(await inputs.mask.read(maskRange), inputs.mask.input);
  const soft = options.target === 'probabilities';
  const target = soft ? null : inputs.target && (await inputs.target.read({ rows: range.rows, columns: [0, 1] }));
  const probabilities = soft ? inputs.target && (await inputs.target.read(range)) : null;
  const weight = inputs.weight && (await inputs.weight.read({ rows: [0, 1], columns: range.columns }));
  const weightedOf = isWeighted(plan)
    ? (row: number): WeightedTarget => ({
        probabilities: probabilities?.subarray(row * width, (row + 1) * width) ?? null,
        weight,
        labelSmoothing: options.labelSmoothing ?? 0,
      })
    : () => null;
  return {
    rows,
    counts: (row) => target === null || target[row] !== options.ignoreIndex,
    part: (row) => ({
      ...onRow(logits, mask, direction, row, width, shared),
      temperature: options.temperature,
      weighted: weightedOf(row),
      target: target && ownTarget(Number(target[row]), range.columns),
    }),
  };
}

/** One row of a block; a mask with one row applies to all. */
function onRow(
  logits: Numbers,
  mask: Uint8Array | null,
  direction: Numbers | null,
  row: number,
  width: number,
  shared: boolean,
): Omit<RowPart, 'temperature'> {
  const from = row * width;
  const own = mask && !shared ? mask.subarray(from, from + width) : mask;
  return {
    logits: logits.subarray(from, from + width),
    mask: own,
    direction: direction?.subarray(from, from + width) ?? null,
  };
}

/** The index of the target within a range of classes; null if it is in another range. */
function ownTarget(target: number, [start, end]: readonly [number, number]): number | null {
  return target >= start && target < end ? target - start : null;
}

/** The losses of rows as a result: as they are, or their sum. */
function losses(loss: Float32Array | Float64Array, reduction: Plan['options']['reduction']): BlockResult {
  if (reduction === 'none') return { data: { loss } };
  const sum = compensatedSum();
  for (const value of loss) sum.add(value);
  return { data: {}, lossSum: sum.value() };
}
