import { testInterop } from './interop.js';

for (const engine of ['webgl', 'webgpu'] as const) testInterop(engine);
