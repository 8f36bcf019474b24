import type { Rows } from '@softgrad/core';
import type { Engine } from '../engine.js';
import type { TfBuffer } from '../storage.js';
import type { Verbs } from '../verbs/verbs.js';
import { overTemperature, shapesOf } from './logits.js';

/**
 * `s ⊙ (g − ⟨s, g⟩) / temperature`. Because probabilities sum to 1, subtracting a constant from g does not change the result: where a
 * probability is above ½ the constant is its g. Otherwise g − ⟨s, g⟩ would cancel there in a nearly one-hot row.
 */
export function vjp(
  engine: Engine,
  out: TfBuffer,
  probabilities: TfBuffer,
  cotangent: TfBuffer,
  rows: Rows,
  temperature: number,
): void {
  const { shape } = shapesOf(rows);
  const program = <V>(verbs: Verbs<V>): readonly V[] => {
    const s = verbs.input(probabilities, shape);
    const g = verbs.input(cotangent, shape);
    const origin = verbs.reduce('sum', verbs.select(verbs.binary('sub', s, 0.5), g, 0));
    const rest = verbs.binary('sub', g, origin);
    const mean = verbs.reduce('sum', verbs.binary('mul', s, rest));
    const product = verbs.binary('mul', s, verbs.binary('sub', rest, mean));
    return [overTemperature(verbs, product, temperature)];
  };
  engine.run([{ buffer: out, shape }], program);
}
