import type { Basis, Extent, Operand } from '@softgrad/core';
import type { Engine } from './engine.js';
import type { TfBuffer } from './storage.js';
import type { Shape, Verbs } from './verbs/verbs.js';

/** The five primitives from which core composes operations, each one program or kernel of the engine. */
export function basisOf(engine: Engine): Basis<TfBuffer> {
  return {
    unary(out, op, x, length) {
      const shape: Shape = [1, 1, 1, length];
      engine.run([{ buffer: out, shape }], (verbs) => [verbs.unary(op, verbs.input(x, shape))]);
    },
    binary(out, op, a, b, extent) {
      const program = <V>(verbs: Verbs<V>) => [verbs.binary(op, term(verbs, a), term(verbs, b))];
      engine.run([{ buffer: out, shape: shapeOf(extent) }], program);
    },
    reduce(out, op, x, { outer, classes, inner }) {
      if (classes === 0) {
        engine.fill(out, op === 'max' ? Number.NEGATIVE_INFINITY : 0);
        return;
      }
      const program = <V>(verbs: Verbs<V>) => [verbs.reduce(op, verbs.input(x, [1, outer, classes, inner]))];
      engine.run([{ buffer: out, shape: [1, outer, 1, inner] }], program);
    },
    select(out, condition, a, b, extent) {
      const program = <V>(verbs: Verbs<V>) => [verbs.select(term(verbs, condition), term(verbs, a), term(verbs, b))];
      engine.run([{ buffer: out, shape: shapeOf(extent) }], program);
    },
    transpose(out, x, { outer, classes, inner }) {
      const program = <V>(verbs: Verbs<V>) => [verbs.input(x, [1, outer, classes, inner], [0, 1, 3, 2])];
      engine.run([{ buffer: out, shape: [1, outer, inner, classes] }], program);
    },
  };
}

function shapeOf([outer, classes, inner]: Extent): Shape {
  return [1, outer, classes, inner];
}

function term<V>(verbs: Verbs<V>, operand: Operand<TfBuffer>): V | number {
  return typeof operand === 'number' ? operand : verbs.input(operand.buffer, shapeOf(operand.extent));
}
