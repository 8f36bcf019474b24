import { everywhere } from './everywhere.js';

everywhere(['webgpu', 'webgl2', 'webgl', 'webasm', 'cpu'], ['webgpu', 'webgl2']);
