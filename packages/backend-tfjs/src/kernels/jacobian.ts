import type { Rows } from '@softgrad/core';
import type { Engine } from '../engine.js';
import type { TfBuffer } from '../storage.js';
import type { Shape, Verbs } from '../verbs/verbs.js';
import { overTemperature } from './logits.js';

/**
 * `out[o,i,r,c] = s[o,r,i] (δ_rc − s[o,c,i]) / temperature`. On the diagonal, if s is above ½, `1 − s` is computed as the sum of the other
 * probabilities, because the difference would cancel.
 */
export function jacobian(
  engine: Engine,
  out: TfBuffer,
  probabilities: TfBuffer,
  rows: Rows,
  temperature: number,
): void {
  const program = <V>(verbs: Verbs<V>): readonly V[] => {
    const [column, row] = [columnOf(verbs, probabilities, rows), rowOf(verbs, probabilities, rows)];
    const identity = identityOf(verbs, rows);
    const top = verbs.binary('sub', column, 0.5);
    const others = verbs.reduce('sum', verbs.select(top, 0, column));
    const difference = verbs.binary('sub', identity, row);
    const factor = verbs.select(verbs.binary('mul', identity, top), others, difference);
    const product = verbs.binary('mul', column, factor);
    return [overTemperature(verbs, product, temperature)];
  };
  engine.run([{ buffer: out, shape: matrixShape(rows) }], program);
}

/**
 * `out[o,i,r,c] = (δ_rc − exp(y[o,c,i])) / temperature`, where exp(y) is above ½ on the diagonal from y itself, because the
 * difference would cancel.
 */
export function logSoftmaxJacobian(
  engine: Engine,
  out: TfBuffer,
  logProbabilities: TfBuffer,
  rows: Rows,
  temperature: number,
): void {
  const program = <V>(verbs: Verbs<V>): readonly V[] => {
    const y = rowOf(verbs, logProbabilities, rows);
    const p = verbs.unary('exp', y);
    const identity = identityOf(verbs, rows);
    const isTop = verbs.binary('mul', identity, verbs.binary('sub', p, 0.5));
    const entries = verbs.select(isTop, verbs.complement(y), verbs.binary('sub', identity, p));
    return [overTemperature(verbs, entries, temperature)];
  };
  engine.run([{ buffer: out, shape: matrixShape(rows) }], program);
}

function matrixShape({ outer, classes, inner }: Rows): Shape {
  return [outer, inner, classes, classes];
}

/** The operand as columns (o, i, r, 1). */
function columnOf<V>(verbs: Verbs<V>, x: TfBuffer, { outer, classes, inner }: Rows): V {
  if (inner === 1) return verbs.input(x, [outer, 1, classes, 1]);
  return verbs.input(x, [outer, classes, inner, 1], [0, 2, 1, 3]);
}

/** The operand as rows (o, i, 1, c). */
function rowOf<V>(verbs: Verbs<V>, x: TfBuffer, { outer, classes, inner }: Rows): V {
  if (inner === 1) return verbs.input(x, [outer, 1, 1, classes]);
  return verbs.input(x, [outer, classes, inner, 1], [0, 2, 3, 1]);
}

function identityOf<V>(verbs: Verbs<V>, { classes }: Rows): V {
  return verbs.binary('equal', verbs.coordinate(2, classes), verbs.coordinate(3, classes));
}
