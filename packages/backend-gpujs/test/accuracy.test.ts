import { testAccuracy } from '../../backend-tfjs/test/accuracy.js';
import { testFarTemperatures } from '../../backend-tfjs/test/far-temperatures.js';
import { openedOnce } from '../../backend-tfjs/test/opened-once.js';
import { gpujs } from '../src/index.js';
import { openAsOnGpu } from './as-on-gpu.js';
import { testExp } from './exp.js';
import { farBounds, gpuBounds } from './gpu-bounds.js';

const asOnGpu = openedOnce(openAsOnGpu);
const webasm = openedOnce(() => gpujs.open({ mode: 'webasm' }));
const onHost = openedOnce(() => gpujs.open({ mode: 'cpu' }));

testAccuracy('GPU modes, in WebAssembly', asOnGpu, gpuBounds);
testAccuracy('mode webasm', webasm, {
  softmax: 2.9,
  logSoftmax: 3.4,
  lowLogSoftmax: 1.9,
  logSumExp: 4.5,
  loss: 3.4,
  gradient: 3.9,
});
testAccuracy('mode cpu', onHost, {
  softmax: 2,
  logSoftmax: 2,
  lowLogSoftmax: 2,
  logSumExp: 2,
  loss: 2,
  gradient: 2,
});

testFarTemperatures('GPU modes, in WebAssembly', asOnGpu, { float32: farBounds });
testFarTemperatures('mode webasm', webasm, { float32: farBounds });
testFarTemperatures('mode cpu', onHost, {
  float32: { softmax: 2, logSoftmax: 2, logSumExp: 1, loss: 2, gradient: 2.1, hvp: 3 },
});

testExp('GPU modes, in WebAssembly', asOnGpu, 2 ** 20);
