import { loadProvider } from '@softgrad/core';
import type { BoundCase } from '@softgrad/core/conformance';

export interface CaseReport {
  readonly id: string;
  readonly name: string;
  readonly section: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** What was wrong, or why the case does not apply here. */
  readonly reason: string | null;
}

/** What became of a backend's cases: the same as `softgrad conformance --json` writes for each. */
export interface ConformanceReport {
  readonly backend: string;
  readonly unavailable: string | null;
  readonly cases: readonly CaseReport[];
}

export interface SuiteProgress {
  readonly total: number;
  readonly cases: readonly CaseReport[];
}

/** The page gets to paint and to hear its reader this often. */
const betweenPaintsMs = 40;

/**
 * Runs the suite on a backend of this browser.
 *
 * @throws the signal's reason where it is aborted, once the backend is closed
 */
export async function runSuite(
  name: string,
  onProgress: (progress: SuiteProgress) => void,
  signal: AbortSignal,
): Promise<ConformanceReport> {
  const { conformance } = await import('@softgrad/core/conformance');
  const bound = await conformance(await loadProvider(name), { required: true });
  const cases: CaseReport[] = [];
  let painted = performance.now();
  for (const boundCase of bound) {
    if (signal.aborted) {
      // The last case closes the backend.
      await bound[bound.length - 1].run().catch(() => {});
      signal.throwIfAborted();
    }
    cases.push(await runCase(boundCase));
    if (performance.now() - painted > betweenPaintsMs) {
      onProgress({ total: bound.length, cases: [...cases] });
      await new Promise((resolve) => setTimeout(resolve, 0));
      painted = performance.now();
    }
  }
  onProgress({ total: bound.length, cases });
  return { backend: name, unavailable: null, cases };
}

async function runCase({ id, name, section, skip, run }: BoundCase): Promise<CaseReport> {
  if (skip !== null) return { id, name, section, outcome: 'skipped', reason: skip };
  try {
    await run();
    return { id, name, section, outcome: 'passed', reason: null };
  } catch (error) {
    return { id, name, section, outcome: 'failed', reason: error instanceof Error ? error.message : String(error) };
  }
}
