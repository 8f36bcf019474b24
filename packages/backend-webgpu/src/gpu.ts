import { SoftgradError } from '@softgrad/core';
import type { DeviceOptions } from './interface.js';

/** WebGPU's flag values, because Node has no globals for them. */
export const bufferUsage = {
  mapRead: 0x1,
  copySource: 0x4,
  copyDestination: 0x8,
  uniform: 0x40,
  storage: 0x80,
  queryResolve: 0x200,
} as const;
export const mapModeRead = 0x1;
export const computeStage = 0x4;

/** A device, its adapter's description, and whether the backend must destroy it. */
export interface OpenedDevice {
  readonly device: GPUDevice;
  /** undefined in older browsers. */
  readonly info: GPUAdapterInfo | undefined;
  readonly owned: boolean;
}

const install =
  'use a browser with WebGPU (Chrome, Edge, Safari 26, Firefox 141), or in Node run `npm install webgpu` (0.6 or later)';
const drivers = 'the machine needs a GPU driver for Vulkan, Metal or Direct3D 12';
const inBrowsers = 'or WebGPU is switched off in the settings of the browser';
const inNode =
  "without a GPU, VK_DRIVER_FILES can name a software driver such as Chromium's vk_swiftshader_icd.json, and LD_LIBRARY_PATH " +
  'the folder of a Vulkan loader';

/** Why no device is available with these options, in one sentence; null if one is. */
export async function unavailableReason(options: DeviceOptions = {}): Promise<string | null> {
  const found = await findAdapter(options);
  return typeof found === 'string' ? found : null;
}

/** @throws ERR_BACKEND_UNAVAILABLE, with what is missing and how to get it */
export async function openDevice(options: DeviceOptions): Promise<OpenedDevice> {
  if (options.device) return { device: options.device, info: options.device.adapterInfo, owned: false };
  const adapter = await findAdapter(options);
  if (typeof adapter === 'string') throw unavailable(adapter);
  let info: GPUAdapterInfo | undefined;
  try {
    ({ info } = adapter);
    const { limits, features } = adapter;
    const wanted = (['shader-f16', 'subgroups', 'timestamp-query'] as const).filter((feature) => features.has(feature));
    const device = await adapter.requestDevice({
      label: 'softgrad',
      requiredFeatures: wanted,
      requiredLimits: {
        maxBufferSize: limits.maxBufferSize,
        maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      },
    });
    return { device, info, owned: true };
  } catch (cause) {
    throw unavailable(`the adapter ${describe(info)} gave no device: ${messageOf(cause)}`, cause);
  }
}

/** The description of an adapter, such as 'google swiftshader'. */
export function describe(info: GPUAdapterInfo | undefined): string {
  const words = [info?.vendor, info?.architecture || info?.device].filter((word) => word);
  return words.join(' ') || info?.description || 'unnamed adapter';
}

export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

async function findAdapter(options: DeviceOptions): Promise<GPUAdapter | string> {
  if (options.adapter) return options.adapter;
  const { powerPreference } = options;
  try {
    const gpu = options.gpu ?? (await findEntry());
    if (typeof gpu === 'string') return gpu;
    const adapter = await gpu.requestAdapter(powerPreference === undefined ? {} : { powerPreference });
    return adapter ?? `WebGPU has no adapter: ${drivers}${isNode() ? `; ${inNode}` : `, ${inBrowsers}`}`;
  } catch (cause) {
    return `WebGPU is blocked, as by a setting or an extension of the browser: ${messageOf(cause)}`;
  }
}

/** The browser's entry point, or the one of the package `webgpu`. */
async function findEntry(): Promise<GPU | string> {
  const { navigator } = globalThis as { readonly navigator?: { readonly gpu?: GPU } };
  if (navigator?.gpu) return navigator.gpu;
  if (!isNode()) return `there is no navigator.gpu: ${install}`;
  nodeEntry ??= loadNodeEntry();
  return nodeEntry;
}

function isNode(): boolean {
  const { process } = globalThis as { readonly process?: { readonly versions?: { readonly node?: string } } };
  return process?.versions?.node !== undefined;
}

/** One Dawn instance per process: it must outlive every device that was created from it. */
let nodeEntry: Promise<GPU | string> | undefined;

async function loadNodeEntry(): Promise<GPU | string> {
  // Not a literal, and marked, so that bundlers do not try to resolve the optional package.
  const optional = 'webgpu';
  try {
    const dawn = (await import(/* @vite-ignore */ /* webpackIgnore: true */ optional)) as {
      readonly create: (flags: readonly string[]) => GPU;
    };
    return dawn.create([]);
  } catch (cause) {
    const missing = (cause as { readonly code?: unknown } | null)?.code === 'ERR_MODULE_NOT_FOUND';
    return missing
      ? `Node has no built-in WebGPU: ${install}`
      : `the package webgpu failed to load (${messageOf(cause)}): ${install}`;
  }
}

function unavailable(reason: string, cause?: unknown): SoftgradError {
  return new SoftgradError('ERR_BACKEND_UNAVAILABLE', `webgpu: ${reason}`, cause === undefined ? {} : { cause });
}
