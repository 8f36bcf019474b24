import type { Engine } from '../engine.js';
import type { TfBuffer } from '../storage.js';
import type { Shape, Verbs } from '../verbs/verbs.js';

/** `1 / (1 + exp(−x))`, computed from exp(−|x|), which never overflows. */
export function sigmoid(engine: Engine, out: TfBuffer, x: TfBuffer, length: number): void {
  const shape: Shape = [1, 1, 1, length];
  const program = <V>(verbs: Verbs<V>): readonly V[] => {
    const value = verbs.input(x, shape);
    const own = verbs.sigmoid(value);
    if (own !== null) return [own];
    const small = verbs.unary('exp', verbs.binary('min', value, verbs.unary('neg', value)));
    return [verbs.binary('div', verbs.select(value, 1, small), verbs.binary('add', small, 1))];
  };
  engine.run([{ buffer: out, shape }], program);
}

/** `g ⊙ y ⊙ (1 − y)`. */
export function sigmoidVjp(engine: Engine, out: TfBuffer, y: TfBuffer, cotangent: TfBuffer, length: number): void {
  const shape: Shape = [1, 1, 1, length];
  const program = <V>(verbs: Verbs<V>): readonly V[] => {
    const s = verbs.input(y, shape);
    const slope = verbs.binary('mul', s, verbs.binary('sub', 1, s));
    return [verbs.binary('mul', verbs.input(cotangent, shape), slope)];
  };
  engine.run([{ buffer: out, shape }], program);
}
