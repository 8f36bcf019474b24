import { type DType, type HostArray, hostArray, isFloat } from '@softgrad/core';
import type { KernelBackend, Tensor, TensorInfo } from '@tensorflow/tfjs-core';

/**
 * A buffer of the backend: a handle on data of tfjs, which is immutable, so that whatever writes into the buffer takes the
 * place of what was there. Data that a `tf.Tensor` of the user's holds too is counted by tfjs and freed with the last holder.
 */
export interface TfBuffer {
  readonly length: number;
  readonly dtype: DType;
  /** What was written, for int32 and bool, which no kernel writes; webgl would keep only 24 bits of an int32. */
  host: HostArray | null;
  /** The engine's data, or null before anything was written, or needed of host data. */
  data: TensorInfo | null;
  /** Where the data is shared with tfjs: this buffer's own tensor, which holds it. */
  tensor: Tensor | null;
}

export function newBuffer(length: number, dtype: DType): TfBuffer {
  return { length, dtype, host: null, data: null, tensor: null };
}

/** The engine's data of a buffer, as a flat array; uploads what is on the host only. */
export function deviceInfo(instance: KernelBackend, buffer: TfBuffer): TensorInfo {
  if (buffer.data) return buffer.data;
  const dtype = isFloat(buffer.dtype) ? 'float32' : buffer.dtype;
  const values = buffer.host ?? hostArray(buffer.length, buffer.dtype);
  buffer.data = flatInfo(instance.write(engineValues(values), [buffer.length], dtype), buffer);
  return buffer.data;
}

/** Makes `data` what the buffer holds, and lets go of what it held. */
export function replace(instance: KernelBackend, buffer: TfBuffer, data: TensorInfo | null): void {
  const { data: before, tensor } = buffer;
  buffer.data = data && flatInfo(data.dataId, buffer);
  buffer.tensor = null;
  if (tensor) tensor.dispose();
  else if (before) instance.disposeData(before.dataId);
}

function flatInfo(dataId: object, { length, dtype }: TfBuffer): TensorInfo {
  return { dataId, shape: [length], dtype: isFloat(dtype) ? 'float32' : dtype };
}

export function write(instance: KernelBackend, buffer: TfBuffer, host: HostArray): void {
  if (isFloat(buffer.dtype)) {
    replace(instance, buffer, flatInfo(instance.write(engineValues(host), [buffer.length], 'float32'), buffer));
  } else {
    buffer.host = host.slice();
    replace(instance, buffer, null);
  }
}

/** The buffer's elements as they are when this is called, in an array of the caller's own. */
export async function read(instance: KernelBackend, buffer: TfBuffer): Promise<HostArray> {
  const { data, tensor } = buffer;
  if (buffer.host) return buffer.host.slice();
  if (!data) return hostArray(buffer.length, buffer.dtype);
  if (tensor) return ownedCopy(await tensor.data(), buffer);
  // Held while it is read: tfjs loses track of data that is disposed in between.
  instance.incRef(data.dataId);
  try {
    return ownedCopy(await instance.read(data.dataId), buffer);
  } finally {
    instance.disposeData(data.dataId);
  }
}

export function readSync(instance: KernelBackend, buffer: TfBuffer): HostArray {
  if (buffer.host) return buffer.host.slice();
  if (!buffer.data) return hostArray(buffer.length, buffer.dtype);
  return ownedCopy(buffer.tensor ? buffer.tensor.dataSync() : instance.readSync(buffer.data.dataId), buffer);
}

/** Engines keep the array that they are given. No float64 gets here: core asks `supports.dtypes`. */
function engineValues(host: HostArray) {
  return host.slice() as Exclude<HostArray, Float64Array>;
}

/** Engines give out the array that they keep. */
function ownedCopy(values: ArrayLike<number> | object, { length, dtype }: TfBuffer): HostArray {
  const copy = hostArray(length, dtype);
  copy.set(values as ArrayLike<number>);
  return copy;
}
