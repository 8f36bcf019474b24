import { matrixOf, type Range } from './block.js';
import { hashOf } from './hash.js';
import type { Operation, Plan, Step } from './schema.js';

/** Part of one result that a shard writes. */
export interface Part {
  readonly array: string;
  readonly path: string;
  /** Where it begins in the array, and how far it reaches. */
  readonly start: readonly number[];
  readonly shape: readonly number[];
}

/** What one job computes: a block of the logits, and the parts of the results that follow from it. */
export interface Shard {
  readonly index: number;
  readonly range: Range;
  readonly parts: readonly Part[];
}

/** A result of a run: its shape, and the dimension along which blocks of rows follow each other. */
export interface ResultArray {
  readonly name: string;
  readonly shape: readonly number[];
  /** One number a row instead of one a logit. */
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

/** The operations that write nothing of the shape of the logits: their apply pass has one shard for each block of rows. */
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
  const classRanges = boundaries(widths, block.classes);
  return boundaries([rows], block.rows).flatMap((range) => classRanges.map((part) => ({ rows: range, columns: part })));
});

/** Of many shards each asks for the list: it is made once a plan. */
function perPlan<T>(make: (plan: Plan) => T): (plan: Plan) => T {
  const made = new WeakMap<Plan, T>();
  return (plan) => {
    const known = made.get(plan) ?? make(plan);
    made.set(plan, known);
    return known;
  };
}

/** The ranges of lengths that follow each other, each cut into pieces of at most `most`. */
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

/** The blocks of rows of a plan that is split by classes, each with the indices of its blocks. */
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

/** What a run consists of: how many shards every step has. */
export function stepsOf(plan: Plan): Readonly<Record<Step, number>> {
  const classes = plan.by === 'classes';
  return {
    statistics: classes ? blocksOf(plan).length : 0,
    merge: classes ? 1 : 0,
    apply: applyShards(plan).length,
    finish: 1,
  };
}

export function idOf(plan: Plan): string {
  return hashOf(JSON.stringify(plan)).slice(0, 32);
}

/** The id of a shard's job: a hash of everything that its result follows from. */
export function jobId(run: string, step: Step, index: number): string {
  return hashOf(`${run} ${step} ${index}`).slice(0, 32);
}

/** How a shard is called in messages and in the names of files. */
export function shardName(step: Step, index: number): string {
  return `${step}-${numbered(index)}`;
}

export function numbered(index: number): string {
  return String(index).padStart(6, '0');
}

/** The operations that take a second array in the shape of the logits. */
export const directed: ReadonlySet<Operation> = new Set(['vjp', 'jvp']);
