import type { HostArray } from '@softgrad/core';
import type { Workload, WorkloadInput } from './workloads.js';

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
      if (size[k] > 0) relative = Math.max(relative, (known.bound[at * width + k] - known.floor) / size[k]);
    }
  });
  for (let r = 0; r < rowCount; r++) {
    const { value, size } = row(r);
    for (let k = 0; k < width; k++) {
      const actual = output[r * width + k];
      if (Math.abs(actual - value[k]) <= 2 * relative * size[k] + 2 * known.floor) continue;
      const place = workload.op === 'jacobian' ? `[${Math.floor(k / classes)}, ${k % classes}]` : `[${k}]`;
      return `row ${r} ${place} is ${actual}; expected about ${value[k].toPrecision(7)}`;
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

function rowLoop({ op, shape: [rowCount, f] }: Workload, input: WorkloadInput): (r: number) => Row {
  const width = op === 'jacobian' ? f * f : f;
  const value = new Float64Array(width);
  const size = new Float64Array(width);
  const { logits, probabilities: s, cotangent: g, target } = input;
  return (r) => {
    const start = r * f;
    switch (op) {
      case 'softmax':
      case 'logSoftmax':
      case 'crossEntropy': {
        let max = Number.NEGATIVE_INFINITY;
        for (let c = 0; c < f; c++) max = Math.max(max, logits[start + c]);
        let sum = 0;
        for (let c = 0; c < f; c++) sum += Math.exp(logits[start + c] - max);
        const logSum = Math.log(sum);
        for (let c = 0; c < f; c++) {
          const shifted = logits[start + c] - max;
          const p = Math.exp(shifted) / sum;
          const hit = target[r] === c ? 1 : 0;
          value[c] = op === 'softmax' ? p : op === 'logSoftmax' ? shifted - logSum : (p - hit) / rowCount;
          size[c] = op === 'softmax' ? p : op === 'logSoftmax' ? 1 + Math.abs(value[c]) : (p + hit) / rowCount;
        }
        break;
      }
      case 'vjp': {
        let sum = 0;
        let inner = 0;
        for (let c = 0; c < f; c++) {
          sum += s[start + c];
          inner += s[start + c] * g[start + c];
        }
        for (let c = 0; c < f; c++) {
          value[c] = s[start + c] * (g[start + c] * sum - inner);
          size[c] = s[start + c];
        }
        break;
      }
      case 'jacobian':
        for (let i = 0; i < f; i++) {
          for (let j = 0; j < f; j++) {
            const entry = s[start + i] * ((i === j ? 1 : 0) - s[start + j]);
            value[i * f + j] = entry;
            // Off the diagonal an entry is one product; on the diagonal its error scales with the rounding of s.
            size[i * f + j] = i === j ? s[start + i] : Math.abs(entry);
          }
        }
        break;
    }
    return { value, size };
  };
}
