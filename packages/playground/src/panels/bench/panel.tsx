import type { BenchReport } from '@softgrad/bench';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { Problem } from '../../components/problem.js';
import { Progress } from '../../components/progress.js';
import { downloadJson } from '../../download.js';
import { useKept } from '../../kept.js';
import { readView, writeParameters } from '../../location.js';
import '../../styles/conformance.css';
import '../../styles/bench.css';
import { Options } from './options.js';
import { Results } from './results.js';
import { benchRuns, cancelBench, interruptBench, loadRun, startBench } from './run.js';
import type { Mode, NamedReport } from './series.js';
import { type BenchState, fromParameters, roundsRefusal, toParameters } from './state.js';

const modes: readonly (readonly [mode: Mode, name: string, meaning: string])[] = [
  ['reused', 'output reused', 'Calls on operands on the device, into an output that exists.'],
  ['allocating', 'output allocated', 'Calls on operands on the device, with a new output for each.'],
  [
    'endToEnd',
    'end to end',
    'From an array on the host to an array on the host: copy to the device, compute, copy back.',
  ],
];

/** Operations by shapes on backends and other libraries in this browser, with charts, and a report from another device for comparison. */
export function Bench({ parameters }: { readonly parameters: URLSearchParams }) {
  const [state, setState] = useState<BenchState>(() => fromParameters(parameters));
  const [refusal, setRefusal] = useState(() => roundsRefusal(parameters));
  const { isRunning, progress, own, loaded, problem, interruption } = useKept(benchRuns);

  useEffect(() => writeParameters('bench', toParameters(state)), [state]);
  useEffect(
    () => () => {
      // A link to the same panel replaces it, too.
      if (readView().panel !== 'bench') interruptBench();
    },
    [],
  );
  const change = (part: Partial<BenchState>) => {
    setState((before) => ({ ...before, ...part }));
    if (part.rounds !== undefined) setRefusal(null);
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
          <button type="button" class="primary" disabled={isRunning} onClick={() => void startBench(state)}>
            Run
          </button>
          {isRunning && (
            <button type="button" onClick={cancelBench}>
              Cancel
            </button>
          )}
          {own && (
            <button type="button" onClick={() => downloadJson('softgrad-bench.json', own)}>
              Download JSON
            </button>
          )}
          <LoadButton onFile={(file) => void loadRun(file)} />
          {loaded && (
            <button type="button" onClick={() => benchRuns.change({ loaded: null })}>
              Remove the loaded run
            </button>
          )}
        </div>
        {progress && <Progress done={progress.done} total={progress.total} label={progress.label} />}
        {interruption !== null && <p class="caption">{interruption}</p>}
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
        <p class="caption">{modes.find(([each]) => each === mode)?.[2]}</p>
      </fieldset>
    </section>
  );
}

/** Browsers only tell the number of processors. */
function placeOf({ runtime, platform, processor, logicalProcessors, crossOriginIsolated }: BenchReport['environment']) {
  const machine = platform === 'browser' ? '' : `${platform}, ${processor}, `;
  const isolation = crossOriginIsolated ? '' : ', not cross-origin isolated';
  return `${runtime}; ${machine}${logicalProcessors} logical processors${isolation}`;
}
