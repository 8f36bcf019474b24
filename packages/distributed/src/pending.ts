import { mapInLanes } from './lanes.js';
import { isDone, runFiles } from './run-folder.js';
import type { Plan, Step } from './schema.js';
import { idOf, stepsOf } from './shards.js';
import type { Store } from './store.js';

/** The indices of the shards that are still to be computed, by step. */
export type Pending = Readonly<Record<Step, readonly number[]>>;

/** The shards of a run that the store does not have. Statistics of rows are left out if all results of these rows exist. */
export async function pendingOf(store: Store, plan: Plan): Promise<Pending> {
  const { out } = plan;
  const steps = stepsOf(plan);
  const run = idOf(plan);
  // One listing instead of a request for each shard.
  const recorded = new Set((await store.list(runFiles.records(out))).map(({ path }) => path));
  const missing = async (step: Step) => {
    const done = await mapInLanes(
      Array(steps[step]).keys(),
      async (index) =>
        recorded.has(runFiles.record(out, step, index)) && (await isDone(store, { run, out, step, index })),
    );
    return [...done.keys()].filter((index) => !done[index]);
  };
  const apply = await missing('apply');
  const merge = apply.length > 0 ? await missing('merge') : [];
  const statistics = merge.length > 0 ? await missing('statistics') : [];
  const finished = apply.length === 0 && (await store.stat(runFiles.manifest(out))) !== null;
  return { statistics, merge, apply, finish: finished ? [] : [0] };
}
