import type { Layer } from '@softgrad/doctor';

/** The functions that the layer may compute. */
export const layers = ['softmax', 'log-softmax', 'sigmoid', 'cross-entropy'] as const satisfies readonly Layer[];

export const reductions = ['mean', 'sum', 'none'] as const;

/** The inputs of the doctor, as they were pasted. */
export interface DoctorState {
  /** Whether the signal is the softmax's input or its output. */
  readonly kind: 'logits' | 'probabilities';
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

/** Longer arrays are left out of the URL. */
const longestInUrl = 4000;

export function toParameters(state: DoctorState): URLSearchParams {
  const parameters = new URLSearchParams();
  const fits = texts.reduce((sum, name) => sum + state[name].length, 0) <= longestInUrl;
  for (const name of texts) if (fits && state[name] !== '') parameters.set(name, state[name]);
  for (const name of settings) {
    if (state[name] !== empty[name]) parameters.set(name, String(state[name]));
  }
  return parameters;
}

export function fromParameters(parameters: URLSearchParams): DoctorState {
  const text = (name: string) => parameters.get(name) ?? '';
  const axis = Number(parameters.get('axis') ?? -1);
  const ignoreIndex = Number(parameters.get('ignoreIndex') ?? empty.ignoreIndex);
  return {
    kind: text('kind') === 'probabilities' ? 'probabilities' : 'logits',
    signal: text('signal'),
    gradient: text('gradient'),
    upstream: text('upstream'),
    target: text('target'),
    mask: text('mask'),
    weight: text('weight'),
    axis: Number.isInteger(axis) ? axis : -1,
    temperature: positiveOf(text('temperature')),
    layer: oneOf(layers, text('layer')),
    reduction: oneOf(reductions, text('reduction')),
    labelSmoothing: fractionOf(text('labelSmoothing')),
    ignoreIndex: Number.isInteger(ignoreIndex) ? ignoreIndex : empty.ignoreIndex,
  };
}

/** The choice that a text names, or empty. */
export function oneOf<T extends string>(choices: readonly T[], text: string): T | '' {
  return choices.find((choice) => choice === text) ?? '';
}

/** A number above 0; null if the text is anything else. */
export function positiveOf(text: string): number | null {
  const value = Number(text);
  return value > 0 && Number.isFinite(value) ? value : null;
}

/** A number from 0 to 1; null if the text is empty or anything else. */
export function fractionOf(text: string): number | null {
  const value = Number(text);
  return text.trim() !== '' && value >= 0 && value <= 1 ? value : null;
}
