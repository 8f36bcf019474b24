import {
  type BenchProgress,
  type BenchReport,
  parseReport,
  runBench,
  selectContenders,
  selectWorkloads,
} from '@softgrad/bench';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { messageOf } from '../../backends.js';
import { Problem } from '../../components/problem.js';
import { Progress } from '../../components/progress.js';
import { downloadJson } from '../../download.js';
import { writeParameters } from '../../location.js';
import '../../styles/conformance.css';
import '../../styles/bench.css';
import { Options } from './options.js';
import { Results } from './results.js';
import type { Mode, NamedReport } from './series.js';
import { type BenchState, fromParameters, roundsRefusal, toParameters } from './state.js';

const modes: readonly (readonly [mode: Mode, name: string])[] = [
  ['reused', 'output reused'],
  ['allocating', 'output allocated'],
  ['endToEnd', 'end to end'],
];

/** Operations by shapes on backends and other libraries in this browser, with charts, and a report from another device for comparison. */
export function Bench({ parameters }: { readonly parameters: URLSearchParams }) {
  const [state, setState] = useState<BenchState>(() => fromParameters(parameters));
  const [refusal, setRefusal] = useState(() => roundsRefusal(parameters));
  const [own, setOwn] = useState<BenchReport | null>(null);
  const [loaded, setLoaded] = useState<BenchReport | null>(null);
  const [progress, setProgress] = useState<BenchProgress | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const running = useRef<AbortController | null>(null);
  const [busy, setBusy] = useState(false);

  useEffect(() => writeParameters('bench', toParameters(state)), [state]);
  useEffect(() => () => running.current?.abort(), []);
  const change = (part: Partial<BenchState>) => {
    setState((before) => ({ ...before, ...part }));
    if (part.rounds !== undefined) setRefusal(null);
  };

  const run = async () => {
    const controller = new AbortController();
    running.current = controller;
    setBusy(true);
    setProblem(null);
    setProgress({ done: 0, total: 0, label: 'loading the engines …' });
    try {
      const workloads = selectWorkloads({ ops: state.ops, shapes: state.shapes, dtypes: [state.dtype] });
      const contenders = selectContenders(state.backends, state.peers);
      if (workloads.length === 0 || contenders.length === 0) {
        throw new Error('Nothing to run: choose at least one operation, one shape, and one backend or peer.');
      }
      const { signal } = controller;
      const running = runBench({ workloads, contenders, rounds: state.rounds, signal }, setProgress);
      setOwn(await Promise.race([running, aborted(signal)]));
      setProgress(null);
    } catch (error) {
      setProgress(null);
      if (!controller.signal.aborted) setProblem(messageOf(error));
    }
    setBusy(false);
  };
  const load = async (file: File) => {
    try {
      setLoaded(parseReport(await file.text(), file.name));
      setProblem(null);
    } catch (error) {
      setProblem(messageOf(error));
    }
  };

  const reports = useMemo(() => {
    const all = [own, loaded].filter((report) => report !== null);
    return all.map((report, k): NamedReport => ({ letter: k === 0 ? 'A' : 'B', report }));
  }, [own, loaded]);

  return (
    <div class="bench">
      <section class="intro">
        <h1>Which engine is the fastest, on this device?</h1>
        <p>
          Contenders are checked first, then timed in interleaved rounds, so that drift of the machine hits all alike. A
          difference inside the noise is not called one.
        </p>
      </section>
      <section class="card" aria-label="What to run">
        <Options state={state} roundsRefusal={refusal} onChange={change} />
        <div class="actions">
          <button type="button" class="primary" disabled={busy} onClick={() => void run()}>
            Run
          </button>
          {busy && (
            <button type="button" onClick={() => running.current?.abort()}>
              Cancel
            </button>
          )}
          {own && (
            <button type="button" onClick={() => downloadJson('softgrad-bench.json', own)}>
              Download JSON
            </button>
          )}
          <LoadButton onFile={(file) => void load(file)} />
          {loaded && (
            <button type="button" onClick={() => setLoaded(null)}>
              Remove the loaded run
            </button>
          )}
        </div>
        {progress && <Progress done={progress.done} total={progress.total} label={progress.label} />}
        <Problem text={problem} />
      </section>
      {reports.length > 0 && (
        <>
          <Runs reports={reports} mode={state.mode} onMode={(mode) => change({ mode })} />
          <Results reports={reports} mode={state.mode} />
        </>
      )}
    </div>
  );
}

function LoadButton({ onFile }: { readonly onFile: (file: File) => void }) {
  const chooser = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" onClick={() => chooser.current?.click()}>
        Load a run to compare …
      </button>
      <input
        ref={chooser}
        type="file"
        hidden
        accept=".json"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          event.currentTarget.value = '';
          if (file) onFile(file);
        }}
      />
    </>
  );
}

interface RunsProps {
  readonly reports: readonly NamedReport[];
  readonly mode: Mode;
  readonly onMode: (mode: Mode) => void;
}

/** The origin of the numbers, and which of the timed modes is shown. */
function Runs({ reports, mode, onMode }: RunsProps) {
  return (
    <section class="card runs" aria-label="Runs">
      <dl>
        {reports.map(({ letter, report: { environment } }) => (
          <div key={letter}>
            <dt>
              <span class="letter">{letter}</span> {environment.date.slice(0, 16).replace('T', ' ')} UTC
            </dt>
            <dd>{placeOf(environment)}</dd>
          </div>
        ))}
      </dl>
      <fieldset class="choice">
        <legend>Shown</legend>
        {modes.map(([each, name]) => (
          <label key={each}>
            <input type="radio" name="mode" checked={each === mode} onChange={() => onMode(each)} />
            {name}
          </label>
        ))}
      </fieldset>
    </section>
  );
}

/** Rejects as soon as it is cancelled, without waiting for an engine that may never respond. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
}

/** Browsers only tell the number of processors. */
function placeOf({ runtime, platform, processor, logicalProcessors, crossOriginIsolated }: BenchReport['environment']) {
  const machine = platform === 'browser' ? '' : `${platform}, ${processor}, `;
  const isolation = crossOriginIsolated ? '' : ', not cross-origin isolated';
  return `${runtime}; ${machine}${logicalProcessors} logical processors${isolation}`;
}
