import { knownExpressions } from '@softgrad/doctor';
import { useEffect, useRef, useState } from 'preact/hooks';
import { NumberField } from '../../components/number-field.js';
import { Problem } from '../../components/problem.js';
import { tooLongNote } from '../../last-state.js';
import { useLatest } from '../../latest.js';
import { writeParameters } from '../../location.js';
import '../../styles/conformance.css';
import '../../styles/doctor.css';
import { ArrayField } from './array-field.js';
import { ask, type Field, labelOf } from './ask.js';
import { DiagnosisCard } from './diagnosis.js';
import { type Example, examples } from './examples.js';
import {
  type DoctorState,
  isLinked,
  kinds,
  lastState,
  layers,
  oneOf,
  type Refusals,
  ranges,
  reductions,
  startOf,
  toParameters,
} from './state.js';

const hints: Readonly<Record<Field, string>> = {
  signal: '(n, f): samples × classes',
  gradient: 'what you computed: (n, f), (n, f, f), or its code',
  upstream: 'optional: ∂L/∂s, of the same shape',
  target: 'optional: class indices or probabilities',
  mask: '1 to keep an entry, 0 to mask it',
  weight: 'of the loss, one number for each class',
};

const always = ['signal', 'gradient', 'upstream', 'target'] as const;
const rarely = ['mask', 'weight'] as const;

/** Finds the mistake in a given gradient. */
export function Doctor({ parameters }: { readonly parameters: URLSearchParams }) {
  const [given] = useState(() => startOf(parameters));
  const [state, setState] = useState(given.state);
  const { result, error } = useLatest(state, ask);
  useEffect(() => {
    const written = toParameters(state);
    lastState.keep(state, written);
    writeParameters('doctor', written);
  }, [state]);
  // Why the last file opened for a field, or its value in the link, was refused.
  const [refusals, setRefusals] = useState(given.refusals);
  const change = (part: Partial<DoctorState>, refusal: string | null = null) => {
    setState((before) => ({ ...before, ...part }));
    const changed = Object.keys(part).map((name) => [name, refusal]);
    setRefusals((before) => ({ ...before, ...Object.fromEntries(changed) }));
  };
  const answer = useRef<HTMLDivElement>(null);
  const isExample = useRef(false);
  const load = async (example: Example) => {
    setState(await example.state());
    setRefusals({});
    isExample.current = true;
  };
  const problem = result?.problem ?? null;
  const refused = Object.values(refusals).some((refusal) => refusal !== null);
  // After an error the latest result belongs to an earlier question.
  const diagnosis = error === null ? result?.diagnosis : null;
  useEffect(() => {
    if (!isExample.current || !diagnosis) return;
    isExample.current = false;
    // On a phone the answer is a page below the example.
    if ((answer.current?.getBoundingClientRect().top ?? 0) > innerHeight) answer.current?.scrollIntoView();
  }, [diagnosis]);

  const arrayField = (field: Field) => (
    <ArrayField
      key={field}
      label={labelOf(field, state)}
      hint={hints[field]}
      lines={field === 'signal' || field === 'gradient' ? 5 : 2}
      value={state[field]}
      problem={refusals[field] ?? (problem?.field === field ? problem.text : null)}
      onChange={(text, refusal) => change({ [field]: text }, refusal)}
    />
  );

  return (
    <div class="doctor">
      <section class="intro">
        <h1>What is wrong with this gradient?</h1>
        <p>
          Paste what went into the softmax and the gradient that came out. The numbers are compared with every known
          mistake; one is named only where it explains them far better than all others.
        </p>
        <fieldset class="examples">
          <legend>Examples, on the sample signal</legend>
          {examples.map((example) => (
            <button key={example.title} type="button" onClick={() => void load(example)}>
              {example.title}
            </button>
          ))}
        </fieldset>
      </section>
      <div class="consultation">
        <section class="card question" aria-label="Your numbers">
          <fieldset class="choice">
            <legend>You know the softmax’s</legend>
            {kinds.map((kind) => (
              <label key={kind}>
                <input type="radio" name="kind" checked={state.kind === kind} onChange={() => change({ kind })} />
                {kind === 'logits' ? 'input, the logits' : 'output, the probabilities'}
              </label>
            ))}
            <Refusal text={refusals.kind} />
          </fieldset>
          {always.map((field) =>
            field === 'gradient'
              ? [arrayField(field), <CodeChoice key="code" onChoose={(gradient) => change({ gradient })} />]
              : arrayField(field),
          )}
          {!isLinked(state) && <p class="quiet note">{tooLongNote}</p>}
          <Settings state={state} refusals={refusals} onChange={change} />
          <details class="more" open={hasMore(parameters)}>
            <summary>Mask, weights, smoothing, ignored rows</summary>
            {rarely.map(arrayField)}
            <LossSettings state={state} refusals={refusals} onChange={change} />
          </details>
        </section>
        <div class="answer" ref={answer}>
          <Problem text={error ?? (problem?.field === null ? problem.text : null)} />
          {/* Screen readers announce what changes in a live region, not one that is new. */}
          <div aria-live="polite">
            {refused ? (
              <p class="card quiet">
                No answer: a file or a value of the link was not taken, and its field says why. Open another, or type
                there.
              </p>
            ) : diagnosis ? (
              <DiagnosisCard diagnosis={diagnosis} />
            ) : (
              <p class="card quiet">{missing(state, error === null ? (problem?.field ?? null) : null)}</p>
            )}
          </div>
        </div>
      </div>
    </div>
  );
}

/** True if a link has a value for the collapsed section. */
function hasMore(parameters: URLSearchParams): boolean {
  return ['mask', 'weight', 'labelSmoothing', 'ignoreIndex'].some((name) => parameters.has(name));
}

/** Why a choice in the link was not taken. */
function Refusal({ text = null }: { readonly text?: string | null | undefined }) {
  return text === null ? null : (
    <span class="problem" role="alert">
      {text}
    </span>
  );
}

/** A list of the code that the doctor knows, for the field of the gradient. */
function CodeChoice({ onChoose }: { readonly onChoose: (expression: string) => void }) {
  return (
    <label class="code-choice">
      <span>code instead of numbers</span>
      <select
        value=""
        onChange={(event) => {
          if (event.currentTarget.value !== '') onChoose(event.currentTarget.value);
          event.currentTarget.value = '';
        }}
      >
        <option value="">choose …</option>
        {knownExpressions().map(({ expression }) => (
          <option key={expression} value={expression}>
            {expression}
          </option>
        ))}
      </select>
    </label>
  );
}

/** What is missing for an answer. */
function missing({ kind, signal, gradient }: DoctorState, faulty: Field | null): string {
  if (faulty !== null)
    return `No answer: the field “${faulty === 'signal' ? kind : faulty}” has an error, which is below it.`;
  if (gradient.trim() !== '') return 'The gradient is there. As numbers it needs the logits or the probabilities, too.';
  if (signal.trim() !== '')
    return `The ${kind} are there. The answer comes with the gradient: its numbers, or its code.`;
  return 'The answer comes here as soon as there is a gradient: as numbers beside the logits or probabilities, or as code, which needs neither.';
}

interface SettingsProps {
  readonly state: DoctorState;
  readonly refusals: Refusals;
  readonly onChange: (part: Partial<DoctorState>) => void;
}

function Settings({ state, refusals, onChange }: SettingsProps) {
  return (
    <div class="settings">
      <div>
        <span aria-hidden="true">axis</span>
        <NumberField
          label="axis"
          value={state.axis}
          {...ranges.axis}
          problem={refusals.axis}
          onChange={(axis) => onChange({ axis })}
        />
      </div>
      <div>
        <span aria-hidden="true">temperature</span>
        <NumberField
          label="temperature"
          value={state.temperature}
          {...ranges.temperature}
          placeholder="not known"
          problem={refusals.temperature}
          onChange={(temperature) => onChange({ temperature })}
          onClear={() => onChange({ temperature: null })}
        />
      </div>
      <label>
        <span>layer</span>
        <select value={state.layer} onChange={(event) => onChange({ layer: oneOf(layers, event.currentTarget.value) })}>
          <option value="">softmax or cross-entropy</option>
          {layers.map((layer) => (
            <option key={layer} value={layer}>
              {layer}
            </option>
          ))}
        </select>
        <Refusal text={refusals.layer} />
      </label>
      <label>
        <span>reduction of the loss</span>
        <select
          value={state.reduction}
          onChange={(event) => onChange({ reduction: oneOf(reductions, event.currentTarget.value) })}
        >
          <option value="">not known</option>
          {reductions.map((reduction) => (
            <option key={reduction} value={reduction}>
              {reduction}
            </option>
          ))}
        </select>
        <Refusal text={refusals.reduction} />
      </label>
    </div>
  );
}

/** Options of the cross-entropy that are rarely used. */
function LossSettings({ state, refusals, onChange }: SettingsProps) {
  return (
    <div class="settings">
      <div>
        <span aria-hidden="true">label smoothing, 0 to 1</span>
        <NumberField
          label="label smoothing"
          value={state.labelSmoothing}
          placeholder="not known"
          {...ranges.labelSmoothing}
          problem={refusals.labelSmoothing}
          onChange={(labelSmoothing) => onChange({ labelSmoothing })}
          onClear={() => onChange({ labelSmoothing: null })}
        />
      </div>
      <div>
        <span aria-hidden="true">ignored class index</span>
        <NumberField
          label="ignored class index"
          value={state.ignoreIndex}
          {...ranges.ignoreIndex}
          problem={refusals.ignoreIndex}
          onChange={(ignoreIndex) => onChange({ ignoreIndex })}
        />
      </div>
    </div>
  );
}
