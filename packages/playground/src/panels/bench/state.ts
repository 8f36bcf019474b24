import { expectedOf, type NumberRange, numberIn, refusalOf } from '../../number-range.js';
import type { Mode } from './series.js';

/** What to run and how to show it; all of it is in the URL. */
export interface BenchState {
  readonly ops: readonly string[];
  /** `4096x10`. */
  readonly shapes: readonly string[];
  readonly dtype: 'float32' | 'float64';
  readonly backends: readonly string[];
  readonly peers: readonly string[];
  readonly rounds: number;
  readonly mode: Mode;
}

const initial: BenchState = {
  ops: ['softmax', 'vjp'],
  shapes: ['64x10', '4096x10', '256x1000'],
  dtype: 'float32',
  backends: ['cpu', 'wasm'],
  peers: ['naive'],
  rounds: 9,
  mode: 'reused',
};

export function toParameters(state: BenchState): URLSearchParams {
  const parameters = new URLSearchParams();
  for (const name of ['ops', 'shapes', 'backends', 'peers'] as const) {
    const value = state[name].join(',');
    if (value !== initial[name].join(',')) parameters.set(name, value);
  }
  for (const name of ['dtype', 'rounds', 'mode'] as const) {
    if (state[name] !== initial[name]) parameters.set(name, String(state[name]));
  }
  return parameters;
}

export function fromParameters(parameters: URLSearchParams): BenchState {
  const list = (name: 'ops' | 'shapes' | 'backends' | 'peers') =>
    parameters.get(name)?.split(',').filter(Boolean) ?? initial[name];
  const mode = parameters.get('mode');
  return {
    ops: list('ops'),
    shapes: list('shapes'),
    dtype: parameters.get('dtype') === 'float64' ? 'float64' : 'float32',
    backends: list('backends'),
    peers: list('peers'),
    rounds: numberIn(roundsRange, parameters.get('rounds') ?? '') ?? initial.rounds,
    mode: mode === 'allocating' || mode === 'endToEnd' ? mode : 'reused',
  };
}

export const roundsRange: NumberRange = { least: 3, most: 99, integer: true };

/** Why the rounds of a link were not taken. */
export function roundsRefusal(parameters: URLSearchParams): string | null {
  const text = parameters.get('rounds');
  return text === null || numberIn(roundsRange, text) !== null ? null : refusalOf(text, expectedOf(roundsRange));
}
