import { inject } from 'vitest';
import { everywhere } from './everywhere.js';
import { testPasses } from './passes.js';

// Not webgl, which shares engine and storage with webgl2; nor webasm and cpu, which are tested in Node with the same engine.
everywhere(['webgpu', 'webgl2'], inject('everything') ? ['webgpu', 'webgl2'] : ['webgpu']);

// In the same file, and so in the same page, which loads gpu.js once.
testPasses();
