// The code of a thread of the pool: one step of one shard at a time.
import { type Backend, isSoftgradError, loadProvider, SoftgradError } from '@softgrad/core';
import { openStore } from './open-store.js';
import { checkPins, MismatchError } from './pins.js';
import { readPlan, runFiles } from './run-folder.js';
import { type Plan, type Task, taskSchema } from './schema.js';
import { idOf, stepsOf } from './shards.js';
import { runStep } from './step.js';
import type { Store } from './store.js';

export interface ThreadTask extends Task {
  /** The location of the store. */
  readonly root: string;
  /** A module that registers backends by name. */
  readonly backends: string;
}

/** Errors lose their class when they are sent between threads. */
export type ThreadResult =
  | { readonly kind: 'done' }
  | { readonly kind: 'input' | 'mismatch' | 'defect'; readonly message: string };

export default async function runTask({ root, backends, ...task }: ThreadTask): Promise<ThreadResult> {
  try {
    const { run, out, step, index } = taskSchema.parse(task);
    const store = await storeAt(root);
    const plan = await planOf(store, out, run);
    if (index >= stepsOf(plan)[step]) {
      throw new SoftgradError('ERR_VALUE', `${out}/plan.json has no shard ${index} of step ${step}`);
    }
    const backend = await backendOf(plan.backend, backends);
    const key = `${root}\n${run}`;
    if (!pinned.has(key)) await checkPins(store, plan, backend);
    pinned.add(key);
    await runStep(store, plan, backend, step, index);
    return { kind: 'done' };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof MismatchError) return { kind: 'mismatch', message };
    return { kind: isSoftgradError(error) ? 'input' : 'defect', message };
  }
}

/** Runs with which this thread has been compared. */
const pinned = new Set<string>();
const stores = new Map<string, Promise<Store>>();
const plans = new Map<string, { readonly plan: Plan; readonly byteLength: number; readonly modified: number }>();
const opened = new Map<string, Promise<Backend>>();

/** Cached, because the client of a bucket keeps its connections between shards. */
function storeAt(place: string): Promise<Store> {
  const known = stores.get(place) ?? openStore(place);
  stores.set(place, known);
  return known;
}

/** @throws ERR_VALUE if the folder now has another plan: it was removed and used again, while jobs of the earlier run were waiting */
async function planOf(store: Store, out: string, run: string): Promise<Plan> {
  const file = await store.stat(runFiles.plan(out));
  const known = plans.get(run);
  if (known && file && known.byteLength === file.byteLength && known.modified === file.modified) return known.plan;
  const plan = await readPlan(store, out);
  if (idOf(plan) !== run) {
    throw new SoftgradError('ERR_VALUE', `${out}/plan.json has the id ${idOf(plan)}; expected ${run}`);
  }
  if (file) plans.set(run, { plan, byteLength: file.byteLength, modified: file.modified });
  return plan;
}

async function backendOf(name: string, module: string): Promise<Backend> {
  const known = opened.get(name) ?? openBackend(name, module);
  opened.set(name, known);
  return known;
}

async function openBackend(name: string, module: string): Promise<Backend> {
  await import(module);
  return (await loadProvider(name)).open();
}
