import type { HostArray } from '@softgrad/core';
import type { Batch, Contender, ContenderSource } from '../contender.js';
import { type FloatArray, floatArray, outputSize, type Workload, type WorkloadInput } from '../workloads.js';
import { crossEntropy, exp, jacobian, logSoftmax, relu, sigmoid, softmax, vjp } from './kernels/naive.js';

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
    case 'sigmoid':
      return (out) => sigmoid(out, logits);
    case 'relu':
      return (out) => relu(out, logits);
    case 'crossEntropy':
      return (out) => crossEntropy(out, logits, target, rows, f);
  }
}
