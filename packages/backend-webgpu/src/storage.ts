import { byteSize, type DType, type HostArray, SoftgradError } from '@softgrad/core';
import { type Faults, outOfDeviceMemory } from './faults.js';
import { fromFloat16, toFloat16 } from './float16.js';
import { bufferUsage } from './gpu.js';
import type { Slot, WebgpuBuffer } from './interface.js';
import { bufferPool, slotFor } from './pool.js';
import type { Queue } from './queue.js';

export type { WebgpuBuffer } from './interface.js';

export interface Storage {
  alloc(length: number, dtype: DType): WebgpuBuffer;
  /** Wraps a GPUBuffer of the caller, which `free` releases but does not destroy. */
  adopt(gpu: GPUBuffer, length: number, dtype: DType): WebgpuBuffer;
  free(buffer: WebgpuBuffer): void;
  bufferInfo(buffer: unknown): WebgpuBuffer | null;
  write(buffer: WebgpuBuffer, host: HostArray): void;
  read(buffer: WebgpuBuffer): Promise<HostArray>;
  /** Maximum size of one buffer in bytes. */
  readonly largest: number;
  readonly held: {
    readonly live: { readonly buffers: number; readonly bytes: number };
    readonly pooled: { readonly buffers: number; readonly bytes: number };
  };
  close(): void;
}

export function openStorage(device: GPUDevice, queue: Queue, faults: Faults, pooledBytes: number): Storage {
  const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
  const largest = Math.floor(Math.min(maxBufferSize, maxStorageBufferBindingSize) / 256) * 256;
  const live = new Set<WebgpuBuffer>();
  const adopted = new WeakSet<WebgpuBuffer>();
  let liveBytes = 0;

  /** Invalid buffers: WebGPU reports a failed allocation asynchronously, and the GPUBuffer stays invalid. */
  const invalid = new WeakSet<GPUBuffer>();
  const create = (size: number) => {
    const usage = bufferUsage.storage | bufferUsage.copySource | bufferUsage.copyDestination;
    const gpu = faults.scope(
      'out-of-memory',
      () => {
        invalid.add(gpu);
        return outOfDeviceMemory(size);
      },
      () => device.createBuffer({ size, usage }),
    );
    return gpu;
  };
  const retire = (slot: Slot) => {
    queue.release(slot);
    slot.gpu.destroy();
  };
  const pool = bufferPool(pooledBytes, largest, create, retire, (gpu) => !invalid.has(gpu));
  const slotOf = (buffer: WebgpuBuffer) => {
    faults.check();
    if (!buffer.slot) throw new SoftgradError('ERR_DISPOSED', 'webgpu: the buffer was freed');
    return buffer.slot;
  };

  return {
    largest,
    alloc(length, dtype) {
      faults.check();
      const bytes = length * byteSize(dtype);
      if (bytes > largest) {
        const limits = `maxStorageBufferBindingSize ${maxStorageBufferBindingSize}, maxBufferSize ${maxBufferSize}`;
        throw new SoftgradError(
          'ERR_OUT_OF_MEMORY',
          `webgpu: ${length} ${dtype} elements take ${bytes} bytes; this device supports at most ${largest} in one buffer (${limits})`,
        );
      }
      const slot = pool.take(bytes);
      queue.claim(slot);
      const buffer: WebgpuBuffer = { dtype, length, slot };
      live.add(buffer);
      liveBytes += slot.byteLength;
      return buffer;
    },
    adopt(gpu, length, dtype) {
      faults.check();
      if (!Number.isInteger(length) || length < 0) {
        throw new SoftgradError('ERR_VALUE', `webgpu: a buffer of ${length} elements; expected an integer ≥ 0`);
      }
      const bytes = length * byteSize(dtype);
      if (gpu.size < bytes || gpu.size % 16 !== 0 || gpu.size > largest) {
        throw new SoftgradError(
          'ERR_VALUE',
          `webgpu: a buffer of ${gpu.size} bytes for ${length} ${dtype} elements; expected a multiple of 16 from ${bytes} to ${largest}`,
        );
      }
      const missing = Object.entries(sharedUsage).filter(([, flag]) => (gpu.usage & flag) === 0);
      if (missing.length > 0) {
        const names = missing.map(([name]) => name).join(' and ');
        throw new SoftgradError('ERR_VALUE', `webgpu: a buffer of usage ${gpu.usage} without ${names}`);
      }
      const buffer: WebgpuBuffer = { dtype, length, slot: slotFor(gpu) };
      adopted.add(buffer);
      return buffer;
    },
    bufferInfo(buffer) {
      const known = buffer as WebgpuBuffer;
      return live.has(known) || adopted.has(known) ? known : null;
    },
    free(buffer) {
      const { slot } = buffer;
      if (!slot) return;
      adopted.delete(buffer);
      buffer.slot = null;
      if (live.delete(buffer)) {
        liveBytes -= slot.byteLength;
        pool.give(slot);
      } else {
        queue.release(slot);
      }
    },
    write(buffer, host) {
      const slot = slotOf(buffer);
      if (buffer.length > 0) queue.upload(slot, toBytes(host, buffer.dtype));
    },
    async read(buffer) {
      const slot = slotOf(buffer);
      if (buffer.length === 0) return fromBytes(new ArrayBuffer(0), 0, buffer.dtype);
      const byteLength = Math.ceil((buffer.length * byteSize(buffer.dtype)) / 4) * 4;
      return fromBytes(await queue.download(slot, byteLength), buffer.length, buffer.dtype);
    },
    held: {
      live: {
        get buffers() {
          return live.size;
        },
        get bytes() {
          return liveBytes;
        },
      },
      pooled: pool.held,
    },
    close() {
      for (const buffer of live) {
        buffer.slot?.gpu.destroy();
        buffer.slot = null;
      }
      live.clear();
      liveBytes = 0;
      pool.destroy();
    },
  };
}

/** The usages that a shared buffer must have: bound by kernels, written and read. */
const sharedUsage = {
  STORAGE: bufferUsage.storage,
  COPY_SRC: bufferUsage.copySource,
  COPY_DST: bufferUsage.copyDestination,
} as const;

/** The bytes of host data for the device, padded to a multiple of 4; copied only if the queue cannot use the host's memory directly. */
function toBytes(host: HostArray, dtype: DType): Uint8Array<ArrayBuffer> {
  const stored = dtype === 'float16' ? toFloat16(host) : host;
  const bytes = new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
  if (bytes.byteLength % 4 === 0 && bytes.buffer instanceof ArrayBuffer) return bytes as Uint8Array<ArrayBuffer>;
  const padded = new Uint8Array(Math.ceil(bytes.byteLength / 4) * 4);
  padded.set(bytes);
  return padded;
}

function fromBytes(bytes: ArrayBuffer, length: number, dtype: DType): HostArray {
  if (dtype === 'float16') return fromFloat16(new Uint16Array(bytes, 0, length));
  if (dtype === 'int32') return new Int32Array(bytes);
  if (dtype === 'float32') return new Float32Array(bytes);
  return new Uint8Array(bytes).slice(0, length);
}
