import { type DType, type HostArray, hostArray, isFloat } from '@softgrad/core';
import type { KernelBackend, Tensor, TensorInfo } from '@tensorflow/tfjs-core';

/**
 * A buffer of the backend: a handle on tfjs's data. That data is immutable, so writing into the buffer replaces it. Data that
 * is shared with a `tf.Tensor` of the user is reference-counted by tfjs.
 */
export interface TfBuffer {
  readonly length: number;
  readonly dtype: DType;
  /** The written data of int32 and bool buffers, which no kernel writes; webgl would keep only 24 bits of an int32. */
  host: HostArray | null;
  /** The engine's data; null before the first write, and for host data before a kernel needs it. */
  data: TensorInfo | null;
  /** For data shared with tfjs: this buffer's tfjs tensor, which keeps the data alive. */
  tensor: Tensor | null;
}

/** What stores the data of an engine. */
export interface Store {
  readonly instance: KernelBackend;
  /** Whether it copies the arrays that are written and read. Otherwise it keeps them. */
  readonly copies: boolean;
}

export function newBuffer(length: number, dtype: DType): TfBuffer {
  return { length, dtype, host: null, data: null, tensor: null };
}

/** The engine's data of a buffer, as a flat array; uploads data that is only on the host. */
export function deviceInfo(instance: KernelBackend, buffer: TfBuffer): TensorInfo {
  if (buffer.data) return buffer.data;
  const dtype = isFloat(buffer.dtype) ? 'float32' : buffer.dtype;
  const values = buffer.host ?? hostArray(buffer.length, buffer.dtype);
  buffer.data = flatInfo(instance.write(values.slice() as EngineValues, [buffer.length], dtype), buffer);
  return buffer.data;
}

/** Replaces the data of a buffer and frees the previous data. */
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

export function write({ instance, copies }: Store, buffer: TfBuffer, host: HostArray): void {
  if (isFloat(buffer.dtype)) {
    // Never float64, because core checks `supports.dtypes`.
    const values = (copies ? host : host.slice()) as EngineValues;
    replace(instance, buffer, flatInfo(instance.write(values, [buffer.length], 'float32'), buffer));
  } else {
    buffer.host = host.slice();
    replace(instance, buffer, null);
  }
}

/** A copy of the buffer's elements at the time of the call. */
export async function read({ instance, copies }: Store, buffer: TfBuffer): Promise<HostArray> {
  const { data, tensor } = buffer;
  if (buffer.host) return buffer.host.slice();
  if (!data) return hostArray(buffer.length, buffer.dtype);
  if (tensor) return owned(await tensor.data(), buffer, copies);
  // Keeps the data alive during the read, because tfjs cannot read data that is disposed meanwhile.
  instance.incRef(data.dataId);
  try {
    return owned(await instance.read(data.dataId), buffer, copies);
  } finally {
    instance.disposeData(data.dataId);
  }
}

export function readSync({ instance, copies }: Store, buffer: TfBuffer): HostArray {
  if (buffer.host) return buffer.host.slice();
  if (!buffer.data) return hostArray(buffer.length, buffer.dtype);
  return owned(buffer.tensor ? buffer.tensor.dataSync() : instance.readSync(buffer.data.dataId), buffer, copies);
}

type EngineValues = Exclude<HostArray, Float64Array>;

/** Values that were read, in an array that nobody else has. */
function owned(values: object, { length, dtype }: TfBuffer, copies: boolean): HostArray {
  if (copies) return values as HostArray;
  const copy = hostArray(length, dtype);
  copy.set(values as ArrayLike<number>);
  return copy;
}
