import { availableParallelism } from 'node:os';
import { SoftgradError } from '@softgrad/core';
import { openStore } from './open-store.js';
import { pendingOf } from './pending.js';
import { openPool, type Pool } from './pool.js';
import { putPlan, readManifest } from './run-folder.js';
import type { Manifest, Plan, Step } from './schema.js';
import { idOf, stepsOf } from './shards.js';

/** How far a run is, in shards. */
export interface Progress {
  readonly step: Step;
  readonly done: number;
  readonly total: number;
}

export interface EmbeddedOptions {
  /** The place of the store, a folder or s3://BUCKET/PREFIX, which the plan's paths are relative to. */
  readonly root: string;
  /** The URL of a module that registers backends with `register` of @softgrad/core. */
  readonly backends: string;
  /** Default: one for each core. */
  readonly threads?: number | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Ends the run after the shards in hand, with an error; `runEmbedded` again goes on. */
  readonly signal?: AbortSignal | undefined;
  /** Computes every n-th shard alone, for machines that know nothing of each other. */
  readonly share?: Share | undefined;
}

/** The shards whose index modulo `of` is `index`. */
export interface Share {
  readonly index: number;
  readonly of: number;
  /** Of a run by classes: all have to be through the statistics before any begins to apply them. */
  readonly pass: 'statistics' | 'apply';
}

/**
 * Runs a plan on the threads of this machine, without any server. Shards that are in the store are not computed again.
 *
 * Returns null where other shares are still missing.
 *
 * @throws ERR_VALUE naming the first shard that could not be computed and why; all others are computed
 */
export async function runEmbedded(plan: Plan, options: EmbeddedOptions): Promise<Manifest | null> {
  const { root, backends, threads = availableParallelism(), share } = options;
  const store = await openStore(root);
  await putPlan(store, plan);
  const pool = openPool({ root, backends, threads });
  try {
    const pending = await pendingOf(store, plan);
    const own = (indices: readonly number[]) =>
      share === undefined ? indices : indices.filter((index) => index % share.of === share.index);
    if (share?.pass !== 'apply') await runAll(plan, 'statistics', own(pending.statistics), pool, options);
    if (share?.pass === 'statistics' && plan.by === 'classes') return null;
    await runAll(plan, 'merge', pending.merge, pool, options);
    await runAll(plan, 'apply', own(pending.apply), pool, options);
    if (share !== undefined && (await pendingOf(store, plan)).apply.length > 0) return null;
    await runAll(plan, 'finish', pending.finish, pool, options);
    return await readManifest(store, plan.out);
  } finally {
    await pool.close();
  }
}

async function runAll(
  plan: Plan,
  step: Step,
  indices: readonly number[],
  pool: Pool,
  { onProgress, signal, threads = availableParallelism() }: EmbeddedOptions,
): Promise<void> {
  const run = idOf(plan);
  const total = stepsOf(plan)[step];
  let done = total - indices.length;
  const failures: unknown[] = [];
  onProgress?.({ step, done, total });
  const waiting = indices.values();
  const lane = async () => {
    for (const index of waiting) {
      if (signal?.aborted) return;
      try {
        await pool.run({ run, out: plan.out, step, index });
        done++;
        onProgress?.({ step, done, total });
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: threads }, lane));
  if (signal?.aborted) throw new SoftgradError('ERR_VALUE', `interrupted; softgrad run --resume ${plan.out} goes on`);
  const [first] = failures;
  if (first === undefined) return;
  const others = failures.length > 1 ? ` (and ${failures.length - 1} more)` : '';
  if (first instanceof SoftgradError)
    throw new SoftgradError(first.code, `${first.message}${others}`, { cause: first });
  throw first;
}
