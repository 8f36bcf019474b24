import { expect } from 'vitest';

/** What the backend announces of SwiftShader, the software device on which the tests run in Node and in Chromium. */
export const announcedBySwiftShader = {
  device: 'google swiftshader (webgpu)',
  dtypes: ['float32'],
  readSync: false,
  hostView: false,
  inPlace: false,
  limits: { elements: 2 ** 28, classes: 2 ** 28 },
  subnormals: 'flush',
  nonFinite: 'ieee',
  // 0.0069 today; it must not grow.
  expUlp: { base: 1, slope: expect.closeTo(0.006, 2) },
};

const fusedKernels = {
  softmax: 1,
  softmaxVjp: 2,
  softmaxJacobian: 2,
  logSoftmax: 1,
  logSoftmaxVjp: 1,
  logSoftmaxJvp: 1,
  logSoftmaxJacobian: 2,
  logSumExp: 1,
  sigmoid: 1,
  sigmoidVjp: 2,
  relu: 1,
  reluVjp: 2,
  crossEntropy: 3,
};

/** How many conformance cases do not apply to it, by reason. */
export const skippedOnSwiftShader = {
  'has no float64': 348,
  'has no float16': 338,
  'does not announce readSync': 5,
  'does not announce hostView': 5,
  'does not announce inPlace': 9,
  'announces nonFinite: ieee': 1,
  'has float32': 1,
  'has a basis': 14,
  ...Object.fromEntries(Object.entries(fusedKernels).map(([name, count]) => [`has kernels.${name}`, count])),
};
