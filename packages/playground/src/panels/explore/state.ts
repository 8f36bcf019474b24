import type { FloatDType } from '@softgrad/core';
import { formatShape } from '../../format.js';
import { LastState, longestInLink, tooLong } from '../../last-state.js';
import { expectedOf, type NumberRange, numberIn, numberOf } from '../../number-range.js';

/** Samples by classes, in float64. */
export interface Signal {
  readonly rows: number;
  readonly classes: number;
  readonly values: Float64Array;
}

/** The state from which everything in Explore is computed. */
export interface ExploreState {
  readonly signal: Signal;
  /** The upstream gradient ∂L/∂s, with the signal's shape. */
  readonly upstream: Float64Array;
  /** Null if `upstream` is used; otherwise it is that of this loss of the class `classOf(row)`, and follows the probabilities. */
  readonly loss: 'crossEntropy' | null;
  /** The selected sample. */
  readonly row: number;
  readonly temperature: number;
  /** Null for wasm or, if it cannot run here, cpu. */
  readonly backend: string | null;
  /** Null for the backend's widest dtype. */
  readonly dtype: FloatDType | null;
}

/** Four samples of three features from a real report, for which every derivative was near 1e-17. */
export const sampleSignal: Signal = {
  rows: 4,
  classes: 3,
  values: Float64Array.of(
    ...[0.3394572666491664, 0.3089068053925853, 0.3516359279582483],
    ...[0.33932706934615525, 0.3094755563319447, 0.3511973743219001],
    ...[0.3394407172182317, 0.30889042266755573, 0.35166886011421256],
    ...[0.3394407172182317, 0.30889042266755573, 0.35166886011421256],
  ),
};

export const temperatureRange = { least: 0.05, most: 20 } as const;

/** A logit of −∞ is that of a masked class. */
export const logitRange = { least: -Infinity } as const;

/** The gradient of a loss that depends on one probability of each sample: g is 1 there. */
export function oneClassARow({ rows, classes }: Signal): Float64Array {
  const upstream = new Float64Array(rows * classes);
  for (let row = 0; row < rows; row++) upstream[row * classes + classOf(row, classes)] = 1;
  return upstream;
}

/** The class of a sample that its loss depends on at the start, and of which its cross-entropy is. */
export function classOf(row: number, classes: number): number {
  return row % classes;
}

export function stateOf(signal: Signal): ExploreState {
  return { signal, upstream: oneClassARow(signal), loss: null, row: 0, temperature: 1, backend: null, dtype: null };
}

/** The state with another number of classes: the last ones are taken away, or classes with a logit and a gradient of 0 are added to every sample. */
export function withClasses(
  { signal: { rows, classes: before, values }, upstream }: Pick<ExploreState, 'signal' | 'upstream'>,
  classes: number,
): Pick<ExploreState, 'signal' | 'upstream'> {
  const resized = (from: Float64Array) => {
    const to = new Float64Array(rows * classes);
    for (let row = 0; row < rows; row++) {
      to.set(from.subarray(row * before, row * before + Math.min(before, classes)), row * classes);
    }
    return to;
  };
  return { signal: { rows, classes, values: resized(values) }, upstream: resized(upstream) };
}

/** Where a panel starts: at the last state if the link is its link, which may be too short for it, otherwise at what the link has. */
export const lastState = new LastState<ExploreState>();

export function startOf(parameters: URLSearchParams): ReturnType<typeof fromParameters> {
  const state = lastState.of(parameters);
  return state === null ? fromParameters(parameters) : { state, problem: null };
}

/** The differences from the sample signal's state, as parameters of the URL. */
export function toParameters({
  signal,
  upstream,
  loss,
  row,
  temperature,
  backend,
  dtype,
}: ExploreState): URLSearchParams {
  const parameters = new URLSearchParams();
  const written = linkedRows({ signal, upstream });
  if (written === null) {
    // Without their signal, neither g nor the row has a meaning.
    parameters.set('x', tooLong);
  } else {
    const { x, g } = written;
    if (x !== formatRows(sampleSignal.values, sampleSignal.classes)) parameters.set('x', x);
    if (g !== formatRows(oneClassARow(signal), signal.classes)) parameters.set('g', g);
    if (row > 0) parameters.set('row', String(row));
  }
  if (loss !== null) parameters.set('loss', loss);
  if (temperature !== 1) parameters.set('t', String(temperature));
  if (backend !== null) parameters.set('backend', backend);
  if (dtype !== null) parameters.set('dtype', dtype);
  return parameters;
}

/** The signal and the upstream gradient as a link has them; null if they are too long for one. */
export function linkedRows({
  signal,
  upstream,
}: Pick<ExploreState, 'signal' | 'upstream'>): { readonly x: string; readonly g: string } | null {
  // A number and its separator have two characters at least. Writing millions of numbers would take longer than computing with them.
  if (2 * (signal.values.length + upstream.length) - 2 > longestInLink) return null;
  const x = formatRows(signal.values, signal.classes);
  const g = formatRows(upstream, signal.classes);
  return x.length + g.length > longestInLink ? null : { x, g };
}

/** The state in a URL, and the errors in it. */
export function fromParameters(parameters: URLSearchParams): {
  readonly state: ExploreState;
  readonly problem: string | null;
} {
  const problems: string[] = [];
  const x = parameters.get('x');
  const rowsOf = (name: string, text: string, least?: number) => {
    const wrong = problemOfRows(text, least);
    if (wrong === null) return parseRows(text);
    problems.push(`${name}=${shortened(text)}: ${wrong}`);
    return null;
  };
  if (x === tooLong) problems.push('no signal, which was too long for it: open its file, or paste it');
  const signal = (x === null || x === tooLong ? null : rowsOf('x', x, logitRange.least)) ?? sampleSignal;
  const base = stateOf(signal);
  const g = parameters.get('g');
  const upstream = g === null ? null : rowsOf('g', g);
  if (upstream !== null && !sameShape(upstream, signal)) {
    problems.push(`g=${shortened(g ?? '')}: expected the shape of x, ${formatShape([signal.rows, signal.classes])}`);
  }
  const read = (name: string, fallback: number, range: NumberRange) => {
    const text = parameters.get(name);
    const value = text === null ? fallback : numberIn(range, text);
    if (value === null) problems.push(`${name}=${text}: expected ${expectedOf(range)}`);
    return value ?? fallback;
  };
  const dtype = parameters.get('dtype');
  const loss = parameters.get('loss');
  if (loss !== null && loss !== 'crossEntropy') problems.push(`loss=${loss}: expected crossEntropy`);
  return {
    state: {
      ...base,
      upstream: upstream !== null && sameShape(upstream, signal) ? upstream.values : base.upstream,
      loss: loss === 'crossEntropy' ? loss : null,
      row: read('row', 0, { least: 0, most: signal.rows - 1, integer: true }),
      temperature: read('t', 1, temperatureRange),
      backend: parameters.get('backend'),
      dtype: dtype === 'float32' || dtype === 'float64' || dtype === 'float16' ? dtype : null,
    },
    problem: problems.length > 0 ? `The link has ${problems.join('; ')}.` : null,
  };
}

function sameShape(a: Signal, b: Signal): boolean {
  return a.rows === b.rows && a.classes === b.classes;
}

function formatRows(values: Float64Array, classes: number): string {
  const rows: string[] = [];
  for (let at = 0; at < values.length; at += classes) rows.push(values.subarray(at, at + classes).join(','));
  return rows.join(';');
}

/** A value of a link, as an error quotes it. */
function shortened(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

function cellsOf(text: string): readonly (readonly string[])[] {
  return text.split(';').map((row) => row.split(','));
}

/** What is wrong with the rows in a link, null if they are of one length, and their numbers finite or the least one. */
function problemOfRows(text: string, least?: number): string | null {
  const rows = cellsOf(text);
  const isNumber = (value: number) => Number.isFinite(value) || value === least;
  const cell = rows.flat().find((each) => !isNumber(numberOf(each)));
  if (cell !== undefined) {
    return `“${cell}” is not a finite number${least === undefined ? '' : ', nor -Infinity, which masks a class'}`;
  }
  const classes = rows[0]?.length;
  const other = rows.findIndex((row) => row.length !== classes);
  return other < 0 ? null : `row ${other} has another length (${rows[other]?.length}) than row 0 (${classes})`;
}

function parseRows(text: string): Signal {
  const rows = cellsOf(text);
  const values = Float64Array.from(rows.flat(), numberOf);
  return { rows: rows.length, classes: values.length / rows.length, values };
}
