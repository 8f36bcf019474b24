import type { Rows } from '@softgrad/core';
import type { Engine } from '../engine.js';
import type { TfBuffer } from '../storage.js';
import type { Order, Shape, Verbs } from '../verbs/verbs.js';
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
    const { column, row, identity } = matrixParts(verbs, probabilities, rows);
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
 * `out[o,i,r,c] = (δ_rc − exp(y[o,c,i])) / temperature`, on the diagonal the sum of the other exponentials where one is above ½, because
 * `1 − exp(y)` would cancel.
 */
export function logSoftmaxJacobian(
  engine: Engine,
  out: TfBuffer,
  logProbabilities: TfBuffer,
  rows: Rows,
  temperature: number,
): void {
  const program = <V>(verbs: Verbs<V>): readonly V[] => {
    const { column, row, identity } = matrixParts(verbs, logProbabilities, rows);
    const [ofColumn, ofRow] = [verbs.unary('exp', column), verbs.unary('exp', row)];
    const others = verbs.reduce('sum', verbs.select(verbs.binary('sub', ofColumn, 0.5), 0, ofColumn));
    const isTop = verbs.binary('mul', identity, verbs.binary('sub', ofRow, 0.5));
    const entries = verbs.select(isTop, others, verbs.binary('sub', identity, ofRow));
    return [overTemperature(verbs, entries, temperature)];
  };
  engine.run([{ buffer: out, shape: matrixShape(rows) }], program);
}

function matrixShape({ outer, classes, inner }: Rows): Shape {
  return [outer, inner, classes, classes];
}

/** The operand as columns (o, i, r, 1) and as rows (o, i, 1, c), and the identity matrix. */
function matrixParts<V>(verbs: Verbs<V>, x: TfBuffer, { outer, classes, inner }: Rows) {
  const part = (order: Order): V =>
    inner === 1 && order[2] === 1
      ? verbs.input(x, [outer, 1, classes, 1])
      : inner === 1
        ? verbs.input(x, [outer, 1, 1, classes])
        : verbs.input(x, [outer, classes, inner, 1], order);
  return {
    column: part([0, 2, 1, 3]),
    row: part([0, 2, 3, 1]),
    identity: verbs.binary('equal', verbs.coordinate(2, classes), verbs.coordinate(3, classes)),
  };
}
