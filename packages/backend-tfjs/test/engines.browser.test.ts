import { testEngines } from './engines.js';

testEngines(['cpu', 'wasm', 'webgl', 'webgpu']);
