import { version } from '../version.js';

/**
 * The queue of a version and a backend: a worker sees no job that it must not compute.
 */
export function queueName(backend: string, of = version): string {
  return `softgrad-${of}-${backend}`;
}
