import { loadProvider } from '@softgrad/core';
import type { CaseReport, ConformanceReport } from '@softgrad/core/conformance';

export interface SuiteProgress {
  readonly backend: string;
  readonly total: number;
  readonly cases: readonly CaseReport[];
}

/** How often the page can repaint and handle input: each time it draws a table of all sections. */
const betweenPaintsMs = 100;

/**
 * Runs the suite on a backend in this browser.
 *
 * @param only part of the name of the cases to run; the case that closes the backend runs anyway
 * @throws the signal's reason if it is aborted, or an error if no name contains `only`, after the backend is closed
 */
export async function runSuite(
  name: string,
  only: string,
  onProgress: (progress: SuiteProgress) => void,
  signal: AbortSignal,
): Promise<ConformanceReport> {
  const { conformance, reportCase } = await import('@softgrad/core/conformance');
  const all = await conformance(await loadProvider(name), { required: true });
  const closing = all.at(-1);
  const bound = all.filter((boundCase) => boundCase === closing || boundCase.name.includes(only));
  const isAsked = bound.some((boundCase) => boundCase.name.includes(only));
  const cases: CaseReport[] = [];
  let painted = performance.now();
  for (const boundCase of bound) {
    if (signal.aborted || !isAsked) {
      await closing?.run().catch(() => {});
      signal.throwIfAborted();
      throw new Error(`No case has '${only}' in its name; a name is like '${closing?.name}'.`);
    }
    cases.push(await reportCase(boundCase));
    if (performance.now() - painted > betweenPaintsMs) {
      onProgress({ backend: name, total: bound.length, cases: [...cases] });
      await new Promise((resolve) => setTimeout(resolve, 0));
      painted = performance.now();
    }
  }
  onProgress({ backend: name, total: bound.length, cases });
  return { backend: name, unavailable: null, total: all.length, cases };
}
