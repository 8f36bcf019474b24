import { availableParallelism } from 'node:os';
import { checkOptions, namesOf, SoftgradError } from '@softgrad/core';
import { openStore } from './open-store.js';
import { pendingOf } from './pending.js';
import { openPool, type Pool } from './pool.js';
import { putPlan, readManifest } from './run-folder.js';
import type { Manifest, Plan, Step } from './schema.js';
import { idOf, stepsOf } from './shards.js';

/** The progress of a run, in shards. */
export interface Progress {
  readonly step: Step;
  readonly done: number;
  readonly total: number;
}

/** Where and how a plan is run on this machine. */
export interface EmbeddedOptions {
  /** The location of the store, a folder or s3://BUCKET/PREFIX; the plan's paths are relative to it. */
  readonly root: string;
  /** The URL of a module that registers backends with `register` of @softgrad/core. */
  readonly backends: string;
  /** Default: one for each core; at most 1024 are started. */
  readonly threads?: number | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Ends the run with an error after the shards that are being computed; call `runEmbedded` again to continue. */
  readonly signal?: AbortSignal | undefined;
  /** Computes only every n-th shard, for machines that do not communicate. */
  readonly share?: Share | undefined;
}

const optionNames = namesOf<EmbeddedOptions>({
  root: true,
  backends: true,
  threads: true,
  onProgress: true,
  signal: true,
  share: true,
});

/** This machine computes the shards whose index modulo `of` is `index`. */
export interface Share {
  readonly index: number;
  readonly of: number;
  /** For a run split by classes: all shares must have finished the statistics before any starts to apply them. */
  readonly pass: 'statistics' | 'apply';
}

/**
 * Runs a plan on the threads of this machine, without a server. Shards that are already in the store are not computed again.
 *
 * Returns null if shards of other shares are still missing.
 *
 * @throws ERR_VALUE naming the first shard that failed and why; all others are computed. Also if `out` has the plan of another run, for an unknown
 *   option, and when the `signal` is aborted
 * @example
 * const plan = await createPlan(folderStore('/data'), { operation: 'softmax', logits: ['logits.npy'], out: 'probabilities', backend: 'cpu' });
 * const manifest = await runEmbedded(plan, { root: '/data', backends: import.meta.resolve('softgrad') });
 * manifest?.arrays.softmax?.shape; // [2, 3]
 */
export async function runEmbedded(plan: Plan, options: EmbeddedOptions): Promise<Manifest | null> {
  const { root, backends, threads = availableParallelism(), share } = checkOptions('runEmbedded', options, optionNames);
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
  { onProgress, signal }: EmbeddedOptions,
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
  await Promise.all(Array.from({ length: Math.min(pool.threads, indices.length) }, lane));
  if (signal?.aborted)
    throw new SoftgradError('ERR_VALUE', `interrupted; softgrad run --resume ${plan.out} continues the run`);
  const [first] = failures;
  if (first === undefined) return;
  const others = failures.length > 1 ? ` (and ${failures.length - 1} more)` : '';
  if (first instanceof SoftgradError)
    throw new SoftgradError(first.code, `${first.message}${others}`, { cause: first });
  throw first;
}
