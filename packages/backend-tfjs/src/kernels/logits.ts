import type { Rows, SoftmaxParameters } from '@softgrad/core';
import type { TfBuffer } from '../storage.js';
import type { Shape, Verbs } from '../verbs/verbs.js';

/** Logits divided by the temperature, and their mask. */
export interface Logits<V> {
  /** x/T, −Infinity where masked. */
  readonly values: V;
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
  const tempered = overTemperature(verbs, x, temperature);
  if (!parameters.mask) return { values: tempered, mask: null, shape, reduced };
  const mask = verbs.input(parameters.mask.buffer, [1, shape[1], shape[2], shape[3]]);
  return { values: verbs.select(mask, tempered, Number.NEGATIVE_INFINITY), mask, shape, reduced };
}
