import type { Rows } from '@softgrad/core';
import type { Engine } from '../engine.js';
import type { TfBuffer } from '../storage.js';
import type { Verbs } from '../verbs/verbs.js';
import { overTemperature, shapesOf } from './logits.js';

/**
 * `v − ⟨p, v⟩` over each row. Because probabilities sum to 1, subtracting a constant from v first does not change it: where a probability is above ½
 * the constant is its v. Otherwise v − ⟨p, v⟩ would cancel there in a nearly one-hot row. In other rows the mean is subtracted twice: the first one
 * has the rounding error of a large constant that all entries have in common.
 */
export function centred<V>(verbs: Verbs<V>, p: V, v: V): V {
  return verbs.centred(p, v) ?? centredByVerbs(verbs, p, v);
}

function centredByVerbs<V>(verbs: Verbs<V>, p: V, v: V): V {
  const origin = verbs.reduce('sum', verbs.select(verbs.binary('sub', p, 0.5), v, 0));
  const rest = verbs.binary('sub', v, origin);
  const moved = verbs.binary('sub', rest, verbs.reduce('sum', verbs.binary('mul', p, rest)));
  const second = verbs.reduce('sum', verbs.binary('mul', p, moved));
  return verbs.binary('sub', moved, verbs.select(verbs.binary('mul', origin, origin), 0, second));
}

/** `s ⊙ (g − ⟨s, g⟩) / temperature`. */
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
    return [overTemperature(verbs, verbs.binary('mul', s, centred(verbs, s, g)), temperature)];
  };
  engine.run([{ buffer: out, shape }], program);
}
