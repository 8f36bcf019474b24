import { type BackendProvider, checkOptions } from '@softgrad/core';
import { type CpuBackend, createBackend } from './backend.js';
import type { CpuBuffer } from './storage.js';

export type { CpuBackend, CpuBuffer };

/** The backend's provider: its `open` gives the `CpuBackend`, whose members are all there. */
export interface CpuProvider extends BackendProvider<CpuBuffer, undefined> {
  open(): Promise<CpuBackend>;
  /** `open` without waiting: there is nothing to load. */
  openSync(): CpuBackend;
}

/**
 * Plain typed arrays in plain JavaScript: runs wherever JavaScript does, in float32 and float64, with no options.
 *
 * @example
 * await setBackend(cpu);
 * using s = softmax(tensor([[1, 2, 3]]));
 * await s.array(); // [[0.09003057, 0.24472848, 0.66524094]] to float32
 */
export const cpu: CpuProvider = {
  name: 'cpu',
  unavailable: async () => null,
  async open(...given: unknown[]) {
    const [options = {}] = given;
    checkOptions('cpu', options as object, []);
    return createBackend();
  },
  openSync: createBackend,
};

export default cpu;
