import { type Backend, bufferOf, SoftgradError, type Tensor } from '@softgrad/core';
import type { Tensor as TfTensor } from '@tensorflow/tfjs-core';
import type { Engine } from './engine.js';
import { deviceInfo, newBuffer, replace, type TfBuffer } from './storage.js';
import type { WebGlInstance } from './verbs/webgl.js';

/** A tfjs tensor on the data of one of ours. */
export function shared(engine: Engine, backend: Backend<TfBuffer>, tensor: Tensor): TfTensor {
  engine.assertAlive();
  if (tensor.backend !== backend) {
    throw new SoftgradError(
      'ERR_BACKEND_MISMATCH',
      `toTf: the tensor lives on ${tensor.backend.name}, not on this backend; move it with await x.to(backend)`,
    );
  }
  const buffer = bufferOf(backend, tensor);
  if (tensor.dtype !== 'float32') {
    throw new SoftgradError('ERR_DTYPE', `toTf: the tensor is ${tensor.dtype}, expected float32`);
  }
  const { dataId } = deviceInfo(engine.instance, buffer);
  buffer.tensor ??= holder(engine, dataId, buffer);
  // Data that is shared may have moved: tfjs takes it to the engine that computes with it.
  engine.core.engine().state.tensorInfo.get(dataId)?.backend.incRef(dataId);
  return tensorOn(engine, dataId, tensor.shape);
}

/** A buffer on the data of a tfjs tensor. */
export function adopted(engine: Engine, tensor: TfTensor): TfBuffer {
  engine.assertAlive();
  const { core, instance, name } = engine;
  if (tensor.isDisposed) throw new SoftgradError('ERR_DISPOSED', 'fromTf: the tfjs tensor was disposed');
  if (tensor.dtype !== 'float32') {
    throw new SoftgradError('ERR_DTYPE', `fromTf: the tfjs tensor is ${tensor.dtype}, expected float32`);
  }
  if (core.engine().state.tensorInfo.get(tensor.dataId)?.backend !== instance) {
    throw new SoftgradError(
      'ERR_BACKEND_MISMATCH',
      `fromTf: the tfjs tensor does not live on engine ${name}: open({ engine: tf.getBackend() }), or copy it with tensor(await t.data())`,
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

/** The buffer's own tensor on shared data: tfjs frees the data, wherever it may have moved it, with the last tensor. */
function holder(engine: Engine, dataId: object, { length }: TfBuffer): TfTensor {
  return engine.core.keep(tensorOn(engine, dataId, [length]));
}

function tensorOn({ core, instance }: Engine, dataId: object, shape: readonly number[]): TfTensor {
  return core.engine().makeTensorFromTensorInfo({ dataId, shape: [...shape], dtype: 'float32' }, instance);
}

/**
 * A copy of a packed texture (four elements a texel), once and for all: tfjs would unpack it again before each program that
 * takes one element a texel. Null for a texture that is not packed; what is on the host is uploaded as one.
 */
function unpacked(instance: WebGlInstance, { dataId, shape, dtype }: TfTensor) {
  instance.uploadToGPU(dataId);
  return instance.getDataInfo(dataId).isPacked ? instance.unpackTensor({ dataId, shape, dtype }) : null;
}
