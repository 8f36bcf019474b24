import type { Backend, Basis, Extent, FloatDType, Operand } from '../../../src/index.js';
import { cotangents, rounded } from '../../inputs.js';

/** The extent of most results. */
export const extent: Extent = [2, 3, 4];

/** An operand of a case: its extent, or a constant. */
export type Side = Extent | number;

export type Position = readonly [outer: number, classIndex: number, inner: number];

/** The index triples of an extent, in row-major order. */
export function positions([outer, classes, inner]: Extent): readonly Position[] {
  return Array.from({ length: outer * classes * inner }, (_, i) => [
    Math.floor(i / (classes * inner)),
    Math.floor(i / inner) % classes,
    i % inner,
  ]);
}

/** The value of an operand at a position of the result. */
export function valueAt(
  { side, values }: { readonly side: Side; readonly values: ArrayLike<number> },
  at: Position,
): number {
  return values[broadcastIndex(side, at)] ?? Number.NaN;
}

function broadcastIndex(side: Side, [o, c, i]: Position): number {
  if (typeof side === 'number') return 0;
  const [outer, classes, inner] = side;
  return ((outer === 1 ? 0 : o) * classes + (classes === 1 ? 0 : c)) * inner + (inner === 1 ? 0 : i);
}

/** Values of an operand, away from 0 so that no quotient is extreme. */
export function sideValues(side: Side, dtype: FloatDType, seed: string): ArrayLike<number> {
  if (typeof side === 'number') return [side];
  const values = cotangents(side[0] * side[1] * side[2], dtype, 3, seed);
  return values.map((value) => rounded(value + Math.sign(value), dtype));
}

/** Makes the operands of the sides in order: constants stay constants, and each other side gets the next buffer. */
export function boundTo(buffers: readonly unknown[]): (side: Side) => Operand<unknown> {
  let next = 0;
  return (side) => (typeof side === 'number' ? side : { buffer: buffers[next++], extent: side });
}

/** @throws Error on a backend to which the case does not apply */
export function basisOf<B>({ basis }: Backend<B>): Basis<B> {
  if (basis === undefined) throw new Error('the backend has no basis');
  return basis;
}
