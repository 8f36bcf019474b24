import { type Backend, SoftgradError } from '@softgrad/core';
import { applyStatistics, columnsOf, computeStatistics } from './classes.js';
import { createNpy, decodeNpy, type NpyPart } from './encode.js';
import { hashOf } from './hash.js';
import { manifestOf } from './manifest.js';
import { MismatchError } from './pins.js';
import { reached } from './points.js';
import { type Append, checkUnchanged, computeRows, type Inputs, openInputs } from './rows.js';
import { putJson, readRecord, requireRecord, runFiles, signed } from './run-folder.js';
import type { Plan, Step } from './schema.js';
import { applyShards, blocksOf, idOf, rowBlocks, type Shard, shardName } from './shards.js';
import { mergeTree, putStatistics, statisticsAt } from './statistics.js';
import { getWhole, type Store } from './store.js';

/** Runs one shard of a step. All results go into the store; running it again changes nothing. */
export async function runStep(store: Store, plan: Plan, backend: Backend, step: Step, index: number): Promise<void> {
  const name = shardName(step, index);
  reached('shard:started', name);
  switch (step) {
    case 'statistics':
      await statisticsStep(store, plan, index);
      break;
    case 'merge':
      await mergeStep(store, plan);
      break;
    case 'apply':
      await applyStep(store, plan, index, backend);
      break;
    case 'finish':
      await finishStep(store, plan);
  }
  reached('shard:done', name);
}

/** @throws ERR_VALUE for an index that is not in the plan */
function entry<T>(entries: readonly T[], step: Step, index: number): T {
  const found = entries[index];
  if (found !== undefined) return found;
  throw new SoftgradError('ERR_VALUE', `${shardName(step, index)}: the plan has ${entries.length} shards of this step`);
}

async function statisticsStep(store: Store, plan: Plan, index: number): Promise<void> {
  const range = entry(blocksOf(plan), 'statistics', index);
  const inputs = openInputs(store, plan);
  const values = await computeStatistics(plan, range, inputs);
  await checkUnchanged(inputs);
  const name = shardName('statistics', index);
  reached('shard:computed', name);
  const path = runFiles.statistics(plan.out, index);
  await putShard(store, plan, 'statistics', index, [await statisticsPart(store, path, values, columnsOf(plan))]);
}

async function mergeStep(store: Store, plan: Plan): Promise<void> {
  const merged: NpyPart[] = [];
  const columns = columnsOf(plan);
  for (const [block, { rows, blocks }] of rowBlocks(plan).entries()) {
    const parts: ArrayLike<number>[] = [];
    for (const index of blocks)
      parts.push(await readChecked(store, plan, 'statistics', index, runFiles.statistics(plan.out, index)));
    const height = rows[1] - rows[0];
    const out = new Float64Array(height * columns);
    for (let row = 0; row < height; row++) {
      const leaves = parts.map((values) => statisticsAt(values, row, columns));
      putStatistics(out, row, mergeTree(leaves, plan.options.temperature), columns);
    }
    merged.push(await statisticsPart(store, runFiles.merged(plan.out, block), out, columns));
  }
  await putShard(store, plan, 'merge', 0, merged);
  reached('merge:done', shardName('merge', 0));
}

async function applyStep(store: Store, plan: Plan, index: number, backend: Backend): Promise<void> {
  const shard = entry(applyShards(plan), 'apply', index);
  const inputs = openInputs(store, plan);
  const parts = new Map<string, NpyPart>();
  try {
    for (const { array, path, shape } of shard.parts) {
      parts.set(array, await createNpy(store, path, shape, plan.options.dtype));
    }
    const append: Append = async (array, data) => parts.get(array)?.append(data);
    const lossSum =
      plan.by === 'rows'
        ? await computeRows(plan, shard, inputs, backend, append)
        : await applyMerged(store, plan, shard, inputs, append);
    await checkUnchanged(inputs);
    reached('shard:computed', shardName('apply', index));
    await putShard(store, plan, 'apply', index, [...parts.values()], lossSum);
  } finally {
    for (const part of parts.values()) await part.close();
  }
}

async function applyMerged(
  store: Store,
  plan: Plan,
  shard: Shard,
  inputs: Inputs,
  append: Append,
): Promise<number | undefined> {
  const block = rowBlocks(plan).findIndex(({ rows }) => rows[0] === shard.range.rows[0]);
  const values = await readChecked(store, plan, 'merge', 0, runFiles.merged(plan.out, block));
  const { data, lossSum } = await applyStatistics(plan, shard, inputs, (row) =>
    statisticsAt(values, row, columnsOf(plan)),
  );
  for (const [array, numbers] of Object.entries(data)) await append(array, numbers);
  return lossSum;
}

/** The manifest is written when all parts exist; then temporary files of interrupted writers are removed. */
async function finishStep(store: Store, plan: Plan): Promise<void> {
  const manifest = await manifestOf(store, plan);
  await putJson(store, runFiles.manifest(plan.out), manifest);
  await store.sweep(plan.out, Number.POSITIVE_INFINITY);
}

/**
 * Stores the results of a shard: first the record of their hashes, then the parts. If two workers compute the same shard, the second finds the record of the first.
 *
 * @throws MismatchError if the record of another worker has other bits
 */
async function putShard(
  store: Store,
  plan: Plan,
  step: Step,
  index: number,
  parts: readonly NpyPart[],
  lossSum?: number,
): Promise<void> {
  const record = signed({
    run: idOf(plan),
    shard: shardName(step, index),
    parts: parts.map((part) => part.written()),
    ...(lossSum === undefined ? {} : { lossSum: String(lossSum) }),
  });
  const path = runFiles.record(plan.out, step, index);
  if (!(await putJson(store, path, record))) {
    const first = await readRecord(store, plan, step, index);
    if (JSON.stringify(first) !== JSON.stringify(record)) {
      throw new MismatchError(
        `${path}: another worker computed other bits for this shard; expected machines that compute the same bits`,
      );
    }
  }
  for (const part of parts) await part.put();
}

/** The numbers of a part, after its hash is verified. */
async function readChecked(
  store: Store,
  plan: Plan,
  step: Step,
  index: number,
  path: string,
): Promise<ArrayLike<number>> {
  const record = await requireRecord(store, plan, step, index);
  const bytes = await getWhole(store, path);
  const expected = record.parts.find((part) => part.path === path)?.sha256;
  if (hashOf(bytes) !== expected) {
    throw new SoftgradError('ERR_VALUE', `${path}: corrupt; softgrad run --resume ${plan.out} computes it again`);
  }
  return decodeNpy(bytes, path);
}

/** In memory, because a merge has a part for each block of rows, and a process can have only so many open files. */
async function statisticsPart(store: Store, path: string, values: Float64Array, columns: number): Promise<NpyPart> {
  const part = await createNpy(store, path, [values.length / columns, columns], 'float64', true);
  await part.append(values);
  return part;
}
