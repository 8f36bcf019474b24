import { benchOps, jacobianShapes, peers, standardShapes } from '@softgrad/bench';
import { useState } from 'preact/hooks';
import { BackendChoice } from '../../components/backend-choice.js';
import { NumberField } from '../../components/number-field.js';
import { type BenchState, roundsRange } from './state.js';

interface Props {
  readonly state: BenchState;
  /** Why the rounds of the link were not taken. */
  readonly roundsRefusal: string | null;
  readonly onChange: (part: Partial<BenchState>) => void;
}

/** Contenders that do not run in browsers. */
const nodeOnly: readonly string[] = ['onnxruntime-node', 'onnxruntime-node-2t'];

const shapes = [...new Set([...standardShapes, ...jacobianShapes, [256, 1000]].map((shape) => shape.join('x')))].sort(
  (a, b) => sizeOf(a) - sizeOf(b),
);

/** The choice of operations, shapes and contenders. */
export function Options({ state, roundsRefusal, onChange }: Props) {
  // What a link has chosen can be taken back.
  const [linked] = useState(state.peers);
  return (
    <div class="options">
      <Several
        legend="Operations"
        names={benchOps}
        others="unknown operation"
        chosen={state.ops}
        onChange={(ops) => onChange({ ops })}
      />
      <Several
        legend="Shapes, rows × classes"
        names={shapes}
        chosen={state.shapes}
        onChange={(chosen) => onChange({ shapes: chosen })}
      />
      <BackendChoice
        legend="Backends"
        several
        chosen={state.backends}
        onChoose={(name) => onChange({ backends: toggled(state.backends, name) })}
      />
      <fieldset class="choice">
        <legend>Other libraries</legend>
        {withOthers(Object.keys(peers), linked).map((name) => (
          <label key={name} class={nodeOnly.includes(name) ? 'unavailable' : ''}>
            <input
              type="checkbox"
              disabled={nodeOnly.includes(name) && !linked.includes(name)}
              checked={state.peers.includes(name)}
              onChange={() => onChange({ peers: toggled(state.peers, name) })}
            />
            {name}
            {nodeOnly.includes(name) && <span class="reason">runs in Node only</span>}
            {!(name in peers) && <span class="reason">unknown library</span>}
          </label>
        ))}
      </fieldset>
      <fieldset class="choice">
        <legend>Dtype</legend>
        {(['float32', 'float64'] as const).map((dtype) => (
          <label key={dtype}>
            <input
              type="radio"
              name="bench-dtype"
              checked={state.dtype === dtype}
              onChange={() => onChange({ dtype })}
            />
            {dtype}
          </label>
        ))}
      </fieldset>
      <fieldset class="choice rounds">
        <legend>Rounds</legend>
        <NumberField
          label="rounds"
          value={state.rounds}
          {...roundsRange}
          problem={roundsRefusal}
          onChange={(rounds) => onChange({ rounds })}
        />
      </fieldset>
    </div>
  );
}

interface SeveralProps {
  readonly legend: string;
  readonly names: readonly string[];
  /** What names of a link are that are not among these, if they are a mistake. */
  readonly others?: string;
  readonly chosen: readonly string[];
  readonly onChange: (chosen: readonly string[]) => void;
}

function Several({ legend, names, others, chosen, onChange }: SeveralProps) {
  const [linked] = useState(chosen);
  return (
    <fieldset class="choice">
      <legend>{legend}</legend>
      {withOthers(names, linked).map((name) => (
        <label key={name}>
          <input type="checkbox" checked={chosen.includes(name)} onChange={() => onChange(toggled(chosen, name))} />
          {name.replace('x', name.match(/^\d/) ? '×' : 'x')}
          {others !== undefined && !names.includes(name) && <span class="reason">{others}</span>}
        </label>
      ))}
    </fieldset>
  );
}

/** The names, and behind them others that a link has chosen. */
function withOthers(names: readonly string[], linked: readonly string[]): readonly string[] {
  return [...new Set([...names, ...linked])];
}

function toggled(names: readonly string[], name: string): readonly string[] {
  return names.includes(name) ? names.filter((other) => other !== name) : [...names, name];
}

function sizeOf(shape: string): number {
  return shape.split('x').reduce((product, length) => product * Number(length), 1);
}
