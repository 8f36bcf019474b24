import { createRequire } from 'node:module';
import type { Mode } from '../src/index.js';

/** The modes that run in this Node: headless WebGL only if gpu.js's optional native package is installed. */
export const nodeModes: readonly Mode[] = hasHeadlessGl() ? ['headlessgl', 'cpu', 'webasm'] : ['cpu', 'webasm'];

function hasHeadlessGl(): boolean {
  try {
    createRequire(createRequire(import.meta.url).resolve('gpu.js'))('gl');
    return true;
  } catch {
    return false;
  }
}
