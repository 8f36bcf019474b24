import type { ConformanceReport } from '@softgrad/core/conformance';
import { useEffect, useRef, useState } from 'preact/hooks';
import { messageOf } from '../../backends.js';
import { BackendChoice } from '../../components/backend-choice.js';
import { Problem } from '../../components/problem.js';
import { Progress } from '../../components/progress.js';
import { downloadJson } from '../../download.js';
import { writeParameters } from '../../location.js';
import '../../styles/conformance.css';
import { Results } from './results.js';
import { runSuite, type SuiteProgress } from './suite.js';

/** The suite on a backend in this browser: live progress, and the failures with their reasons. */
export function Conformance({ parameters }: { readonly parameters: URLSearchParams }) {
  const [backend, setBackend] = useState(parameters.get('backend') ?? 'cpu');
  const [only, setOnly] = useState(parameters.get('only') ?? '');
  const [progress, setProgress] = useState<SuiteProgress | null>(null);
  const [report, setReport] = useState<ConformanceReport | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const running = useRef<AbortController | null>(null);
  const [busy, setBusy] = useState(false);

  useEffect(() => {
    writeParameters('conformance', new URLSearchParams(only === '' ? { backend } : { backend, only }));
  }, [backend, only]);
  useEffect(() => () => running.current?.abort(), []);

  const run = async () => {
    const controller = new AbortController();
    running.current = controller;
    setBusy(true);
    setProblem(null);
    setReport(null);
    setProgress({ backend, total: 0, cases: [] });
    try {
      setReport(await runSuite(backend, only, setProgress, controller.signal));
    } catch (error) {
      if (!controller.signal.aborted) setProblem(messageOf(error));
      // Nothing ran: there is no progress to show.
      setProgress((reached) => (reached?.total === 0 ? null : reached));
    }
    setBusy(false);
  };

  return (
    <div class="conformance">
      <section class="intro">
        <h1>Does an engine compute what it should, here?</h1>
        <p>
          Every case states one fact about a backend: values against a float64 reference within a stated error bound,
          laws that hold for every operation, what it announces, that nothing leaks. Cases run with its fused kernels
          and without.
        </p>
      </section>
      <section class="card" aria-label="What to run">
        <BackendChoice legend="Backend" chosen={backend} onChoose={setBackend} />
        <label class="only">
          Only cases whose name contains{' '}
          <input
            type="text"
            placeholder="softmax/vjp:"
            value={only}
            onInput={(event) => setOnly(event.currentTarget.value)}
          />
        </label>
        <div class="actions">
          <button type="button" class="primary" disabled={busy} onClick={() => void run()}>
            Run the suite
          </button>
          {busy && (
            <button type="button" onClick={() => running.current?.abort()}>
              Cancel
            </button>
          )}
          {report && (
            <button type="button" onClick={() => downloadJson(`conformance-${report.backend}.json`, [report])}>
              Download JSON
            </button>
          )}
        </div>
        {progress && (
          <Progress
            done={progress.cases.length}
            total={progress.total}
            label={progressLabel(progress, busy, report !== null)}
          />
        )}
        <Problem text={problem} />
      </section>
      {progress && progress.cases.length > 0 && <Results {...progress} />}
    </div>
  );
}

function progressLabel({ cases, total }: SuiteProgress, busy: boolean, complete: boolean): string {
  if (total === 0) return 'opening the backend …';
  const all = total === 1 ? '1 case' : `${total} cases`;
  if (complete) return all;
  return busy ? `${cases.length} of ${all}` : `cancelled after ${cases.length} of ${all}`;
}
