import { testInterop } from './interop.js';

for (const engine of ['cpu', 'wasm'] as const) testInterop(engine);
