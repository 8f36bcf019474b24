import type { Rows } from '@softgrad/core';
import type { Engine } from '../engine.js';
import type { TfBuffer } from '../storage.js';
import type { Verbs } from '../verbs/verbs.js';
import { shapesOf } from './logits.js';

/**
 * `s ⊙ (g − ⟨s, g⟩) / temperature`, the mean ⟨s, g⟩ found in two steps. Probabilities add up to 1, so a constant taken off g
 * changes nothing; taking off the mean itself, as computed, leaves a remainder whose own mean is what the rounding lost. In a
 * row that is nearly one-hot g − ⟨s, g⟩ would otherwise cancel at the largest probability.
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
