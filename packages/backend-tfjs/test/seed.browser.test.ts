import { testSeed } from './seed.js';

for (const engine of ['webgl', 'webgpu'] as const) testSeed(engine);
