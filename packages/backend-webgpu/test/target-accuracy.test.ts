import { openedOnce } from '../../backend-tfjs/test/opened-once.js';
import { testTargetAccuracy } from '../../backend-tfjs/test/target-accuracy.js';
import { webgpu } from '../src/index.js';

testTargetAccuracy(
  'webgpu',
  openedOnce(() => webgpu.open()),
  { softmax: 2.5, loss: 2.4, gradient: 3.7, hvp: 2.6, hvpOfTemperature: 2.4 },
);
