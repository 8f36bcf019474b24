/**
 * `softgrad`: core, `diagnose`, and the backends by name. Tensors are on cpu at once; `await setBackend('wasm')` when speed
 * matters.
 *
 * @module softgrad
 */

import { cpu } from '@softgrad/backend-cpu';
import { setDefaultBackend } from '@softgrad/core';
import { registerBackends } from './backends.js';

export * from '@softgrad/core';
export * from '@softgrad/doctor';

registerBackends();
setDefaultBackend(cpu);
