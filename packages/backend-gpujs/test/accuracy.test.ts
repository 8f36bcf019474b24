import { testAccuracy } from '../../backend-tfjs/test/accuracy.js';
import { openedOnce } from '../../backend-tfjs/test/opened-once.js';
import { gpujs } from '../src/index.js';
import { openAsOnGpu } from './as-on-gpu.js';
import { testExp } from './exp.js';
import { gpuBounds } from './gpu-bounds.js';

const asOnGpu = openedOnce(openAsOnGpu);

testAccuracy('GPU modes, in WebAssembly', asOnGpu, gpuBounds);
testAccuracy(
  'mode webasm',
  openedOnce(() => gpujs.open({ mode: 'webasm' })),
  {
    softmax: 2.9,
    logSoftmax: 3.4,
    lowLogSoftmax: 1.9,
    logSumExp: 4.5,
    loss: 3.4,
    gradient: 3.9,
  },
);
testAccuracy(
  'mode cpu',
  openedOnce(() => gpujs.open({ mode: 'cpu' })),
  {
    softmax: 2,
    logSoftmax: 2,
    lowLogSoftmax: 2,
    logSumExp: 2,
    loss: 2,
    gradient: 2,
  },
);

testExp('GPU modes, in WebAssembly', asOnGpu, 2 ** 20);
