import type { Rows, SoftmaxParameters } from '@softgrad/core';
import type { Engine } from '../engine.js';
import type { TfBuffer } from '../storage.js';
import type { Verbs } from '../verbs/verbs.js';
import { logitsOf, shapesOf } from './logits.js';

/** `x/T − log Σ exp(x/T)`. */
export function logSoftmax(
  engine: Engine,
  out: TfBuffer,
  logits: TfBuffer,
  rows: Rows,
  parameters: SoftmaxParameters<TfBuffer>,
): void {
  const program = <V>(verbs: Verbs<V>): readonly V[] => {
    const { values, mask } = logitsOf(verbs, logits, rows, parameters);
    const shifted = verbs.binary('sub', values, verbs.reduce('max', values));
    const sum = verbs.reduce('sum', verbs.unary('exp', shifted));
    const result = verbs.binary('sub', shifted, verbs.unary('log', sum));
    return [mask === null ? result : verbs.select(mask, result, Number.NEGATIVE_INFINITY)];
  };
  engine.run([{ buffer: out, shape: shapesOf(rows, parameters).shape }], program);
}

/** `(g − exp(y) Σ g) / temperature`. */
export function logSoftmaxVjp(
  engine: Engine,
  out: TfBuffer,
  logProbability: TfBuffer,
  cotangent: TfBuffer,
  rows: Rows,
  temperature: number,
): void {
  const { shape } = shapesOf(rows);
  const program = <V>(verbs: Verbs<V>): readonly V[] => {
    const g = verbs.input(cotangent, shape);
    const probabilities = verbs.unary('exp', verbs.input(logProbability, shape));
    const taken = verbs.binary('mul', probabilities, verbs.reduce('sum', g));
    return [verbs.binary('div', verbs.binary('sub', g, taken), temperature)];
  };
  engine.run([{ buffer: out, shape }], program);
}

/** `(t − ⟨exp(y), t⟩) / temperature`. */
export function logSoftmaxJvp(
  engine: Engine,
  out: TfBuffer,
  logProbability: TfBuffer,
  tangent: TfBuffer,
  rows: Rows,
  temperature: number,
): void {
  const { shape } = shapesOf(rows);
  const program = <V>(verbs: Verbs<V>): readonly V[] => {
    const t = verbs.input(tangent, shape);
    const probabilities = verbs.unary('exp', verbs.input(logProbability, shape));
    const mean = verbs.reduce('sum', verbs.binary('mul', probabilities, t));
    return [verbs.binary('div', verbs.binary('sub', t, mean), temperature)];
  };
  engine.run([{ buffer: out, shape }], program);
}
