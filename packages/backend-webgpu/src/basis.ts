import type { Basis } from '@softgrad/core';
import type { Engine } from './engine.js';
import { binary, select, transpose, unary } from './kernels/elementwise.js';
import { reduce } from './kernels/reduce.js';
import type { WebgpuBuffer } from './storage.js';

/** The five primitives, one dispatch each (two for a reduction over more than 32768 elements). */
export function basisOf(engine: Engine): Basis<WebgpuBuffer> {
  return {
    unary: (out, op, x, length) => unary(engine, out, op, x, length),
    binary: (out, op, a, b, extent) => binary(engine, out, op, a, b, extent),
    reduce: (out, op, x, rows) => reduce(engine, out, op, x, rows),
    select: (out, condition, a, b, extent) => select(engine, out, condition, a, b, extent),
    transpose: (out, x, rows) => transpose(engine, out, x, rows),
  };
}
