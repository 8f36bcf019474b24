import { testSeed } from './seed.js';

for (const engine of ['webgl', 'webgpu', 'wasm', 'cpu'] as const) testSeed(engine);
