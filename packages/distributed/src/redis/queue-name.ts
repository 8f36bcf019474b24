import { version } from '../version.js';

/**
 * The queue for a version and a backend, so that a worker gets no job that it must not compute.
 *
 * @param of the version; default: that of this package
 * @example
 * queueName('cpu', '0.1.0'); // 'softgrad-0.1.0-cpu'
 */
export function queueName(backend: string, of = version): string {
  return `softgrad-${of}-${backend}`;
}
