import type { HostArray } from '@softgrad/core';
import { NumberField } from '../../components/number-field.js';
import { useReach } from '../../components/reach.js';
import { formatNumber, formatShape, subscript } from '../../format.js';
import { tooLongNote } from '../../last-state.js';
import { ClassWindowControls, useClassWindow } from './class-window.js';
import type { Results } from './compute.js';
import { EngineChoice } from './engine.js';
import { SignalInput } from './signal-input.js';
import { type ExploreState, linkedRows, logitRange, temperatureRange, withClasses } from './state.js';

interface Props {
  readonly state: ExploreState;
  readonly result: Results | null;
  readonly onChange: (part: Partial<ExploreState>) => void;
}

/** The signal, sliders for one sample's logits, the temperature and the engine. */
export function Controls(props: Props) {
  const { state, onChange } = props;
  const { signal } = state;
  return (
    <section class="controls card" aria-labelledby="signal-title">
      <h2 id="signal-title">Signal x</h2>
      <SignalInput signal={signal} onChange={onChange} />
      {linkedRows(state) === null && <p class="quiet note">{tooLongNote}</p>}
      <Samples {...props} />
      <Logits {...props} />
      <Temperature {...props} />
      <EngineChoice {...props} />
    </section>
  );
}

/** How many samples are listed at once; of a longer signal, those around the chosen one. */
const listed = 6;

/** How many shares the picture of a sample has at most. */
const mostShares = 40;

/** The probabilities of a sample; of many classes, the sums over groups of neighbours, so that the picture has room for all of them. */
function shares(probabilities: HostArray): readonly number[] {
  const width = Math.ceil(probabilities.length / mostShares);
  return Array.from({ length: Math.ceil(probabilities.length / width) }, (_, group) =>
    Array.from(probabilities.subarray(group * width, (group + 1) * width)).reduce((sum, s) => sum + s, 0),
  );
}

function Samples({ state: { signal, row }, result, onChange }: Props) {
  const { rows, classes } = signal;
  const first = Math.max(0, Math.min(row - Math.floor(listed / 2), rows - listed));
  const shown = Array.from({ length: Math.min(rows, listed) }, (_, k) => first + k);
  const probabilities = result?.state.signal === signal ? result.probabilities : null;
  return (
    <fieldset class="samples">
      <legend>
        Sample{' '}
        <span class="quiet">
          {formatShape([rows, classes])}: {rows === 1 ? '1 sample' : `${rows} samples`} of{' '}
          {classes === 1 ? '1 class' : `${classes} classes`}
        </span>
      </legend>
      {rows > listed && (
        <NumberField
          label="sample"
          value={row}
          least={0}
          most={rows - 1}
          integer
          onChange={(value) => onChange({ row: value })}
        />
      )}
      {shown.map((k) => (
        <label key={k} class="sample">
          <input type="radio" name="sample" checked={k === row} onChange={() => onChange({ row: k })} />
          <span class="sample-name">{k}</span>
          <span class="stack" aria-hidden="true">
            {probabilities &&
              shares(probabilities.subarray(k * classes, (k + 1) * classes)).map((share, c) => (
                <span key={c} style={{ width: share > 0 ? `${100 * share}%` : 0 }} />
              ))}
          </span>
        </label>
      ))}
    </fieldset>
  );
}

function Logits({ state, onChange }: Props) {
  const { signal, row } = state;
  const { classes, values } = signal;
  const window = useClassWindow(classes);
  const logitOf = (k: number) => values[row * classes + k] ?? Number.NaN;
  const largest = window.shown
    .map(logitOf)
    .filter(Number.isFinite)
    .map((x) => Math.ceil(Math.abs(x)));
  const { reach, keepFor } = useReach(values, Math.max(5, ...largest));
  const setLogit = (k: number, value: number, isDragged: boolean) => {
    const changed = values.slice();
    changed[row * classes + k] = value;
    if (isDragged) keepFor(changed);
    onChange({ signal: { ...signal, values: changed } });
  };
  return (
    <fieldset class="sliders">
      <legend>Logits of sample {row}</legend>
      <ClassWindowControls window={window} one="logit" many="logits" symbol="x" />
      {window.shown.map((k) => (
        <div key={k} class="slider">
          <span class="slider-name">{subscript('x', k)}</span>
          <input
            type="range"
            min={-reach}
            max={reach}
            step="any"
            value={Number.isFinite(logitOf(k)) ? logitOf(k) : -reach}
            aria-label={`logit ${subscript('x', k)}`}
            aria-valuetext={formatNumber(logitOf(k))}
            onInput={(event) => setLogit(k, event.currentTarget.valueAsNumber, true)}
          />
          <NumberField
            label={`logit ${subscript('x', k)}, number`}
            value={logitOf(k)}
            {...logitRange}
            onChange={(next) => setLogit(k, next, false)}
          />
        </div>
      ))}
      <div class="class-count">
        <button
          type="button"
          onClick={() => {
            onChange(withClasses(state, classes + 1));
            window.showLast(classes + 1);
          }}
        >
          Add a class
        </button>
        {/* A button that is disabled while it has the focus would lose it. */}
        <button
          type="button"
          aria-disabled={classes === 1}
          onClick={() => classes > 1 && onChange(withClasses(state, classes - 1))}
        >
          Remove {subscript('x', classes - 1)}
        </button>
      </div>
    </fieldset>
  );
}

function Temperature({ state: { temperature }, onChange }: Props) {
  const { least, most } = temperatureRange;
  return (
    <fieldset class="sliders">
      <legend>
        Temperature <span class="quiet">softmax(x / T)</span>
      </legend>
      <div class="slider">
        <span class="slider-name">T</span>
        <input
          type="range"
          min={Math.log(least)}
          max={Math.log(most)}
          step="any"
          value={Math.log(temperature)}
          aria-label="temperature"
          aria-valuetext={temperature.toPrecision(3)}
          onInput={(event) => {
            const dragged = Math.exp(event.currentTarget.valueAsNumber);
            onChange({ temperature: Number(Math.min(most, Math.max(least, dragged)).toPrecision(3)) });
          }}
        />
        <NumberField
          label="temperature, number"
          value={temperature}
          {...temperatureRange}
          onChange={(value) => onChange({ temperature: value })}
        />
      </div>
    </fieldset>
  );
}
