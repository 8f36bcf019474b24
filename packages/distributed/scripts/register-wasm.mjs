// Registers wasm by name, in the threads of a pool.
import { register } from '@softgrad/core';

register('wasm', () => import('@softgrad/backend-wasm'));
