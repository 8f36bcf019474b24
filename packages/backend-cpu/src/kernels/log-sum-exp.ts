import type { Rows, SoftmaxParameters } from '@softgrad/core';
import { forEachShiftedRow } from '../shifted.js';
import type { CpuBuffer, FloatArray } from '../storage.js';

/**
 * `out[o,i] = log Σ_k exp(x[o,k,i] / T)`, as max + log1p(Σ of the others). +Infinity where a logit is (and none is NaN),
 * −Infinity for a row of nothing but −Infinity, as SciPy has it.
 */
export function logSumExp(
  out: FloatArray,
  logits: FloatArray,
  rows: Rows,
  parameters: SoftmaxParameters<CpuBuffer>,
): void {
  forEachShiftedRow(logits, rows, parameters, (row) => {
    out[row.row] = Number.isFinite(row.max) ? row.max + (Math.log1p(row.others) + row.maxLow) : row.max;
  });
}
