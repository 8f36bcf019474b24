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
import { bufferInfo, type CpuBuffer, createStorage, read, write } from './storage.js';

/** The backend with its optional parts. */
export interface CpuBackend extends Backend<CpuBuffer> {
  readSync(buffer: CpuBuffer): HostArray;
  view(buffer: CpuBuffer): HostArray;
  readonly basis: Basis<CpuBuffer>;
  /** Masks are applied before and after `vjp`. */
  readonly kernels: Required<Omit<Kernels<CpuBuffer>, 'maskedVjp'>>;
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

const required = takingIntermediates<Pick<CpuBackend, 'softmax' | 'jacobian' | 'vjp'>>({ softmax, jacobian, vjp });

const kernels = takingIntermediates<CpuBackend['kernels']>({
  softmaxHvp,
  logSoftmax,
  logSoftmaxVjp,
  logSoftmaxJvp,
  logSoftmaxJacobian,
  logSoftmaxHvp,
  logSumExpHvp,
  logSumExp,
  crossEntropy,
  sigmoid,
  sigmoidVjp,
  sigmoidHvp,
  relu,
  reluVjp,
});
