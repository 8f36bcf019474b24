import type { Engine } from '../engine.js';
import type { TfBuffer } from '../storage.js';
import type { Shape, Verbs } from '../verbs/verbs.js';

/** `max(x, 0)`; NaN stays NaN. */
export function relu(engine: Engine, out: TfBuffer, x: TfBuffer, length: number): void {
  const shape: Shape = [1, 1, 1, length];
  const program = <V>(verbs: Verbs<V>): readonly V[] => [verbs.binary('max', verbs.input(x, shape), 0)];
  engine.run([{ buffer: out, shape }], program);
}

/** `y > 0 ? g : 0`. */
export function reluVjp(engine: Engine, out: TfBuffer, y: TfBuffer, cotangent: TfBuffer, length: number): void {
  const shape: Shape = [1, 1, 1, length];
  const program = <V>(verbs: Verbs<V>): readonly V[] => [
    verbs.select(verbs.input(y, shape), verbs.input(cotangent, shape), 0),
  ];
  engine.run([{ buffer: out, shape }], program);
}
