import type { ContenderSource } from '../contender.js';
import { gpujsPeer } from './gpujs.js';
import { jax } from './jax.js';
import { naive } from './naive.js';
import { onnxruntime } from './onnxruntime.js';
import { tfjs } from './tfjs.js';

/** Competing libraries by name, each called the way its users call it. One that is not installed reports that when it is opened. */
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
