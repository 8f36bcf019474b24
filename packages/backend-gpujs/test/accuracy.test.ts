import { testAccuracy } from '../../backend-tfjs/test/accuracy.js';
import { openedOnce } from '../../backend-tfjs/test/opened-once.js';
import { createCandidate } from '../src/backend.js';
import { openHost } from '../src/engines/host.js';
import { loadGpu } from '../src/gpu.js';
import { gpujs } from '../src/index.js';
import { gpuHelpers } from '../src/program.js';
import { testExp } from './exp.js';
import { gpuBounds } from './gpu-bounds.js';

/** GPU modes' arithmetic in WebAssembly, where operations are rounded as IEEE 754 says and subnormals are preserved. */
async function openAsOnGpu() {
  const library = await loadGpu();
  const engine = await openHost(library, 'webasm');
  const candidate = await createCandidate(library, { ...engine, helpers: gpuHelpers }, 64);
  return candidate.backend();
}

const asOnGpu = openedOnce(openAsOnGpu);

testAccuracy('GPU modes, in WebAssembly', asOnGpu, gpuBounds);
testAccuracy(
  'mode webasm',
  openedOnce(() => gpujs.open({ mode: 'webasm' })),
  {
    softmax: 3.6,
    logSoftmax: 3.4,
    lowLogSoftmax: 1.9,
    logSumExp: 4.5,
    loss: 3.4,
    gradient: 4.3,
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
