import { everywhere } from './everywhere.js';

// Not webgl, which shares engine and storage with webgl2; nor webasm and cpu, which are tested in Node with the same engine.
everywhere(['webgpu', 'webgl2'], ['webgpu', 'webgl2']);
