import type { Accuracy } from '../../backend-tfjs/test/accuracy.js';

/** What the arithmetic of the GPU modes keeps to, wherever it runs. */
export const gpuBounds: Accuracy = {
  softmax: 2.9,
  logSoftmax: 3,
  lowLogSoftmax: 1.9,
  logSumExp: 3.9,
  loss: 3,
  gradient: 3.5,
};
