import type { HostArray } from '@softgrad/core';
import type { Batch, Contender, ContenderSource } from '../contender.js';
import { type FloatArray, floatArray, outputSize, type Workload, type WorkloadInput } from '../workloads.js';

/** The obvious implementation: three passes over typed arrays with Math.exp, and plain loops for the other ops. */
export const naive: ContenderSource = {
  name: 'naive',
  kind: 'peer',
  open: async () => contender,
};

const contender: Contender = {
  name: 'naive',
  kind: 'peer',
  description: 'plain loops over typed arrays with Math.exp',
  // Math.exp is computed in float64, but storing its result rounds it to the dtype of the output.
  expUlp: { base: 2, slope: 1 },
  subnormals: 'preserve',
  async prepare(workload, input) {
    const make = () => floatArray(workload.dtype, outputSize(workload));
    const compute = kernel(workload, input);
    const out = make();
    const reused: Batch = (calls) => {
      for (let k = 0; k < calls; k++) compute(out);
    };
    return {
      reused,
      allocating: (calls) => {
        for (let k = 0; k < calls; k++) compute(make());
      },
      endToEnd: (calls) => {
        for (let k = 0; k < calls; k++) compute(make());
      },
      result: async (): Promise<HostArray> => {
        compute(out);
        return out.slice();
      },
      dispose: () => {},
    };
  },
  async exp(x) {
    const out = x.slice();
    return {
      batch: (calls) => {
        for (let k = 0; k < calls; k++) exp(out, x);
      },
      dispose: () => {},
    };
  },
  close: async () => {},
};

function exp(out: FloatArray, x: FloatArray): void {
  for (let k = 0; k < x.length; k++) out[k] = Math.exp(x[k]);
}

function kernel({ op, shape: [rows, f] }: Workload, input: WorkloadInput): (out: FloatArray) => void {
  const { logits, probabilities, cotangent, target } = input;
  switch (op) {
    case 'softmax':
      return (out) => softmax(out, logits, rows, f);
    case 'logSoftmax':
      return (out) => logSoftmax(out, logits, rows, f);
    case 'jacobian':
      return (out) => jacobian(out, probabilities, rows, f);
    case 'vjp':
      return (out) => vjp(out, probabilities, cotangent, rows, f);
    case 'crossEntropy':
      return (out) => {
        softmax(out, logits, rows, f);
        for (let r = 0; r < rows; r++) out[r * f + target[r]] -= 1;
        for (let k = 0; k < rows * f; k++) out[k] /= rows;
      };
  }
}

function softmax(out: FloatArray, x: FloatArray, rows: number, f: number): void {
  for (let r = 0; r < rows; r++) {
    const start = r * f;
    let max = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < f; c++) max = Math.max(max, x[start + c]);
    let sum = 0;
    for (let c = 0; c < f; c++) {
      const e = Math.exp(x[start + c] - max);
      out[start + c] = e;
      sum += e;
    }
    for (let c = 0; c < f; c++) out[start + c] /= sum;
  }
}

function logSoftmax(out: FloatArray, x: FloatArray, rows: number, f: number): void {
  for (let r = 0; r < rows; r++) {
    const start = r * f;
    let max = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < f; c++) max = Math.max(max, x[start + c]);
    let sum = 0;
    for (let c = 0; c < f; c++) sum += Math.exp(x[start + c] - max);
    const shift = max + Math.log(sum);
    for (let c = 0; c < f; c++) out[start + c] = x[start + c] - shift;
  }
}

function vjp(out: FloatArray, s: FloatArray, g: FloatArray, rows: number, f: number): void {
  for (let r = 0; r < rows; r++) {
    const start = r * f;
    let dot = 0;
    for (let c = 0; c < f; c++) dot += s[start + c] * g[start + c];
    for (let c = 0; c < f; c++) out[start + c] = s[start + c] * (g[start + c] - dot);
  }
}

function jacobian(out: FloatArray, s: FloatArray, rows: number, f: number): void {
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < f; i++) {
      for (let j = 0; j < f; j++) {
        out[(r * f + i) * f + j] = s[r * f + i] * ((i === j ? 1 : 0) - s[r * f + j]);
      }
    }
  }
}
