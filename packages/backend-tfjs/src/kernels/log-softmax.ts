import type { Rows, SoftmaxParameters } from '@softgrad/core';
import type { Engine } from '../engine.js';
import type { TfBuffer } from '../storage.js';
import type { Verbs } from '../verbs/verbs.js';
import { below, logitsOf, overTemperature, shapesOf, shiftedLogits } from './logits.js';
import { centred } from './vjp.js';

/** `x/T − log Σ exp(x/T)`. */
export function logSoftmax(
  engine: Engine,
  out: TfBuffer,
  logits: TfBuffer,
  rows: Rows,
  parameters: SoftmaxParameters<TfBuffer>,
): void {
  const program = <V>(verbs: Verbs<V>): readonly V[] => {
    const x = logitsOf(verbs, logits, rows, parameters);
    const { mask } = x;
    const shifted = shiftedLogits(verbs, x);
    const others = shifted.sumOfOthers(shifted.exp());
    const result = below(verbs, shifted, verbs.log1p(others));
    return [mask === null ? result : verbs.select(mask, result, Number.NEGATIVE_INFINITY)];
  };
  engine.run([{ buffer: out, shape: shapesOf(rows, parameters).shape }], program);
}

/** `(g − p Σ g) / temperature` with p = exp(y): for p above ½ that would cancel, and is computed as `g (1 − p) − p Σ g` over the others' g. */
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
    const y = verbs.input(logProbability, shape);
    const p = verbs.unary('exp', y);
    const isTop = verbs.binary('sub', p, 0.5);
    const others = verbs.reduce('sum', verbs.select(isTop, 0, g));
    const ofTop = verbs.binary('sub', verbs.binary('mul', g, verbs.complement(y)), verbs.binary('mul', p, others));
    const rest = verbs.binary('sub', g, verbs.binary('mul', p, verbs.reduce('sum', g)));
    const slopes = verbs.select(isTop, ofTop, rest);
    return [overTemperature(verbs, slopes, temperature)];
  };
  engine.run([{ buffer: out, shape }], program);
}

/** `(t − ⟨p, t⟩) / temperature` with p = exp(y). */
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
    const p = verbs.unary('exp', verbs.input(logProbability, shape));
    return [overTemperature(verbs, centred(verbs, p, t), temperature)];
  };
  engine.run([{ buffer: out, shape }], program);
}
