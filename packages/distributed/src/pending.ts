import { isDone, runFiles } from './run-folder.js';
import type { Plan, Step } from './schema.js';
import { stepsOf } from './shards.js';
import type { Store } from './store.js';

/** The indices of the shards that are still to be computed, by step. */
export type Pending = Readonly<Record<Step, readonly number[]>>;

/** The shards of a run that the store does not have. Statistics of rows are left out if all results of these rows exist. */
export async function pendingOf(store: Store, plan: Plan): Promise<Pending> {
  const steps = stepsOf(plan);
  const missing = async (step: Step) => {
    const indices: number[] = [];
    for (let index = 0; index < steps[step]; index++)
      if (!(await isDone(store, plan.out, step, index))) indices.push(index);
    return indices;
  };
  const apply = await missing('apply');
  const merge = apply.length > 0 ? await missing('merge') : [];
  const statistics = merge.length > 0 ? await missing('statistics') : [];
  const finished = apply.length === 0 && (await store.stat(runFiles.manifest(plan.out))) !== null;
  return { statistics, merge, apply, finish: finished ? [] : [0] };
}
