import type { Backend, Basis, HostArray, Kernels, Supports } from '@softgrad/core';
import { basis } from './basis.js';
import { takingIntermediates } from './intermediate.js';
import { crossEntropy } from './kernels/cross-entropy.js';
import { logSoftmaxHvp, logSumExpHvp, softmaxHvp } from './kernels/hvp.js';
import { jacobian } from './kernels/jacobian.js';
import { logSoftmax, logSoftmaxJacobian, logSoftmaxJvp, logSoftmaxVjp } from './kernels/log-softmax.js';
import { logSumExp } from './kernels/log-sum-exp.js';
import { relu, reluVjp } from './kernels/relu.js';
import { sigmoid, sigmoidHvp, sigmoidVjp } from './kernels/sigmoid.js';
import { softmax } from './kernels/softmax.js';
import { vjp } from './kernels/vjp/dispatch.js';
import { bufferInfo, type CpuBuffer, createStorage, type FloatArray, read, write } from './storage.js';

/** The backend with its optional parts. */
export interface CpuBackend extends Backend<CpuBuffer> {
  readSync(buffer: CpuBuffer): HostArray;
  view(buffer: CpuBuffer): HostArray;
  readonly basis: Basis<CpuBuffer>;
  readonly kernels: Required<Kernels<CpuBuffer>>;
}

const supports: Supports = {
  dtypes: ['float32', 'float64'],
  inPlace: true,
  limits: { elements: 2 ** 31 - 1, classes: 2 ** 31 - 1 },
  device: 'JavaScript typed arrays, 1 thread',
  subnormals: 'preserve',
  nonFinite: 'ieee',
  expUlp: { base: 1, slope: 0 },
};

export function createBackend(): CpuBackend {
  let closed = false;
  const { alloc, free, clear } = createStorage();
  return {
    name: 'cpu',
    supports,
    get closed() {
      return closed;
    },
    // Intermediate buffers stay within core, which does not look into them.
    alloc: (length, dtype, use) => alloc(length, dtype, use) as CpuBuffer,
    write,
    read: async (buffer) => read(buffer),
    readSync: read,
    view: (buffer) => buffer,
    free,
    bufferInfo,
    sync: async () => {},
    close: () => {
      closed = true;
      clear();
    },
    ...required,
    basis,
    kernels,
  };
}

const required = takingIntermediates<Pick<CpuBackend, 'softmax' | 'jacobian' | 'vjp'>>({
  softmax,
  jacobian: (out, probabilities, rows, { temperature }) =>
    hasInverse(out, temperature) && jacobian(floats(out), floats(probabilities), rows, temperature),
  vjp: (out, probabilities, cotangent, rows, { temperature }) =>
    hasInverse(out, temperature) && vjp(floats(out), floats(probabilities), floats(cotangent), rows, temperature),
});

const kernels = takingIntermediates<Required<Kernels<CpuBuffer>>>({
  softmaxHvp: (out, probabilities, cotangent, tangent, rows, { temperature }) =>
    hasInverse(out, temperature) &&
    softmaxHvp(floats(out), floats(probabilities), floats(cotangent), floats(tangent), rows, temperature),
  logSoftmax,
  logSoftmaxVjp: (out, logProbabilities, cotangent, rows, { temperature }) =>
    hasInverse(out, temperature) &&
    logSoftmaxVjp(floats(out), floats(logProbabilities), floats(cotangent), rows, temperature),
  logSoftmaxJvp: (out, logProbabilities, tangent, rows, { temperature }) =>
    hasInverse(out, temperature) &&
    logSoftmaxJvp(floats(out), floats(logProbabilities), floats(tangent), rows, temperature),
  logSoftmaxJacobian: (out, logProbabilities, rows, { temperature }) =>
    logSoftmaxJacobian(floats(out), floats(logProbabilities), rows, temperature),
  logSoftmaxHvp: (out, logProbabilities, cotangent, tangent, rows, { temperature }) =>
    hasInverse(out, temperature) &&
    logSoftmaxHvp(floats(out), floats(logProbabilities), floats(cotangent), floats(tangent), rows, temperature),
  logSumExpHvp: (out, logits, cotangent, tangent, rows, parameters) =>
    hasInverse(out, parameters.temperature) &&
    logSumExpHvp(floats(out), floats(logits), floats(cotangent), floats(tangent), rows, parameters),
  logSumExp,
  crossEntropy: (out, logits, rows, parameters) =>
    hasInverse(logits, parameters.temperature) && crossEntropy(out, floats(logits), rows, parameters),
  sigmoid,
  sigmoidVjp,
  sigmoidHvp,
  relu,
  reluVjp,
});

/**
 * Whether 1 / T is a number. Derivatives in float64 at smaller temperatures are left to core, which divides in several steps; those in float32
 * are 0 or overflow.
 */
function hasInverse(buffer: CpuBuffer, temperature: number): boolean {
  return Number.isFinite(1 / temperature) || !(buffer instanceof Float64Array);
}

/** Core passes operands of these kernels as float buffers only. */
function floats(buffer: CpuBuffer): FloatArray {
  return buffer as FloatArray;
}
