// Registers backends by name, in the tests' process and in measuring processes.
import { register } from '@softgrad/core';

register('cpu', () => import('@softgrad/backend-cpu'));
register('wasm', () => import('@softgrad/backend-wasm'));
register('gpujs', () => import('@softgrad/backend-gpujs'));
