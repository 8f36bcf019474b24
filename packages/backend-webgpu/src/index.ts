import { type BackendProvider, checkOptions, describeOption, namesOf, SoftgradError } from '@softgrad/core';
import { openBackend } from './backend.js';
import { openDevice, unavailableReason } from './gpu.js';
import type { DeviceOptions, WebgpuBackend, WebgpuBuffer } from './interface.js';

export type { DeviceOptions, WebgpuBackend, WebgpuBuffer } from './interface.js';
export type { OperationStatistics, Statistics } from './statistics.js';

/** Options of `webgpu.open`, all optional. */
export interface WebgpuOptions extends DeviceOptions {
  /** Maximum bytes of freed buffers that are kept for reuse. Default 256 MiB. */
  readonly pooledBytes?: number | undefined;
}

const optionNames = namesOf<WebgpuOptions>({
  device: true,
  adapter: true,
  gpu: true,
  powerPreference: true,
  pooledBytes: true,
});

/** The backend's provider: `open` returns a `WebgpuBackend`, in which the optional members of `Backend` are present. */
export interface WebgpuProvider extends BackendProvider<WebgpuBuffer, WebgpuOptions> {
  /** @throws ERR_BACKEND_UNAVAILABLE if there is no WebGPU, no adapter or no device; it says what is missing and how to get it */
  open(options?: WebgpuOptions): Promise<WebgpuBackend>;
}

/**
 * softgrad on WebGPU, in browsers and, with the package `webgpu`, in Node.
 *
 * @example
 * const gpu = await webgpu.open({ powerPreference: 'high-performance' });
 * gpu.supports.device; // 'nvidia lovelace (webgpu)'
 */
export const webgpu: WebgpuProvider = {
  name: 'webgpu',
  unavailable: () => unavailableReason(),
  async open(options = {}) {
    const { pooledBytes = 256 * 2 ** 20 } = checkOptions('webgpu.open', options, optionNames);
    if (typeof pooledBytes !== 'number' || !(pooledBytes >= 0)) {
      throw new SoftgradError(
        'ERR_VALUE',
        `webgpu: ${describeOption('pooledBytes', pooledBytes)}; expected a number of at least 0`,
      );
    }
    return openBackend(await openDevice(options), pooledBytes);
  },
};

export default webgpu;
