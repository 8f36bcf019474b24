import type { ContenderSource } from '../contender.js';
import { gpujsPeer } from './gpujs.js';
import { jax } from './jax.js';
import { naive } from './naive.js';
import { onnxruntime } from './onnxruntime.js';
import { tfjs } from './tfjs.js';

/** Other people's engines by name, each called as its users call it; one that is not installed says so. */
export const peers: Readonly<Record<string, ContenderSource>> = {
  naive,
  'tfjs-cpu': tfjs('cpu'),
  'tfjs-wasm': tfjs('wasm'),
  'tfjs-webgl': tfjs('webgl'),
  'tfjs-webgpu': tfjs('webgpu'),
  'onnxruntime-node': onnxruntime('node'),
  'onnxruntime-node-2t': onnxruntime('node', 2),
  'onnxruntime-web': onnxruntime('web'),
  jax,
  'gpu.js': gpujsPeer,
};
