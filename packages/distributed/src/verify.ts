import { isSoftgradError, SoftgradError } from '@softgrad/core';
import { mapInLanes } from './lanes.js';
import { manifestFrom } from './manifest.js';
import {
  changeOf,
  type Damage,
  damageOf,
  partsOf,
  readManifest,
  readPins,
  readPlan,
  readRecord,
  runFiles,
} from './run-folder.js';
import { manifestSchema, type Plan, type ShardRecord, type Step } from './schema.js';
import { applyShards, stepsOf } from './shards.js';
import type { Store } from './store.js';

/** What `verify` found. */
export interface Verification {
  readonly plan: Plan;
  /** The number of parts whose bytes are unchanged. */
  readonly sound: number;
  readonly damages: readonly Damage[];
  /** Whether there is a manifest and every part, without any damage. */
  readonly finished: boolean;
}

/** How many parts are in memory at once while they are compared. */
const partsAtOnce = 2;

/**
 * Reads every part of a run and compares it with its SHA-256. What is missing or has changed is reported, not thrown.
 *
 * @throws ERR_VALUE if the folder has no plan
 * @example
 * const { sound, damages, finished } = await verify(folderStore('/data'), 'probabilities');
 * sound; // 1
 * damages; // []
 * finished; // true
 */
export async function verify(store: Store, folder: string): Promise<Verification> {
  const plan = await readPlan(store, folder);
  const pins = await pinsDamage(store, plan);
  // The records and parts are those of the plan as it was.
  if (pins?.plan) return { plan, sound: 0, damages: [pins.plan], finished: false };
  const damages: Damage[] = [];
  const records: ShardRecord[] = [];
  let sound = 0;
  const shards = await mapInLanes(
    applyShards(plan),
    async ({ index }) => ({ index, ...(await shardDamages(store, plan, 'apply', index)) }),
    partsAtOnce,
  );
  for (const { index, record, problem = 'not computed yet', damages: found } of shards) {
    if (record === null) {
      damages.push({ path: runFiles.record(plan.out, 'apply', index), problem });
      continue;
    }
    records.push(record);
    damages.push(...found);
    sound += record.parts.length - found.length;
  }
  damages.push(...(await unexpectedFiles(store, plan)));
  if (pins?.file) damages.push(pins.file);
  const manifest = await manifestDamage(store, plan, records.length === shards.length && !pins ? records : null);
  if (manifest !== null) damages.push(manifest);
  return { plan, sound, damages, finished: damages.length === 0 };
}

/** @param records those of all shards, with which the manifest is compared; null if some are missing */
async function manifestDamage(
  store: Store,
  plan: Plan,
  records: readonly ShardRecord[] | null,
): Promise<Damage | null> {
  const path = runFiles.manifest(plan.out);
  try {
    const found = await readManifest(store, plan.out);
    if (found === null) return { path, problem: 'missing: the run has not finished' };
    const expected = records && manifestSchema.parse(await manifestFrom(store, plan, records));
    const same = expected === null || JSON.stringify(found) === JSON.stringify(expected);
    return same ? null : { path, problem: 'differs from the records of the shards' };
  } catch (error) {
    if (!isSoftgradError(error)) throw error;
    return { path, problem: error.message };
  }
}

/** Pins that cannot be read, or a plan that differs from that of the pins. */
async function pinsDamage(
  store: Store,
  plan: Plan,
): Promise<{ readonly file?: Damage; readonly plan?: Damage } | null> {
  try {
    const change = changeOf(plan, await readPins(store, plan.out));
    return change === null ? null : { plan: { path: runFiles.plan(plan.out), problem: change } };
  } catch (error) {
    if (!isSoftgradError(error)) throw error;
    return { file: { path: runFiles.pins(plan.out), problem: error.message } };
  }
}

interface ShardDamages {
  readonly record: ShardRecord | null;
  /** Why a record cannot be read. */
  readonly problem?: string;
  readonly damages: readonly Damage[];
}

async function shardDamages(store: Store, plan: Plan, step: Step, index: number): Promise<ShardDamages> {
  try {
    const record = await readRecord(store, plan, step, index);
    return { record, damages: record === null ? [] : await damageOf(store, record) };
  } catch (error) {
    if (!isSoftgradError(error)) throw error;
    return { record: null, problem: error.message, damages: [] };
  }
}

/** Files among the parts that no shard of the plan writes. */
async function unexpectedFiles(store: Store, plan: Plan): Promise<readonly Damage[]> {
  const shards = applyShards(plan);
  const expected = new Set(shards.flatMap(({ parts }) => parts.map(({ path }) => path)));
  const folders = new Set([...expected].map((path) => path.slice(0, path.lastIndexOf('/'))));
  const found: Damage[] = [];
  for (const folder of folders) {
    for (const { path } of await store.list(folder)) {
      if (!expected.has(path)) found.push({ path, problem: 'no shard of the plan writes it' });
    }
  }
  return found;
}

/**
 * Removes what is damaged, so that it is computed again: parts that have changed, records with their parts, and pins and a manifest. Returns the paths.
 *
 * @throws ERR_VALUE if the plan was changed after the run started, because then everything would have to be computed again
 * @example
 * const store = folderStore('/data');
 * const plan = await readPlan(store, 'probabilities');
 * await removeDamaged(store, plan); // []
 * await runEmbedded(plan, { root: '/data', backends: import.meta.resolve('softgrad') });
 */
export async function removeDamaged(store: Store, plan: Plan): Promise<readonly string[]> {
  const removed: string[] = [];
  const remove = async (path: string) => {
    if ((await store.stat(path)) === null) return;
    await store.remove(path);
    removed.push(path);
  };
  const pins = await pinsDamage(store, plan);
  if (pins?.plan) throw new SoftgradError('ERR_VALUE', pins.plan.problem);
  if (pins?.file) await remove(pins.file.path);
  const records: ShardRecord[] = [];
  for (const step of ['statistics', 'merge', 'apply'] as const) {
    const shards = await mapInLanes(
      Array(stepsOf(plan)[step]).keys(),
      async (index) => ({ index, ...(await shardDamages(store, plan, step, index)) }),
      partsAtOnce,
    );
    for (const { index, record, problem, damages } of shards) {
      for (const { path } of damages) await remove(path);
      if (problem !== undefined) await removeShard(plan, step, index, remove);
      if (step === 'apply' && record) records.push(record);
    }
  }
  const complete = records.length === applyShards(plan).length && !pins;
  const manifest = await manifestDamage(store, plan, complete ? records : null);
  // Pins are made anew where something is left to compute.
  if (manifest !== null || pins?.file) await remove(runFiles.manifest(plan.out));
  await remove(runFiles.cancelled(plan.out));
  return removed;
}

/** Removes a record that is damaged, or of another run, with the parts whose hashes it had. */
async function removeShard(
  plan: Plan,
  step: Exclude<Step, 'finish'>,
  index: number,
  remove: (path: string) => Promise<void>,
): Promise<void> {
  for (const path of partsOf(plan, step, index)) await remove(path);
  await remove(runFiles.record(plan.out, step, index));
}
