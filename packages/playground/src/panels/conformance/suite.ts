import { loadProvider } from '@softgrad/core';
import type { CaseReport, ConformanceReport } from '@softgrad/core/conformance';

export interface SuiteProgress {
  readonly total: number;
  readonly cases: readonly CaseReport[];
}

/** How often the page can repaint and handle input: each time it draws a table of all sections. */
const betweenPaintsMs = 100;

/**
 * Runs the suite on a backend in this browser.
 *
 * @throws the signal's reason if it is aborted, after the backend is closed
 */
export async function runSuite(
  name: string,
  onProgress: (progress: SuiteProgress) => void,
  signal: AbortSignal,
): Promise<ConformanceReport> {
  const { conformance, reportCase } = await import('@softgrad/core/conformance');
  const bound = await conformance(await loadProvider(name), { required: true });
  const cases: CaseReport[] = [];
  let painted = performance.now();
  for (const boundCase of bound) {
    if (signal.aborted) {
      // The last case closes the backend.
      await bound
        .at(-1)
        ?.run()
        .catch(() => {});
      signal.throwIfAborted();
    }
    cases.push(await reportCase(boundCase));
    if (performance.now() - painted > betweenPaintsMs) {
      onProgress({ total: bound.length, cases: [...cases] });
      await new Promise((resolve) => setTimeout(resolve, 0));
      painted = performance.now();
    }
  }
  onProgress({ total: bound.length, cases });
  return { backend: name, unavailable: null, cases };
}
