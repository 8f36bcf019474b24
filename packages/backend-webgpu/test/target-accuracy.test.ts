import { openedOnce } from '../../backend-tfjs/test/opened-once.js';
import { testTargetAccuracy } from '../../backend-tfjs/test/target-accuracy.js';
import { webgpu } from '../src/index.js';

testTargetAccuracy(
  'webgpu',
  openedOnce(() => webgpu.open()),
  { softmax: 2.5, loss: 2.4, gradient: 3.7, hvp: 3.4, hvpOfTemperature: 3.4 },
);
