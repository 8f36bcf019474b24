// Registers backends by name, in the tests' process and in the threads of a pool.
import { register } from '@softgrad/core';

register('cpu', () => import('@softgrad/backend-cpu'));
register('wasm', () => import('@softgrad/backend-wasm'));
