import type { Layer } from '@softgrad/doctor';
import { LastState, longestInLink, tooLong } from '../../last-state.js';
import { expectedOf, type NumberRange, numberIn, refusalOf } from '../../number-range.js';

/** The functions that the layer may compute. */
export const layers = ['softmax', 'log-softmax', 'sigmoid', 'cross-entropy'] as const satisfies readonly Layer[];

export const reductions = ['mean', 'sum', 'none'] as const;

export const kinds = ['logits', 'probabilities'] as const;

/** The inputs of the doctor, as they were pasted. */
export interface DoctorState {
  /** Whether the signal is the softmax's input or its output. */
  readonly kind: (typeof kinds)[number];
  readonly signal: string;
  /** Numbers, or a NumPy expression that the doctor knows. */
  readonly gradient: string;
  readonly upstream: string;
  readonly target: string;
  readonly mask: string;
  readonly weight: string;
  readonly axis: number;
  /** Null if unknown. */
  readonly temperature: number | null;
  /** Empty if unknown. */
  readonly layer: '' | Layer;
  readonly reduction: '' | (typeof reductions)[number];
  /** Null if unknown. */
  readonly labelSmoothing: number | null;
  readonly ignoreIndex: number;
}

export const empty: DoctorState = {
  kind: 'logits',
  signal: '',
  gradient: '',
  upstream: '',
  target: '',
  mask: '',
  weight: '',
  axis: -1,
  temperature: null,
  layer: '',
  reduction: '',
  labelSmoothing: null,
  ignoreIndex: -100,
};

const texts = ['signal', 'gradient', 'upstream', 'target', 'mask', 'weight'] as const;
const settings = ['kind', 'axis', 'temperature', 'layer', 'reduction', 'labelSmoothing', 'ignoreIndex'] as const;

/** The last state of the panel: its link may be too short for its arrays. */
export const lastState = new LastState<DoctorState>();

export function startOf(parameters: URLSearchParams): ReturnType<typeof fromParameters> {
  const state = lastState.of(parameters);
  return state === null ? fromParameters(parameters) : { state, refusals: {} };
}

/** Whether a link can have the arrays. */
export function isLinked(state: DoctorState): boolean {
  return texts.reduce((sum, name) => sum + state[name].length, 0) <= longestInLink;
}

export function toParameters(state: DoctorState): URLSearchParams {
  const parameters = new URLSearchParams();
  const linked = isLinked(state);
  for (const name of texts) if (state[name] !== '') parameters.set(name, linked ? state[name] : tooLong);
  for (const name of settings) {
    if (state[name] !== empty[name]) parameters.set(name, String(state[name]));
  }
  return parameters;
}

/** The settings of the doctor's fields of numbers. */
export const ranges = {
  axis: { least: -8, most: 8, integer: true },
  temperature: { least: 1e-9 },
  labelSmoothing: { least: 0, most: 1 },
  ignoreIndex: { integer: true },
} as const satisfies Readonly<Record<string, NumberRange>>;

/** What of a link was not taken, and why. */
export type Refusals = Readonly<Partial<Record<keyof DoctorState, string | null>>>;

/** The state in a URL, and what is wrong in it, for the fields. */
export function fromParameters(parameters: URLSearchParams): {
  readonly state: DoctorState;
  readonly refusals: Refusals;
} {
  const refusals: Partial<Record<keyof DoctorState, string>> = {};
  const text = (name: keyof DoctorState) => {
    const given = parameters.get(name) ?? '';
    if (given !== tooLong) return given;
    refusals[name] = 'too long for the link: open its file, or paste it';
    return '';
  };
  const read = <T>(name: keyof DoctorState, fallback: T, value: (given: string) => T | null, expected: string): T => {
    const given = parameters.get(name);
    if (given === null) return fallback;
    const found = value(given);
    if (found === null) refusals[name] = refusalOf(given, expected);
    return found ?? fallback;
  };
  const number = <T>(name: keyof typeof ranges, fallback: T) =>
    read<number | T>(name, fallback, (given) => numberIn(ranges[name], given), expectedOf(ranges[name]));
  const choice = <T extends string>(name: keyof DoctorState, choices: readonly T[]) =>
    read<T | ''>(name, '', (given) => oneOf(choices, given) || null, `one of ${choices.join(', ')}`);
  return {
    state: {
      kind: choice('kind', kinds) || 'logits',
      signal: text('signal'),
      gradient: text('gradient'),
      upstream: text('upstream'),
      target: text('target'),
      mask: text('mask'),
      weight: text('weight'),
      axis: number('axis', empty.axis),
      temperature: number('temperature', empty.temperature),
      layer: choice('layer', layers),
      reduction: choice('reduction', reductions),
      labelSmoothing: number('labelSmoothing', empty.labelSmoothing),
      ignoreIndex: number('ignoreIndex', empty.ignoreIndex),
    },
    refusals,
  };
}

/** The choice that a text names, or empty. */
export function oneOf<T extends string>(choices: readonly T[], text: string): T | '' {
  return choices.find((choice) => choice === text) ?? '';
}
