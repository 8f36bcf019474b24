import type { Rows, SoftmaxParameters } from '@softgrad/core';
import type { TfBuffer } from '../storage.js';
import type { Gap, Shape, Verbs } from '../verbs/verbs.js';

/** Logits before the division by the temperature, and their mask. */
export interface Logits<V> {
  /** `divisor` times x/T, −Infinity where masked. */
  readonly values: V;
  /** |T|, or its half where the logits are halved. */
  readonly divisor: number;
  readonly mask: V | null;
  /** Dimensions of the logits; a mask with fewer blocks repeats over the first dimension. */
  readonly shape: Shape;
  /** The same dimensions with one class. */
  readonly reduced: Shape;
}

/** The four dimensions are: repetitions of the mask, blocks of the mask, classes, inner. */
export function shapesOf(rows: Rows, parameters?: SoftmaxParameters<TfBuffer>) {
  const { outer, classes, inner } = rows;
  const blocks = parameters?.mask?.outer ?? outer;
  const shape: Shape = [outer / blocks, blocks, classes, inner];
  const reduced: Shape = [outer / blocks, blocks, 1, inner];
  return { shape, reduced };
}

/** `value / temperature`; a temperature of 1 needs no division. */
export function overTemperature<V>(verbs: Verbs<V>, value: V, temperature: number): V {
  return temperature === 1 ? value : verbs.binary('div', value, temperature);
}

export function logitsOf<V>(
  verbs: Verbs<V>,
  logits: TfBuffer,
  rows: Rows,
  parameters: SoftmaxParameters<TfBuffer>,
): Logits<V> {
  const { temperature } = parameters;
  const { shape, reduced } = shapesOf(rows, parameters);
  const x = verbs.input(logits, shape);
  // Above 1 the logits are halved: their difference may overflow even if the quotient is finite.
  const unit = Math.abs(temperature) > 1 ? 0.5 : 1;
  const factor = temperature < 0 ? -unit : unit;
  const divisor = Math.abs(temperature) * unit;
  const signed = factor === 1 ? x : verbs.binary('mul', x, factor);
  if (!parameters.mask) return { values: signed, divisor, mask: null, shape, reduced };
  const mask = verbs.input(parameters.mask.buffer, [1, shape[1], shape[2], shape[3]]);
  return { values: verbs.select(mask, signed, Number.NEGATIVE_INFINITY), divisor, mask, shape, reduced };
}

/** `x/T − max`, where max is that of x/T. */
export function shiftedLogits<V>(verbs: Verbs<V>, { values, divisor }: Logits<V>): Gap<V> {
  return verbs.gap(values, verbs.reduce('max', values), divisor);
}

/** `gap − v` for a gap ≤ 0 and v ≥ 0. */
export function below<V>(verbs: Verbs<V>, { value, lost }: Gap<V>, v: V): V {
  return verbs.binary('sub', value, lost === null ? v : verbs.binary('sub', v, lost));
}
