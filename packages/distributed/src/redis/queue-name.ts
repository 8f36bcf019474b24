import { version } from '../version.js';

/**
 * The queue for a version and a backend, so that a worker gets no job that it must not compute.
 */
export function queueName(backend: string, of = version): string {
  return `softgrad-${of}-${backend}`;
}
