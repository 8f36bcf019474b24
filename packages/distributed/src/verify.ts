import { isSoftgradError } from '@softgrad/core';
import { type Damage, damageOf, readManifest, readPlan, readRecord, runFiles } from './run-folder.js';
import type { Plan, ShardRecord, Step } from './schema.js';
import { applyShards, stepsOf } from './shards.js';
import type { Store } from './store.js';

export interface Verification {
  readonly plan: Plan;
  /** The number of parts whose bytes are unchanged. */
  readonly sound: number;
  readonly damages: readonly Damage[];
  /** Whether there is a manifest and every part. */
  readonly finished: boolean;
}

/**
 * Reads every part of a run and compares it with its SHA-256.
 *
 * @throws ERR_VALUE if the folder has no plan
 */
export async function verify(store: Store, out: string): Promise<Verification> {
  const plan = await readPlan(store, out);
  const damages: Damage[] = [];
  let sound = 0;
  for (const { index } of applyShards(plan)) {
    const found = await shardDamages(store, plan, 'apply', index);
    if (found.record === null) {
      damages.push({ path: runFiles.record(out, 'apply', index), problem: found.problem ?? 'not computed yet' });
      continue;
    }
    damages.push(...found.damages);
    sound += found.record.parts.length - found.damages.length;
  }
  damages.push(...(await unexpectedFiles(store, plan)));
  const manifest = await manifestDamage(store, out);
  if (manifest !== null) damages.push(manifest);
  return { plan, sound, damages, finished: damages.length === 0 };
}

async function manifestDamage(store: Store, out: string): Promise<Damage | null> {
  const path = runFiles.manifest(out);
  try {
    return (await readManifest(store, out)) === null ? { path, problem: 'missing: the run has not finished' } : null;
  } catch (error) {
    if (!isSoftgradError(error)) throw error;
    return { path, problem: error.message };
  }
}

interface ShardDamages {
  readonly record: ShardRecord | null;
  /** Why a record cannot be read. */
  readonly problem?: string;
  readonly damages: readonly Damage[];
}

async function shardDamages(store: Store, { out }: Plan, step: Step, index: number): Promise<ShardDamages> {
  try {
    const record = await readRecord(store, out, step, index);
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
 * Removes what is damaged, so that it is computed again: parts that have changed, and records and a manifest that cannot
 * be read. Returns the paths.
 */
export async function removeDamaged(store: Store, plan: Plan): Promise<readonly string[]> {
  const removed: string[] = [];
  const remove = async (path: string) => {
    if ((await store.stat(path)) === null) return;
    await store.remove(path);
    removed.push(path);
  };
  for (const step of ['statistics', 'merge', 'apply'] as const) {
    for (let index = 0; index < stepsOf(plan)[step]; index++) {
      const { problem, damages } = await shardDamages(store, plan, step, index);
      for (const { path } of damages) await remove(path);
      if (problem !== undefined) await remove(runFiles.record(plan.out, step, index));
    }
  }
  if (await manifestDamage(store, plan.out)) await remove(runFiles.manifest(plan.out));
  await remove(runFiles.cancelled(plan.out));
  return removed;
}
