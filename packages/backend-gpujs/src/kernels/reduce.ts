import type { ReduceOp, Rows } from '@softgrad/core';
import type { Reduction } from '../kernel-places.js';
import type { Launch, Merge, Scalars } from '../launch.js';
import type { GpujsBuffer } from '../storage.js';

const sum: Reduction = {
  name: 'sum',
  arrays: ['x'],
  start: () => 'let result = 0;',
  step: (j) => `part += x[${j}];`,
  inParts: true,
};

/** Propagates NaN, which is the only value neither below 1 nor above 0; compilers may assume that `x != x` is false. */
const max: Reduction = {
  name: 'max',
  arrays: ['x'],
  numbers: ['low'],
  start: () => 'let result = low;',
  step: (j) => `
    const v = x[${j}];
    if (v < 1 || v > 0) { if (v > result) { result = v; } } else { result = v; }`,
};

/** Adds up the blocks of a sum. */
export const bySum: Merge = { kernel: sum };

/** `out[o,i] = Σ_k x[o,k,i]`, or the maximum. */
export function reduceRows(launch: Launch, out: GpujsBuffer, op: ReduceOp, x: GpujsBuffer, rows: Rows): void {
  const scalars: Scalars = op === 'max' ? { numbers: [Number.NEGATIVE_INFINITY] } : {};
  const kernel = op === 'max' ? max : sum;
  launch.reduce(kernel, out, [x], rows, scalars, { kernel, scalars });
}
