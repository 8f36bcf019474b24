import { testSeed } from './seed.js';

for (const engine of ['cpu', 'wasm'] as const) testSeed(engine);
