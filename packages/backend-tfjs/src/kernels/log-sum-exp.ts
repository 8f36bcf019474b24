import type { Rows, SoftmaxParameters } from '@softgrad/core';
import type { Engine } from '../engine.js';
import type { TfBuffer } from '../storage.js';
import type { Verbs } from '../verbs/verbs.js';
import { logitsOf, overTemperature, shapesOf } from './logits.js';

const largestFloat32 = 3.4028234663852886e38;

/**
 * `log Σ exp(x/T)`, shifted by the maximum clamped to the finite range, so that a row of only −Infinity gives −Infinity
 * and a row with +Infinity gives +Infinity without special cases.
 */
export function logSumExp(
  engine: Engine,
  out: TfBuffer,
  logits: TfBuffer,
  rows: Rows,
  parameters: SoftmaxParameters<TfBuffer>,
): void {
  const program = <V>(verbs: Verbs<V>): readonly V[] => {
    const x = logitsOf(verbs, logits, rows, parameters);
    const max = verbs.reduce('max', x.values);
    const shift = verbs.binary('min', verbs.binary('max', max, -largestFloat32), largestFloat32);
    const shifted = verbs.gap(x.values, shift, x.divisor);
    const rest = shifted.sumOfOthers(shifted.exp());
    const finite = verbs.binary('min', verbs.binary('max', rest, 0), largestFloat32);
    return [verbs.binary('add', verbs.log1p(finite), overTemperature(verbs, max, x.divisor))];
  };
  engine.run([{ buffer: out, shape: shapesOf(rows, parameters).reduced }], program);
}
