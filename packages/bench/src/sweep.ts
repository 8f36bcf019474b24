import type { HostArray } from '@softgrad/core';
import { partsOf } from './ops.js';
import { divisorOfMean, targetWeights } from './target-weights.js';
import { keeps, type WorkloadInput } from './workload-input.js';
import type { Workload } from './workloads.js';

/** Rows whose results are known: which rows, their results, and the error bound of each. */
export interface Known {
  readonly expected: Float64Array;
  readonly bound: Float64Array;
  readonly picked: readonly number[];
  /** The absolute term of the bounds. */
  readonly floor: number;
}

/**
 * Compares every element of an output with plain loops in float64. The allowed error is twice the largest bound of the known
 * rows, relative to the magnitude that the op's error scales with.
 *
 * @returns a description of the first wrong element, or null
 */
export function sweep(workload: Workload, input: WorkloadInput, output: HostArray, known: Known): string | null {
  const [rowCount, classes] = workload.shape;
  const width = output.length / rowCount;
  const row = rowLoop(workload, input);
  let relative = 0;
  known.picked.forEach((picked, at) => {
    const { size } = row(picked);
    for (let k = 0; k < width; k++) {
      const magnitude = size[k] ?? Number.NaN;
      const bound = known.bound[at * width + k] ?? Number.NaN;
      if (magnitude > 0) relative = Math.max(relative, (bound - known.floor) / magnitude);
    }
  });
  for (let r = 0; r < rowCount; r++) {
    const { value, size } = row(r);
    for (let k = 0; k < width; k++) {
      const actual = output[r * width + k] ?? Number.NaN;
      const expected = value[k] ?? Number.NaN;
      if (Math.abs(actual - expected) <= 2 * relative * (size[k] ?? Number.NaN) + 2 * known.floor) continue;
      const place = partsOf(workload.op).op === 'jacobian' ? `[${Math.floor(k / classes)}, ${k % classes}]` : `[${k}]`;
      return `row ${r} ${place} is ${actual}; expected about ${expected.toPrecision(7)}`;
    }
  }
  return null;
}

/** The results of some rows, computed by the same loops. */
export function inFloat64(workload: Workload, input: WorkloadInput, picked: readonly number[]): Float64Array {
  const row = rowLoop(workload, input);
  const rows = picked.map((r) => row(r).value.slice());
  const all = new Float64Array(rows.reduce((length, { length: width }) => length + width, 0));
  let at = 0;
  for (const values of rows) {
    all.set(values, at);
    at += values.length;
  }
  return all;
}

/** A row of results, and the magnitude that the error of each scales with; both are overwritten by the next row. */
interface Row {
  readonly value: Float64Array;
  readonly size: Float64Array;
}

function rowLoop(workload: Workload, input: WorkloadInput): (r: number) => Row {
  const [, f] = workload.shape;
  const { op, temperature = 1 } = partsOf(workload.op);
  const width = op === 'jacobian' ? f * f : f;
  const value = new Float64Array(width);
  const size = new Float64Array(width);
  const { logits, probabilities: s, cotangent: g, mask } = input;
  const q = new Float64Array(f);
  const weightsOf = targetWeights(workload, input, q);
  const divisor = divisorOfMean(input);
  /** x / T minus its maximum in the row, −Infinity where masked. */
  const shifted = new Float64Array(f);
  return (r) => {
    const start = r * f;
    const end = start + f;
    switch (op) {
      case 'softmax':
      case 'logSoftmax':
      case 'crossEntropy': {
        let max = Number.NEGATIVE_INFINITY;
        for (let c = 0; c < f; c++) {
          const x = keeps(mask, start + c) ? (logits[start + c] ?? Number.NaN) : Number.NEGATIVE_INFINITY;
          shifted[c] = x / temperature;
          max = Math.max(max, shifted[c] ?? Number.NaN);
        }
        let sum = 0;
        for (let c = 0; c < f; c++) {
          shifted[c] = (shifted[c] ?? Number.NaN) - max;
          sum += Math.exp(shifted[c] ?? Number.NaN);
        }
        const logSum = Math.log(sum);
        const total = op === 'crossEntropy' ? weightsOf(r) : 0;
        for (let c = 0; c < f; c++) {
          const p = Math.exp(shifted[c] ?? Number.NaN) / sum;
          const log = (shifted[c] ?? Number.NaN) - logSum;
          const own = q[c] ?? Number.NaN;
          value[c] = op === 'softmax' ? p : op === 'logSoftmax' ? log : (p * total - own) / divisor;
          size[c] = op === 'softmax' ? p : op === 'logSoftmax' ? 1 + Math.abs(log) : (p * total + own) / divisor;
        }
        break;
      }
      case 'sigmoid':
      case 'relu':
        for (let c = 0; c < f; c++) {
          const x = logits[start + c] ?? Number.NaN;
          const y = op === 'sigmoid' ? 1 / (1 + Math.exp(-x)) : Math.max(x, 0);
          value[c] = y;
          size[c] = op === 'sigmoid' ? y : Math.abs(x);
        }
        break;
      case 'vjp': {
        let sum = 0;
        let inner = 0;
        for (let k = start; k < end; k++) {
          const p = s[k] ?? Number.NaN;
          sum += p;
          inner += p * (g[k] ?? Number.NaN);
        }
        for (let c = 0; c < f; c++) {
          const p = s[start + c] ?? Number.NaN;
          value[c] = p * ((g[start + c] ?? Number.NaN) * sum - inner);
          size[c] = p;
        }
        break;
      }
      case 'jacobian': {
        for (let i = 0; i < f; i++) {
          const p = s[start + i] ?? Number.NaN;
          for (let j = 0; j < f; j++) {
            const entry = p * ((i === j ? 1 : 0) - (s[start + j] ?? Number.NaN));
            value[i * f + j] = entry;
            // Off the diagonal an entry is one product; on the diagonal its error scales with the rounding of s.
            size[i * f + j] = i === j ? p : Math.abs(entry);
          }
        }
        break;
      }
    }
    return { value, size };
  };
}
