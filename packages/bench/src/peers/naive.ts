import type { HostArray } from '@softgrad/core';
import type { Batch, Contender, ContenderSource } from '../contender.js';
import { partsOf } from '../ops.js';
import type { WorkloadInput } from '../workload-input.js';
import { type FloatArray, floatArray, outputSize, type Workload } from '../workloads.js';
import {
  crossEntropy,
  crossEntropyOfProbabilities,
  exp,
  jacobian,
  logSoftmax,
  maskedCrossEntropy,
  maskedSoftmax,
  relu,
  sigmoid,
  smoothedCrossEntropy,
  softmax,
  softmaxAtTemperature,
  vjp,
  weightedCrossEntropy,
} from './kernels/naive.js';

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

function kernel(workload: Workload, input: WorkloadInput): (out: FloatArray) => void {
  const { logits, probabilities, cotangent, target, mask, targetProbabilities, weight } = input;
  const [rows, f] = workload.shape;
  const { op, temperature, labelSmoothing, target: kind } = partsOf(workload.op);
  switch (op) {
    case 'softmax':
      if (mask) return (out) => maskedSoftmax(out, logits, mask, rows, f);
      if (temperature) return (out) => softmaxAtTemperature(out, logits, temperature, rows, f);
      return (out) => softmax(out, logits, rows, f);
    case 'logSoftmax':
      return (out) => logSoftmax(out, logits, rows, f);
    case 'jacobian':
      return (out) => jacobian(out, probabilities, rows, f);
    case 'vjp':
      // Without the mask: masked probabilities are 0.
      return (out) => vjp(out, probabilities, cotangent, rows, f);
    case 'sigmoid':
      return (out) => sigmoid(out, logits);
    case 'relu':
      return (out) => relu(out, logits);
    case 'crossEntropy':
      if (mask) return (out) => maskedCrossEntropy(out, logits, target, mask, rows, f);
      if (labelSmoothing) return (out) => smoothedCrossEntropy(out, logits, target, labelSmoothing, rows, f);
      if (targetProbabilities) return (out) => crossEntropyOfProbabilities(out, logits, targetProbabilities, rows, f);
      if (weight || kind) return (out) => weightedCrossEntropy(out, logits, target, weight, rows, f);
      return (out) => crossEntropy(out, logits, target, rows, f);
  }
}
