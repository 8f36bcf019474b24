import { testNumbers } from './numbers.js';

for (const engine of ['cpu', 'wasm'] as const) testNumbers(engine);
