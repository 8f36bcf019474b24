import type { Rows } from '@softgrad/core';
import type { Engine } from '../engine.js';
import type { TfBuffer } from '../storage.js';
import type { Verbs } from '../verbs/verbs.js';
import { shapesOf } from './logits.js';

/**
 * `s ⊙ (g − ⟨s, g⟩) / temperature`, with the mean ⟨s, g⟩ computed in two steps. Because probabilities sum to 1, subtracting a constant from g
 * does not change the result. First the rounded mean is subtracted; the mean of the remainder is its rounding error, which is subtracted next.
 * Otherwise g − ⟨s, g⟩ would cancel at the largest probability of a nearly one-hot row.
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
    const mean = verbs.reduce('sum', verbs.binary('mul', s, g));
    const rest = verbs.binary('sub', g, mean);
    const lost = verbs.reduce('sum', verbs.binary('mul', s, rest));
    const product = verbs.binary('mul', s, verbs.binary('sub', rest, lost));
    return [temperature === 1 ? product : verbs.binary('div', product, temperature)];
  };
  engine.run([{ buffer: out, shape }], program);
}
