import { byteSize, type DType, type HostArray } from '@softgrad/core';
import type { WasmBuffer } from './buffer.js';
import type { Heap } from './heap.js';

/** The storage of a backend over its memory. */
export interface Storage {
  alloc(length: number, dtype: DType): WasmBuffer;
  write(buffer: WasmBuffer, host: HostArray): void;
  readSync(buffer: WasmBuffer): HostArray;
  view(buffer: WasmBuffer): HostArray;
  free(buffer: WasmBuffer): void;
  memory(): { readonly buffers: number; readonly bytes: number };
  bufferInfo(buffer: unknown): WasmBuffer | null;
}

export function createStorage(memory: WebAssembly.Memory, heap: Heap): Storage {
  const view = ({ address, length, dtype }: WasmBuffer): HostArray => {
    if (dtype === 'float64') return new Float64Array(memory.buffer, address, length);
    if (dtype === 'int32') return new Int32Array(memory.buffer, address, length);
    if (dtype === 'bool') return new Uint8Array(memory.buffer, address, length);
    return new Float32Array(memory.buffer, address, length);
  };
  let buffers = 0;
  let bytes = 0;
  return {
    alloc(length, dtype) {
      const size = length * byteSize(dtype);
      const address = heap.allocate(size);
      buffers += 1;
      bytes += size;
      return { address, length, dtype, memory };
    },
    write: (buffer, host) => view(buffer).set(host),
    // The constructor copies at once; slice would make zeros first.
    readSync: (buffer) => {
      const array = view(buffer);
      return new (array.constructor as new (from: HostArray) => HostArray)(array);
    },
    view,
    bufferInfo: (buffer) => ((buffer as Partial<WasmBuffer> | null)?.memory === memory ? (buffer as WasmBuffer) : null),
    free({ address, length, dtype }) {
      const size = length * byteSize(dtype);
      heap.release(address, size);
      buffers -= 1;
      bytes -= size;
    },
    memory: () => ({ buffers, bytes }),
  };
}
