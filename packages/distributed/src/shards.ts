import { SoftgradError } from '@softgrad/core';
import { matrixOf, type Range } from './block.js';
import { hashOf } from './hash.js';
import type { Operation, Plan, Step } from './schema.js';

/** Part of one result that a shard writes. */
export interface Part {
  readonly array: string;
  readonly path: string;
  /** Its start in the array, and its extent. */
  readonly start: readonly number[];
  readonly shape: readonly number[];
}

/** The work of one job: a block of the logits, and the parts of the results that follow from it. */
export interface Shard {
  readonly index: number;
  readonly range: Range;
  readonly parts: readonly Part[];
}

/** A result of a run: its shape, and the dimension that is split into blocks of rows. */
export interface ResultArray {
  readonly name: string;
  readonly shape: readonly number[];
  /** One number for each row instead of one for each logit. */
  readonly perRow: boolean;
}

/** The arrays that a plan writes. */
export function resultArrays({ operation, options, inputs }: Plan): readonly ResultArray[] {
  const { shape } = inputs.logits;
  const like = (name: string): ResultArray => ({ name, shape, perRow: false });
  const perRow = (name: string): ResultArray => ({
    name,
    shape: shape.filter((_, axis) => axis !== options.axis),
    perRow: true,
  });
  if (operation === 'log-sum-exp') return [perRow(operation)];
  if (operation !== 'cross-entropy') return [like(operation)];
  return [
    ...(options.reduction === 'none' ? [perRow('loss')] : []),
    ...(options.gradient === false ? [] : [like('gradient')]),
  ];
}

/** Operations whose results do not have the shape of the logits: their apply pass has one shard for each block of rows. */
function writesLogitShape(plan: Plan): boolean {
  return resultArrays(plan).some(({ perRow }) => !perRow);
}

/** The blocks of a plan, in the order of their indices. */
export const blocksOf = perPlan((plan: Plan): readonly Range[] => {
  const { inputs, by, block } = plan;
  const [rows, columns] = matrixOf(inputs.logits);
  if (by === 'rows') {
    return boundaries(
      inputs.logits.files.map(({ shape }) => shape[0] ?? 1),
      block.rows,
    ).map((range) => ({
      rows: range,
      columns: [0, columns],
    }));
  }
  const widths = inputs.logits.files.map(({ shape }) => shape.at(-1) ?? 1);
  // Without classes there are still results for each row, such as a log-sum-exp of −Infinity.
  const classRanges = columns === 0 ? [[0, 0] as const] : boundaries(widths, block.classes);
  return boundaries([rows], block.rows).flatMap((range) => classRanges.map((part) => ({ rows: range, columns: part })));
});

/** Every shard has an object in the store, and every process of a run has the list of them. */
const mostShards = 1_000_000;

/** @throws ERR_VALUE beginning with `what`, if the plan has too many blocks to list */
export function checkShardCount({ inputs, by, block }: Pick<Plan, 'inputs' | 'by' | 'block'>, what: string): void {
  const pieces = (lengths: readonly number[], most: number) =>
    lengths.reduce((sum, length) => sum + Math.ceil(length / most), 0);
  const { files } = inputs.logits;
  const [rows] = matrixOf(inputs.logits);
  const shards =
    by === 'rows'
      ? pieces(
          files.map(({ shape }) => shape[0] ?? 1),
          block.rows,
        )
      : pieces([rows], block.rows) *
        pieces(
          files.map(({ shape }) => shape.at(-1) ?? 1),
          block.classes,
        );
  if (shards <= mostShards) return;
  throw new SoftgradError('ERR_VALUE', `${what}: ${shards} shards; expected at most ${mostShards}`);
}

/** Cached for each plan, because each of many shards needs the list. */
function perPlan<T>(make: (plan: Plan) => T): (plan: Plan) => T {
  const made = new WeakMap<Plan, T>();
  return (plan) => {
    const known = made.get(plan) ?? make(plan);
    made.set(plan, known);
    return known;
  };
}

/** Consecutive ranges with these lengths, each split into pieces of at most `most`. */
function boundaries(lengths: readonly number[], most: number): readonly Range['rows'][] {
  const ranges: Range['rows'][] = [];
  let at = 0;
  for (const length of lengths) {
    for (let start = 0; start < length; start += most) ranges.push([at + start, at + Math.min(length, start + most)]);
    at += length;
  }
  return ranges;
}

/** The shards of the apply pass, in the order of their indices. */
export const applyShards = perPlan((plan: Plan): readonly Shard[] => {
  const arrays = resultArrays(plan);
  const whole = writesLogitShape(plan);
  const shards: Shard[] = [];
  for (const range of blocksOf(plan)) {
    const firstOfRow = range.columns[0] === 0;
    if (plan.by === 'classes' && !whole && !firstOfRow) continue;
    const index = shards.length;
    const written = arrays.filter(({ perRow }) => !perRow || firstOfRow);
    shards.push({ index, range, parts: written.map((array) => partOf(plan, array, range, index)) });
  }
  return shards;
});

function partOf({ by, out, inputs }: Plan, { name, shape, perRow }: ResultArray, range: Range, index: number): Part {
  const path = `${out}/${name}/part-${numbered(index)}.npy`;
  const rows = range.rows[1] - range.rows[0];
  if (by === 'rows') {
    return {
      array: name,
      path,
      start: shape.map((_, axis) => (axis === 0 ? range.rows[0] : 0)),
      shape: shape.map((length, axis) => (axis === 0 ? rows : length)),
    };
  }
  const classes = range.columns[1] - range.columns[0];
  const start = [...(inputs.logits.shape.length > 1 ? [range.rows[0]] : []), ...(perRow ? [] : [range.columns[0]])];
  const lengths = [...(inputs.logits.shape.length > 1 ? [rows] : []), ...(perRow ? [] : [classes])];
  return { array: name, path, start, shape: lengths };
}

/** The blocks of rows of a plan that is split by classes, each with the indices of its shards. */
export const rowBlocks = perPlan((plan: Plan): readonly RowBlock[] => {
  const groups = new Map<number, { rows: Range['rows']; blocks: number[] }>();
  for (const [index, { rows }] of blocksOf(plan).entries()) {
    const group = groups.get(rows[0]) ?? { rows, blocks: [] };
    group.blocks.push(index);
    groups.set(rows[0], group);
  }
  return [...groups.values()];
});

interface RowBlock {
  readonly rows: Range['rows'];
  readonly blocks: readonly number[];
}

/** The steps of a run, with their numbers of shards. */
export function stepsOf(plan: Plan): Readonly<Record<Step, number>> {
  const classes = plan.by === 'classes';
  return {
    statistics: classes ? blocksOf(plan).length : 0,
    merge: classes ? 1 : 0,
    apply: applyShards(plan).length,
    finish: 1,
  };
}

const hashOfPlan = perPlan((plan: Plan) => hashOf(JSON.stringify(plan)));

/**
 * The id of a run: the first 128 bits of the SHA-256 of its plan, as 32 hexadecimal digits. Equal plans have equal ids.
 *
 * @example
 * const store = folderStore('/data');
 * idOf(await readPlan(store, 'probabilities')) === (await readManifest(store, 'probabilities'))?.run; // true
 */
export function idOf(plan: Plan): string {
  return hashOfPlan(plan).slice(0, 32);
}

/** The id of a shard's job: a hash of everything that determines its result. */
export function jobId(run: string, step: Step, index: number): string {
  return hashOf(`${run} ${step} ${index}`).slice(0, 32);
}

/** The name of a shard in messages and file names. */
export function shardName(step: Step, index: number): string {
  return `${step}-${numbered(index)}`;
}

export function numbered(index: number): string {
  return String(index).padStart(6, '0');
}

/** The operations that take a second array with the shape of the logits. */
export const directed: ReadonlySet<Operation> = new Set(['vjp', 'jvp']);
