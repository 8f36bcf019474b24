import { type Backend, bufferOf, SoftgradError, type Tensor } from '@softgrad/core';
import type { Tensor as TfTensor } from '@tensorflow/tfjs-core';
import type { Engine } from './engine.js';
import { deviceInfo, newBuffer, replace, type TfBuffer } from './storage.js';
import type { WebGlInstance } from './verbs/webgl.js';

/** A tfjs tensor that shares the data of a softgrad tensor. */
export function shared(engine: Engine, backend: Backend<TfBuffer>, tensor: Tensor): TfTensor {
  engine.assertAlive();
  if (tensor.backend !== backend) {
    throw new SoftgradError(
      'ERR_BACKEND_MISMATCH',
      `toTf: the tensor is on ${tensor.backend.name}, not on this backend; move it with await x.to(backend)`,
    );
  }
  const buffer = bufferOf(backend, tensor);
  if (tensor.dtype !== 'float32') {
    throw new SoftgradError('ERR_DTYPE', `toTf: the tensor is ${tensor.dtype}, expected float32`);
  }
  const { dataId } = deviceInfo(engine.instance, buffer);
  buffer.tensor ??= holder(engine, dataId, buffer);
  // tfjs may have moved shared data to another engine that computes with it.
  engine.core.engine().state.tensorInfo.get(dataId)?.backend.incRef(dataId);
  return tensorOn(engine, dataId, tensor.shape);
}

/** A buffer that shares the data of a tfjs tensor. */
export function adopted(engine: Engine, tensor: TfTensor): TfBuffer {
  engine.assertAlive();
  const { core, instance, name } = engine;
  assertTfTensor(tensor);
  if (tensor.isDisposed) throw new SoftgradError('ERR_DISPOSED', 'fromTf: the tfjs tensor was disposed');
  if (tensor.dtype !== 'float32') {
    const instead = {
      int32: `labels are copied with ${copied(tensor)}`,
      bool: `masks are copied with ${copied(tensor)}`,
      complex64: 'pass its parts, tf.real(t) and tf.imag(t)',
      string: 'strings are not numbers',
    }[tensor.dtype];
    throw new SoftgradError('ERR_DTYPE', `fromTf: the tfjs tensor is ${tensor.dtype}, expected float32; ${instead}`);
  }
  if (core.engine().state.tensorInfo.get(tensor.dataId)?.backend !== instance) {
    throw new SoftgradError(
      'ERR_BACKEND_MISMATCH',
      `fromTf: the tfjs tensor is not on engine ${name}: open({ engine: tf.getBackend() }), or copy it with ${copied(tensor)}`,
    );
  }
  const buffer = newBuffer(tensor.size, 'float32');
  const own = name === 'webgl' ? unpacked(instance as WebGlInstance, tensor) : null;
  if (own) {
    replace(instance, buffer, own);
    return buffer;
  }
  instance.incRef(tensor.dataId);
  replace(instance, buffer, tensor);
  buffer.tensor = holder(engine, tensor.dataId, buffer);
  return buffer;
}

/** @throws ERR_DTYPE for anything but a tensor of tfjs */
function assertTfTensor(value: TfTensor | null | undefined): asserts value is TfTensor {
  if (typeof value === 'object' && value !== null && 'dataId' in value) return;
  const found = Array.isArray(value) ? 'an array' : value === null ? 'null' : typeof value;
  throw new SoftgradError(
    'ERR_DTYPE',
    `fromTf: expected a tensor of TensorFlow.js, got ${found}; to copy arrays and other data, use tensor(data, { backend })`,
  );
}

/** The expression that copies a tfjs tensor, called t, with its shape and dtype. */
function copied({ dtype }: TfTensor): string {
  return `tensor(await t.data(), { shape: t.shape${dtype === 'bool' ? ", dtype: 'bool'" : ''}, backend })`;
}

/** A tfjs tensor that keeps shared data alive for the buffer: tfjs frees the data with its last tensor, even if it has moved the data. */
function holder(engine: Engine, dataId: object, { length }: TfBuffer): TfTensor {
  return engine.core.keep(tensorOn(engine, dataId, [length]));
}

function tensorOn({ core, instance }: Engine, dataId: object, shape: readonly number[]): TfTensor {
  return core.engine().makeTensorFromTensorInfo({ dataId, shape: [...shape], dtype: 'float32' }, instance);
}

/**
 * An unpacked copy of a packed texture (four elements per texel), because tfjs would unpack it again before each program that
 * needs one element per texel. Null if the texture is not packed. Uploads data that is only on the host.
 */
function unpacked(instance: WebGlInstance, { dataId, shape, dtype }: TfTensor) {
  instance.uploadToGPU(dataId);
  return instance.getDataInfo(dataId).isPacked ? instance.unpackTensor({ dataId, shape, dtype }) : null;
}
