import { testAccuracy } from '../../backend-tfjs/test/accuracy.js';
import { testFarTemperatures } from '../../backend-tfjs/test/far-temperatures.js';
import { openedOnce } from '../../backend-tfjs/test/opened-once.js';
import { createCandidate } from '../src/backend.js';
import { openHost } from '../src/engines/host.js';
import { loadGpu } from '../src/gpu.js';
import { gpujs } from '../src/index.js';
import { gpuHelpers } from '../src/program.js';
import { testExp } from './exp.js';
import { farBounds, gpuBounds } from './gpu-bounds.js';

/** GPU modes' arithmetic in WebAssembly, where operations are rounded as IEEE 754 says and subnormals are preserved. */
async function openAsOnGpu() {
  const library = await loadGpu();
  const engine = await openHost(library, 'webasm');
  const candidate = await createCandidate(library, { ...engine, helpers: gpuHelpers }, 64);
  return candidate.backend();
}

const asOnGpu = openedOnce(openAsOnGpu);
const webasm = openedOnce(() => gpujs.open({ mode: 'webasm' }));
const onHost = openedOnce(() => gpujs.open({ mode: 'cpu' }));

testAccuracy('GPU modes, in WebAssembly', asOnGpu, gpuBounds);
testAccuracy('mode webasm', webasm, {
  softmax: 3.6,
  logSoftmax: 3.4,
  lowLogSoftmax: 1.9,
  logSumExp: 4.5,
  loss: 3.4,
  gradient: 4.3,
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
