import '@tensorflow/tfjs-backend-cpu';
import { testNumbers } from './numbers.js';

for (const engine of ['webgl', 'webgpu'] as const) testNumbers(engine);
