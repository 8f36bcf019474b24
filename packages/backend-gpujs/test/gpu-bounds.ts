import type { Accuracy } from '../../backend-tfjs/test/accuracy.js';
import type { FarErrors } from '../../backend-tfjs/test/far-temperatures.js';

/** What the arithmetic of the GPU modes keeps to, wherever it runs. */
export const gpuBounds: Accuracy = {
  softmax: 2.9,
  logSoftmax: 3,
  lowLogSoftmax: 1.9,
  logSumExp: 3.9,
  loss: 3,
  gradient: 3.5,
};

/** The same at temperatures far from 1, and what JavaScript's exp adds in mode webasm. */
export const farBounds: FarErrors = {
  softmax: 3.6,
  logSoftmax: 3,
  logSumExp: 2.2,
  loss: 2.3,
  gradient: 3.3,
  hvp: 6,
};
