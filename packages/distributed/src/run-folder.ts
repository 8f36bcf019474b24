import { SoftgradError } from '@softgrad/core';
import { adviceOnName } from '@softgrad/formats';
import type { z } from 'zod';
import { hashOf } from './hash.js';
import {
  type Manifest,
  manifestSchema,
  type Plan,
  planSchema,
  type RunPins,
  recordSchema,
  runPinsSchema,
  type ShardRecord,
  type Step,
  type Task,
} from './schema.js';
import { applyShards, checkShardCount, idOf, numbered, rowBlocks, shardName } from './shards.js';
import { getWhole, type Store, type StoredObject } from './store.js';

/** The paths of the files of a run within the folder of its results. */
export const runFiles = {
  plan: (out: string) => `${out}/plan.json`,
  pins: (out: string) => `${out}/pins.json`,
  manifest: (out: string) => `${out}/manifest.json`,
  cancelled: (out: string) => `${out}/cancelled.json`,
  records: (out: string) => `${out}/records`,
  record: (out: string, step: Step, index: number) => `${out}/records/${shardName(step, index)}.json`,
  statistics: (out: string, index: number) => `${out}/statistics/part-${numbered(index)}.npy`,
  merged: (out: string, block: number) => `${out}/statistics/merged-${numbered(block)}.npy`,
};

/** The paths of the parts that a shard writes. */
export function partsOf(plan: Plan, step: Exclude<Step, 'finish'>, index: number): readonly string[] {
  if (step === 'statistics') return [runFiles.statistics(plan.out, index)];
  if (step === 'merge') return rowBlocks(plan).map((_, block) => runFiles.merged(plan.out, block));
  return applyShards(plan)[index]?.parts.map(({ path }) => path) ?? [];
}

/** Stores the plan of a run. @throws ERR_VALUE if the folder has another one */
export async function putPlan(store: Store, plan: Plan): Promise<void> {
  const path = runFiles.plan(plan.out);
  if (await putJson(store, path, plan)) return;
  const found = await readPlan(store, plan.out);
  if (idOf(found) === idOf(plan)) return;
  throw new SoftgradError(
    'ERR_VALUE',
    `${path}: the plan of another run (${found.operation}, id ${idOf(found)}); expected an empty folder, or the same inputs and options (id ${idOf(plan)}) to continue`,
  );
}

/**
 * The plan of a run, from the folder of its results.
 *
 * @throws ERR_VALUE if there is no plan, if it is invalid, or if its paths are relative to another folder
 * @example
 * (await readPlan(folderStore('/data'), 'probabilities')).operation; // 'softmax'
 */
export async function readPlan(store: Store, folder: string): Promise<Plan> {
  const out = store.locate(folder);
  const path = out === '' ? 'plan.json' : runFiles.plan(out);
  if ((await store.stat(path)) === null) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${path}: no such file in ${store.name}${adviceOnName(path)}; expected the folder of a run`,
    );
  }
  const plan = await readJson(store, path, planSchema, 'the plan of a run');
  checkShardCount(plan, path);
  if (plan.out === out) return plan;
  // The folder itself may be the root, as that of a command that runs in it.
  const place = out === '' ? store.name : out;
  const [above] = `/${place}`.endsWith(`/${plan.out}`) ? [place.slice(0, -plan.out.length)] : [];
  throw new SoftgradError(
    'ERR_VALUE',
    `${path}: the plan of results in ${plan.out}; expected ${above ? `--root ${above}, to which its paths are relative` : 'the folder at the place where the run wrote it'}`,
  );
}

export async function readPins(store: Store, out: string): Promise<RunPins | null> {
  const path = runFiles.pins(out);
  return (await store.stat(path)) && readJson(store, path, runPinsSchema, 'the pins of a run');
}

/** How a plan differs from that with which its run started; null if it does not. */
export function changeOf(plan: Plan, pins: RunPins | null): string | null {
  if (pins === null || pins.run === idOf(plan)) return null;
  return `${runFiles.plan(plan.out)}: changed since the run started, from id ${pins.run} to ${idOf(plan)}; expected the plan as it was, or a new run with another --out`;
}

/**
 * The results of a run, from their folder; null if the run has not finished.
 *
 * @throws ERR_VALUE if the manifest is invalid
 * @example
 * const manifest = await readManifest(folderStore('/data'), 'probabilities');
 * manifest?.arrays.softmax?.parts.map(({ path }) => path); // ['softmax/part-000000.npy']
 */
export async function readManifest(store: Store, out: string): Promise<Manifest | null> {
  const path = runFiles.manifest(out);
  return (await store.stat(path)) && readJson(store, path, manifestSchema, 'the manifest of a run');
}

/** A record with the hash that detects changes of it. */
export function signed(record: Omit<ShardRecord, 'sha256'>): ShardRecord {
  return { ...record, sha256: hashOf(JSON.stringify(record)) };
}

/**
 * null if the shard has no record yet.
 *
 * @throws ERR_VALUE for a record that was changed, or that another run wrote into the same folder
 */
export async function readRecord(store: Store, plan: Plan, step: Step, index: number): Promise<ShardRecord | null> {
  return recordOf(store, { run: idOf(plan), out: plan.out, step, index });
}

/** As `readRecord`, without the plan. */
async function recordOf(store: Store, { run, out, step, index }: Task): Promise<ShardRecord | null> {
  const path = runFiles.record(out, step, index);
  if ((await store.stat(path)) === null) return null;
  const record = await readJson(store, path, recordSchema, 'the record of a shard');
  const { sha256, ...rest } = record;
  const expected = `expected the record of shard ${shardName(step, index)} of run ${run}`;
  const fail = (problem: string): never => {
    throw new SoftgradError(
      'ERR_VALUE',
      `${path}: ${problem}; ${expected}. softgrad run --resume ${out} computes it again`,
    );
  };
  if (signed(rest).sha256 !== sha256) fail('changed since it was written');
  if (record.run !== run || record.shard !== shardName(step, index))
    fail(`of shard ${record.shard} of run ${record.run}`);
  return record;
}

/** @throws ERR_VALUE if the shard has no record */
export async function requireRecord(store: Store, plan: Plan, step: Step, index: number): Promise<ShardRecord> {
  const record = await readRecord(store, plan, step, index);
  if (record !== null) return record;
  throw new SoftgradError(
    'ERR_VALUE',
    `${runFiles.record(plan.out, step, index)}: missing; softgrad run --resume ${plan.out} computes it`,
  );
}

/** Whether a shard has its record and all of its parts, with the recorded lengths. */
export async function isDone(store: Store, task: Task): Promise<boolean> {
  const record = await recordOf(store, task);
  return record !== null && hasParts(store, record);
}

/** Whether all parts of a record exist, with the recorded lengths. */
export async function hasParts(store: Store, { parts }: ShardRecord): Promise<boolean> {
  const stats = await Promise.all(parts.map(({ path }) => store.stat(path)));
  return parts.every(({ byteLength }, k) => stats[k]?.byteLength === byteLength);
}

/** The parts of a record that differ from what was written. */
export async function damageOf(store: Store, { parts }: ShardRecord): Promise<readonly Damage[]> {
  const damages: Damage[] = [];
  for (const part of parts) {
    const problem = await problemOf(store, part, await store.stat(part.path));
    if (problem !== null) damages.push({ path: part.path, problem });
  }
  return damages;
}

/** A file of a run that is not as it was written, and why. */
export interface Damage {
  readonly path: string;
  readonly problem: string;
}

async function problemOf(
  store: Store,
  { path, byteLength, sha256 }: ShardRecord['parts'][number],
  found: StoredObject | null,
): Promise<string | null> {
  if (found === null) return 'missing';
  if (found.byteLength !== byteLength) return `${found.byteLength} bytes; expected ${byteLength}`;
  const actual = hashOf(await getWhole(store, path));
  return actual === sha256 ? null : `corrupt: SHA-256 ${actual}; expected ${sha256}`;
}

/** True if it did not exist before. */
export function putJson(store: Store, path: string, value: unknown): Promise<boolean> {
  return store.putOnce(path, new TextEncoder().encode(`${JSON.stringify(value, null, 1)}\n`));
}

/** @throws ERR_VALUE naming the file and, if it is JSON, the invalid property */
export async function readJson<T>(store: Store, path: string, schema: z.ZodType<T>, what: string): Promise<T> {
  const text = new TextDecoder().decode(await getWhole(store, path));
  const fail = (problem: string, cause?: unknown): never => {
    throw new SoftgradError('ERR_VALUE', `${path}: ${problem}; expected ${what}`, { cause });
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    return fail(`not JSON (${cause instanceof Error ? cause.message : cause})`, cause);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return fail(`${issue?.path.join('.') || 'the file'}: ${issue?.message}`);
}
