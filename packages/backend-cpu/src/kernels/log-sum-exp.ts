import type { Rows, SoftmaxParameters } from '@softgrad/core';
import { log1pPair } from '../exp-double.js';
import { sumError } from '../pair.js';
import { forEachShiftedRow, type ShiftedRow } from '../shifted.js';
import type { CpuBuffer, FloatArray } from '../storage.js';
import { isFar } from '../temperature.js';

/**
 * `out[o,i] = log Σ_k exp(x[o,k,i] / T)`, as max + log1p(Σ of the others). +Infinity where a logit is (and none is NaN),
 * −Infinity for a row that has only −Infinity, as in SciPy.
 */
export function logSumExp(
  out: FloatArray,
  logits: FloatArray,
  rows: Rows,
  parameters: SoftmaxParameters<CpuBuffer>,
): void | false {
  if (isFar(parameters.temperature)) return false;
  forEachShiftedRow(logits, rows, parameters, (row) => {
    out[row.row] = Number.isFinite(row.max) ? finite(row) : infinite(row);
  });
}

/** The quotient of the largest logit where it is not finite; NaN if it overflows in a row with a NaN. A row without a softmax has no exponential of 1. */
function infinite({ max, others, exp, start, top }: ShiftedRow): number {
  return exp[start + top] === 1 && Number.isNaN(others) ? Number.NaN : max;
}

function finite({ max, maxLow, others, othersLow, shifted, low }: ShiftedRow): number {
  if (shifted === low) return max + Math.log1p(others);
  const log = log1pPair(others, othersLow);
  const sum = max + log.high;
  return sum + (sumError(max, log.high, sum) + (log.low + maxLow));
}
