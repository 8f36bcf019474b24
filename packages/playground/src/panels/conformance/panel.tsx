import { useEffect, useState } from 'preact/hooks';
import { BackendChoice } from '../../components/backend-choice.js';
import { Problem } from '../../components/problem.js';
import { Progress } from '../../components/progress.js';
import { downloadJson } from '../../download.js';
import { useKept } from '../../kept.js';
import { writeParameters } from '../../location.js';
import '../../styles/conformance.css';
import { Results } from './results.js';
import { cancelSuite, type SuiteRun, startSuite, suiteRun } from './run.js';

/** The suite on a backend in this browser: live progress, and the failures with their reasons. */
export function Conformance({ parameters }: { readonly parameters: URLSearchParams }) {
  const [backend, setBackend] = useState(parameters.get('backend') ?? 'cpu');
  const [only, setOnly] = useState(parameters.get('only') ?? '');
  const { isRunning, progress, report, problem } = useKept(suiteRun);

  useEffect(() => {
    writeParameters('conformance', new URLSearchParams(only === '' ? { backend } : { backend, only }));
  }, [backend, only]);

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
          <button type="button" class="primary" disabled={isRunning} onClick={() => void startSuite(backend, only)}>
            Run the suite
          </button>
          {isRunning && (
            <button type="button" onClick={cancelSuite}>
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
            label={progressLabel(progress, isRunning, report !== null)}
          />
        )}
        <Problem text={problem} />
      </section>
      {progress && progress.cases.length > 0 && <Results {...progress} />}
    </div>
  );
}

function progressLabel(
  { cases, total }: NonNullable<SuiteRun['progress']>,
  isRunning: boolean,
  complete: boolean,
): string {
  if (total === 0) return 'opening the backend …';
  const all = total === 1 ? '1 case' : `${total} cases`;
  if (complete) return all;
  return isRunning ? `${cases.length} of ${all}` : `cancelled after ${cases.length} of ${all}`;
}
