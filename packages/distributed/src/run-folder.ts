import { SoftgradError } from '@softgrad/core';
import type { z } from 'zod';
import { hashOf } from './hash.js';
import {
  type Manifest,
  manifestSchema,
  type Pins,
  type Plan,
  pinsSchema,
  planSchema,
  recordSchema,
  type ShardRecord,
  type Step,
} from './schema.js';
import { idOf, numbered, shardName } from './shards.js';
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

/** @throws ERR_VALUE if there is no plan or it is invalid */
export async function readPlan(store: Store, out: string): Promise<Plan> {
  return readJson(store, runFiles.plan(out), planSchema, 'the plan of a run');
}

export async function readPins(store: Store, out: string): Promise<Pins | null> {
  const path = runFiles.pins(out);
  return (await store.stat(path)) && readJson(store, path, pinsSchema, 'the pins of a run');
}

/** null if the run has not finished. */
export async function readManifest(store: Store, out: string): Promise<Manifest | null> {
  const path = runFiles.manifest(out);
  return (await store.stat(path)) && readJson(store, path, manifestSchema, 'the manifest of a run');
}

/** null if the shard has no record yet. */
export async function readRecord(store: Store, out: string, step: Step, index: number): Promise<ShardRecord | null> {
  const path = runFiles.record(out, step, index);
  return (await store.stat(path)) && readJson(store, path, recordSchema, 'the record of a shard');
}

/** Whether a shard has its record and all of its parts, with the recorded lengths. */
export async function isDone(store: Store, out: string, step: Step, index: number): Promise<boolean> {
  const record = await readRecord(store, out, step, index);
  if (record === null) return false;
  const stats = await Promise.all(record.parts.map(({ path }) => store.stat(path)));
  return record.parts.every(({ byteLength }, k) => stats[k]?.byteLength === byteLength);
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
