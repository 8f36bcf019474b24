import { everywhere } from './everywhere.js';

// Not webgl, which has engine and storage in common with webgl2; nor webasm and cpu, which are V8's here as in Node.
everywhere(['webgpu', 'webgl2'], ['webgpu', 'webgl2']);
