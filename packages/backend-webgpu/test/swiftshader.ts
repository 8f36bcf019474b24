/** What the backend announces on SwiftShader, the software device of the tests in Node and in Chromium. */
export const announcedBySwiftShader = {
  device: 'google swiftshader (webgpu)',
  dtypes: ['float32'],
  inPlace: false,
  limits: { elements: 2 ** 28, classes: 2 ** 28 },
  subnormals: 'flush',
  nonFinite: 'ieee',
  range: 'ordinary',
  expUlp: { base: 1, slope: 0 },
};

const fusedKernels = [
  'logSoftmax',
  'logSoftmaxVjp',
  'logSoftmaxJvp',
  'logSoftmaxJacobian',
  'logSumExp',
  'softmaxHvp',
  'logSoftmaxHvp',
  'logSumExpHvp',
  'sigmoid',
  'sigmoidVjp',
  'relu',
  'reluVjp',
  'crossEntropy',
];

/** The reasons for skipped conformance cases. Core's own tests cover which cases need what. */
export const skipReasonsOnSwiftShader: readonly string[] = [
  'has no float64',
  'has no float16',
  'does not announce range: full',
  'does not announce readSync',
  'does not announce view',
  'does not announce inPlace',
  'announces nonFinite: ieee',
  'has float32',
  'has a basis',
  ...fusedKernels.map((name) => `has kernels.${name}`),
].sort();
