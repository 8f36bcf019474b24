import { type BackendProvider, checkOptions, describeOption, SoftgradError } from '@softgrad/core';
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

/** Objects of WebGPU are recognized by a method, because those of another realm or of Dawn have other classes. */
const having = (method: string) => (value: unknown) =>
  typeof (Object(value) as Readonly<Record<string, unknown>>)[method] === 'function';

const valuesOf: Readonly<
  Record<keyof WebgpuOptions, readonly [isValid: (value: unknown) => boolean, expected: string]>
> = {
  device: [having('createBuffer'), 'a GPUDevice: await adapter.requestDevice()'],
  adapter: [having('requestDevice'), 'a GPUAdapter: await navigator.gpu.requestAdapter()'],
  gpu: [having('requestAdapter'), 'the entry point of WebGPU: navigator.gpu'],
  powerPreference: [(value) => value === 'low-power' || value === 'high-performance', 'low-power or high-performance'],
  pooledBytes: [(value) => typeof value === 'number' && value >= 0, 'a number of at least 0'],
};
const optionNames = Object.keys(valuesOf);

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
    for (const [name, value] of Object.entries(options)) {
      const [isValid, expected] = valuesOf[name as keyof WebgpuOptions];
      if (value !== undefined && !isValid(value))
        throw new SoftgradError('ERR_VALUE', `webgpu: ${describeOption(name, value)}; expected ${expected}`);
    }
    return openBackend(await openDevice(options), pooledBytes);
  },
};

export default webgpu;
