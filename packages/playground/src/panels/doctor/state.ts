/** What is known of a gradient that somebody computed, as it was pasted. */
export interface DoctorState {
  /** What the signal is: the softmax's input or its output. */
  readonly kind: 'logits' | 'probabilities';
  readonly signal: string;
  /** Numbers, or a NumPy expression that core knows. */
  readonly gradient: string;
  readonly upstream: string;
  readonly target: string;
  readonly axis: number;
  readonly temperature: number;
  readonly reduction: '' | 'mean' | 'sum';
}

export const empty: DoctorState = {
  kind: 'logits',
  signal: '',
  gradient: '',
  upstream: '',
  target: '',
  axis: -1,
  temperature: 1,
  reduction: '',
};

const texts = ['signal', 'gradient', 'upstream', 'target'] as const;

/** Longer arrays stay out of the URL. */
const longestInUrl = 4000;

export function toParameters(state: DoctorState): URLSearchParams {
  const parameters = new URLSearchParams();
  const fits = texts.reduce((sum, name) => sum + state[name].length, 0) <= longestInUrl;
  for (const name of texts) if (fits && state[name] !== '') parameters.set(name, state[name]);
  for (const name of ['kind', 'axis', 'temperature', 'reduction'] as const) {
    if (state[name] !== empty[name]) parameters.set(name, String(state[name]));
  }
  return parameters;
}

export function fromParameters(parameters: URLSearchParams): DoctorState {
  const text = (name: string) => parameters.get(name) ?? '';
  const axis = Number(parameters.get('axis') ?? -1);
  const temperature = Number(parameters.get('temperature') ?? 1);
  const reduction = text('reduction');
  return {
    kind: text('kind') === 'probabilities' ? 'probabilities' : 'logits',
    signal: text('signal'),
    gradient: text('gradient'),
    upstream: text('upstream'),
    target: text('target'),
    axis: Number.isInteger(axis) ? axis : -1,
    temperature: temperature > 0 && Number.isFinite(temperature) ? temperature : 1,
    reduction: reduction === 'mean' || reduction === 'sum' ? reduction : '',
  };
}
