import { testInterop } from './interop.js';

for (const engine of ['webgl', 'webgpu', 'wasm', 'cpu'] as const) testInterop(engine);
