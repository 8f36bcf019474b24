import type { ConformanceReport } from '@softgrad/core/conformance';
import { messageOf } from '../../backends.js';
import { Kept } from '../../kept.js';
import { running } from '../../running.js';
import { runSuite, type SuiteProgress } from './suite.js';

/** The last run of the suite, which goes on while other panels are shown. */
export interface SuiteRun {
  readonly isRunning: boolean;
  readonly progress: SuiteProgress | null;
  /** Null unless all cases ran. */
  readonly report: ConformanceReport | null;
  readonly problem: string | null;
}

export const suiteRun = new Kept<SuiteRun>({ isRunning: false, progress: null, report: null, problem: null });

let controller = new AbortController();

/** Runs the cases whose name contains `only`; the results of the run before are dropped. */
export async function startSuite(backend: string, only: string): Promise<void> {
  controller = new AbortController();
  const { signal } = controller;
  running.change({ conformance: true });
  suiteRun.change({ isRunning: true, progress: { backend, total: 0, cases: [] }, report: null, problem: null });
  try {
    const report = await runSuite(backend, only, (progress) => suiteRun.change({ progress }), signal);
    suiteRun.change({ report });
  } catch (error) {
    const { progress } = suiteRun.value;
    suiteRun.change({
      problem: signal.aborted ? null : messageOf(error),
      // If nothing ran there is no progress to show.
      progress: progress?.total === 0 ? null : progress,
    });
  }
  suiteRun.change({ isRunning: false });
  running.change({ conformance: false });
}

export function cancelSuite(): void {
  controller.abort();
}
