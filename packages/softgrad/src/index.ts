/**
 * `softgrad`: core, `diagnose`, and the backends by name. Tensors start on cpu; use `await setBackend('wasm')` if speed
 * matters.
 *
 * @module softgrad
 */

import { cpu } from '@softgrad/backend-cpu';
import { setDefaultBackend } from '@softgrad/core';
import { registerBackends } from './backends.js';

export * from '@softgrad/core';
export * from '@softgrad/doctor';
export type { BackendName } from './backends.js';
export { type BackendCandidate, loadProvider, openShared, setBackend } from './by-name.js';

registerBackends();
setDefaultBackend(cpu);
