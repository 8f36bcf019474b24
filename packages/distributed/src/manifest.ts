import { SoftgradError } from '@softgrad/core';
import { mapInLanes } from './lanes.js';
import { hasParts, readPins, requireRecord, runFiles } from './run-folder.js';
import type { Manifest, Plan, ShardRecord } from './schema.js';
import { applyShards, idOf, resultArrays, shardName } from './shards.js';
import { sumTree } from './statistics.js';
import type { Store } from './store.js';

/** The manifest of a run whose shards are all there. @throws ERR_VALUE naming a missing file */
export async function manifestOf(store: Store, plan: Plan): Promise<Manifest> {
  const { out } = plan;
  const records = await mapInLanes(applyShards(plan), async ({ index }) => {
    const record = await requireRecord(store, plan, 'apply', index);
    if (await hasParts(store, record)) return record;
    throw new SoftgradError(
      'ERR_VALUE',
      `${shardName('apply', index)}: a part is missing or too short; softgrad run --resume ${out} computes it again`,
    );
  });
  return manifestFrom(store, plan, records);
}

/** The manifest that follows from the records of all shards, in their order. @throws ERR_VALUE if they or the pins lack something */
export async function manifestFrom(store: Store, plan: Plan, records: readonly ShardRecord[]): Promise<Manifest> {
  const { out, operation, options } = plan;
  const written = new Map(records.flatMap(({ parts }) => parts.map((part) => [part.path, part] as const)));
  const own = applyShards(plan).flatMap(({ parts }) => parts);
  const arrays = resultArrays(plan).map(({ name, shape }) => {
    const parts = own
      .filter(({ array }) => array === name)
      .map(({ path, start, shape: lengths }) => {
        const part = written.get(path);
        if (part === undefined) throw new SoftgradError('ERR_VALUE', `${path}: missing from the record of its shard`);
        return { ...part, path: path.slice(out.length + 1), start: [...start], shape: [...lengths] };
      });
    return [name, { shape: [...shape], dtype: options.dtype, parts }] as const;
  });
  const pins = await readPins(store, out);
  if (pins === null) throw new SoftgradError('ERR_VALUE', `${runFiles.pins(out)}: missing`);
  const { version, backend, fingerprint } = pins;
  return {
    format: 'softgrad-parts/1',
    run: idOf(plan),
    versions: { version, backend, fingerprint },
    operation,
    options,
    arrays: Object.fromEntries(arrays),
    values: valuesOf(plan, records),
  };
}

function valuesOf({ operation, options }: Plan, records: readonly ShardRecord[]): Manifest['values'] {
  if (operation !== 'cross-entropy' || options.reduction === 'none') return {};
  const sums = records.flatMap(({ lossSum }) => (lossSum === undefined ? [] : [Number(lossSum)]));
  const total = sumTree(sums);
  if (options.reduction !== 'mean') return { loss: String(total) };
  // The mean over no rows is 0/0, even if label smoothing adds something to rows without weight.
  return { loss: String(options.counted ? total / options.counted : Number.NaN) };
}
