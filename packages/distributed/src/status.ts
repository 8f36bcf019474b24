import { partsOf, readPlan, runFiles } from './run-folder.js';
import type { Operation, Plan, Step } from './schema.js';
import { idOf, resultArrays, stepsOf } from './shards.js';
import type { Store } from './store.js';

/** The progress of a run according to its store. */
export interface RunStatus {
  readonly run: string;
  readonly out: string;
  readonly operation: Operation;
  readonly steps: readonly { readonly step: Step; readonly done: number; readonly total: number }[];
  readonly finished: boolean;
  readonly cancelled: boolean;
  /** Shards per second, for the most recent ones; null before two are finished. */
  readonly rate: number | null;
  /** The estimated time for the remaining shards at that rate, in seconds; null without a rate. */
  readonly secondsLeft: number | null;
}

/** How many recent shards determine the rate. */
const recent = 100;

/**
 * The progress of a run on any number of machines, from the files that it has written; no part is read.
 *
 * @throws ERR_VALUE if the folder has no plan
 * @example
 * const { steps, finished } = await statusOf(folderStore('/data'), 'probabilities');
 * steps; // [{ step: 'apply', done: 1, total: 1 }, { step: 'finish', done: 1, total: 1 }]
 * finished; // true
 */
export async function statusOf(store: Store, folder: string): Promise<RunStatus> {
  const plan = await readPlan(store, folder);
  const { out } = plan;
  const records = await store.list(runFiles.records(out));
  const of = (step: Step) => records.filter(({ path }) => path.startsWith(`${runFiles.records(out)}/${step}-`));
  const recorded = new Set(records.map(({ path }) => path));
  const written = await pathsOfParts(store, plan);
  // A record is stored before the parts.
  const doneOf = (step: Exclude<Step, 'finish'>, total: number) =>
    Array.from({ length: total }, (_, index) => index).filter(
      (index) =>
        recorded.has(runFiles.record(out, step, index)) &&
        partsOf(plan, step, index).every((path) => written.has(path)),
    ).length;
  const finished = (await store.stat(runFiles.manifest(out))) !== null;
  const counted = Object.entries(stepsOf(plan)) as [Step, number][];
  const steps = counted
    .filter(([, total]) => total > 0)
    .map(([step, total]) => ({ step, done: step === 'finish' ? Number(finished) : doneOf(step, total), total }));
  const times = [...of('statistics'), ...of('apply')]
    .map(({ modified }) => modified)
    .sort((a, b) => a - b)
    .slice(-recent);
  const seconds = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1000;
  const rate = times.length > 1 && seconds > 0 ? (times.length - 1) / seconds : null;
  const left = steps.reduce((sum, { done, total }) => sum + total - done, 0);
  return {
    run: idOf(plan),
    out,
    operation: plan.operation,
    steps,
    finished,
    cancelled: (await store.stat(runFiles.cancelled(out))) !== null,
    rate,
    secondsLeft: finished ? 0 : rate && left / rate,
  };
}

/** The parts and the statistics that a run has written. */
async function pathsOfParts(store: Store, plan: Plan): Promise<ReadonlySet<string>> {
  const folders = ['statistics', ...resultArrays(plan).map(({ name }) => name)];
  const lists = await Promise.all(folders.map((folder) => store.list(`${plan.out}/${folder}`)));
  return new Set(lists.flat().map(({ path }) => path));
}
