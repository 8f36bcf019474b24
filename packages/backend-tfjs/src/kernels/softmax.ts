import type { Rows, SoftmaxParameters } from '@softgrad/core';
import type { Engine } from '../engine.js';
import type { TfBuffer } from '../storage.js';
import type { Gap, Verbs } from '../verbs/verbs.js';
import { logitsOf, shapesOf, shiftedLogits } from './logits.js';

export const plain: SoftmaxParameters<TfBuffer> = { temperature: 1, mask: null };

/** Softmax of logits/temperature over the unmasked entries. */
export function softmax(
  engine: Engine,
  out: TfBuffer,
  logits: TfBuffer,
  rows: Rows,
  parameters: SoftmaxParameters<TfBuffer>,
): void {
  const program = <V>(verbs: Verbs<V>): readonly V[] => {
    const x = logitsOf(verbs, logits, rows, parameters);
    const { mask } = x;
    const probabilities = verbs.softmax(x.values, x.divisor) ?? ofShifted(verbs, shiftedLogits(verbs, x));
    // A row in which all entries are masked is NaN at this point, but 0 by definition.
    return [mask === null ? probabilities : verbs.select(mask, probabilities, 0)];
  };
  engine.run([{ buffer: out, shape: shapesOf(rows, parameters).shape }], program);
}

/** `exp(x − max) / Σ exp(x − max)`: a maximum of ±Infinity or NaN makes the whole row NaN. */
function ofShifted<V>(verbs: Verbs<V>, shifted: Gap<V>): V {
  const exponentials = shifted.exp();
  return verbs.binary('div', exponentials, verbs.reduce('sum', exponentials));
}
