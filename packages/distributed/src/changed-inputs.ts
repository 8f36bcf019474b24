import { changeFrom } from './block.js';
import { mapInLanes } from './lanes.js';
import type { Damage } from './run-folder.js';
import type { Plan } from './schema.js';
import type { Store } from './store.js';

/**
 * The inputs of a run that are no longer the files of its plan, by their size and time: what was computed before is of the files as they were. Files
 * that are gone are not listed, because a finished run needs none.
 *
 * @throws ERR_VALUE if the store cannot be asked
 * @example
 * const store = folderStore('/data');
 * await changedInputs(store, await readPlan(store, 'probabilities')); // []
 */
export async function changedInputs(store: Store, { inputs }: Plan): Promise<readonly Damage[]> {
  const files = Object.values(inputs).flatMap((input) => input?.files ?? []);
  const problems = await mapInLanes(files, async (file) => {
    const found = await store.stat(file.path);
    return { path: file.path, problem: found && changeFrom(file, found) };
  });
  return problems.flatMap(({ path, problem }) => (problem === null ? [] : [{ path, problem }]));
}
