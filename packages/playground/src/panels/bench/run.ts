import {
  type BenchProgress,
  type BenchReport,
  parseReport,
  runBench,
  selectContenders,
  selectWorkloads,
} from '@softgrad/bench';
import { messageOf } from '../../backends.js';
import { Kept } from '../../kept.js';
import type { BenchState } from './state.js';

/** The runs that the panel shows, which are kept while other panels are shown. */
export interface BenchRuns {
  readonly isRunning: boolean;
  readonly progress: BenchProgress | null;
  /** The last complete run on this device. */
  readonly own: BenchReport | null;
  /** A run from a file. */
  readonly loaded: BenchReport | null;
  readonly problem: string | null;
  /** What became of a run that another panel has ended. */
  readonly interruption: string | null;
}

export const benchRuns = new Kept<BenchRuns>({
  isRunning: false,
  progress: null,
  own: null,
  loaded: null,
  problem: null,
  interruption: null,
});

let controller = new AbortController();

/** Times what the state selects. The last complete run stays until this one is complete. */
export async function startBench(state: BenchState): Promise<void> {
  controller = new AbortController();
  const { signal } = controller;
  const progress = { done: 0, total: 0, label: 'loading the engines …' };
  benchRuns.change({ isRunning: true, progress, problem: null, interruption: null });
  try {
    const workloads = selectWorkloads({ ops: state.ops, shapes: state.shapes, dtypes: [state.dtype] });
    const contenders = selectContenders(state.backends, state.peers);
    if (workloads.length === 0 || contenders.length === 0) {
      throw new Error('Nothing to run: choose at least one operation, one shape, and one backend or peer.');
    }
    const show = (next: BenchProgress) => !signal.aborted && benchRuns.change({ progress: next });
    const running = runBench({ workloads, contenders, rounds: state.rounds, signal }, show);
    benchRuns.change({ own: await Promise.race([running, aborted(signal)]) });
  } catch (error) {
    if (!signal.aborted) benchRuns.change({ problem: messageOf(error) });
  }
  benchRuns.change({ isRunning: false, progress: null });
}

export function cancelBench(): void {
  controller.abort();
}

/** Cancels a run because another panel was opened, whose computations would be timed with the run's. */
export function interruptBench(): void {
  const { isRunning, progress } = benchRuns.value;
  if (!isRunning) return;
  const reached = progress !== null && progress.total > 0;
  const after = reached ? ` after ${Math.floor(progress.done)} of ${progress.total} workloads` : '';
  benchRuns.change({
    interruption: `The run was cancelled${after}, because another panel was opened: what a panel computes would disturb the times.`,
  });
  cancelBench();
}

export async function loadRun(file: File): Promise<void> {
  try {
    benchRuns.change({ loaded: parseReport(await file.text(), file.name), problem: null });
  } catch (error) {
    benchRuns.change({ problem: messageOf(error) });
  }
}

/** Rejects as soon as it is cancelled, without waiting for an engine that may never respond. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
}
