import {
  type Backend,
  byteSize,
  fromBuffer,
  type Kernels,
  SoftgradError,
  type Supports,
  type Tensor,
} from '@softgrad/core';
import type { Tensor as TfTensor } from '@tensorflow/tfjs-core';
import { basisOf } from './basis.js';
import type { Engine } from './engine.js';
import { adopted, shared } from './interop.js';
import { crossEntropy } from './kernels/cross-entropy.js';
import { jacobian, logSoftmaxJacobian } from './kernels/jacobian.js';
import { logSoftmax, logSoftmaxJvp, logSoftmaxVjp } from './kernels/log-softmax.js';
import { logSumExp } from './kernels/log-sum-exp.js';
import { relu, reluVjp } from './kernels/relu.js';
import { sigmoid, sigmoidVjp } from './kernels/sigmoid.js';
import { softmax } from './kernels/softmax.js';
import { vjp } from './kernels/vjp.js';
import type { EngineName } from './peers.js';
import { newBuffer, read, readSync, replace, type TfBuffer, write } from './storage.js';

/** A backend on an engine of TensorFlow.js. */
export interface TfjsBackend extends Backend<TfBuffer> {
  readonly engine: EngineName;
  /** Also true once `tf.removeBackend` has removed the engine. */
  readonly lost: boolean;
  /**
   * Returns a tfjs tensor that shares the data, without a copy. Each side disposes its own tensor, and the memory is freed
   * with the last. A `tf.tidy` disposes the result like any other tfjs tensor.
   *
   * @throws ERR_DISPOSED, ERR_DTYPE unless it is float32, ERR_BACKEND_MISMATCH for a tensor of another backend, ERR_DEVICE_LOST
   * @example
   * const s = backend.toTf(softmax(x)); // tf.Tensor
   */
  toTf(tensor: Tensor): TfTensor;
  /**
   * Returns a tensor that shares the data of a tfjs tensor, without a copy; the owner of the tfjs tensor still disposes it. (On webgl, a packed
   * texture is unpacked into a new one, on the device.)
   *
   * @throws ERR_DTYPE unless it is float32, ERR_BACKEND_MISMATCH if it is on another engine of tfjs, ERR_DISPOSED, ERR_DEVICE_LOST
   * @example
   * const s = softmax(backend.fromTf(tf.tensor2d([[1, 2, 3]])));
   */
  fromTf(tensor: TfTensor): Tensor;
}

export function backendOf(engine: Engine, supports: Supports): TfjsBackend {
  const { instance } = engine;
  const live = new Set<TfBuffer>();
  let closed = false;
  const track = (buffer: TfBuffer): TfBuffer => {
    live.add(buffer);
    return buffer;
  };
  const backend: TfjsBackend = {
    name: `tfjs ${engine.name}`,
    engine: engine.name,
    supports,
    get closed() {
      return closed;
    },
    get lost() {
      return engine.isLost();
    },
    alloc(length, dtype) {
      engine.assertAlive();
      return track(newBuffer(length, dtype));
    },
    write(buffer, host) {
      engine.assertAlive();
      engine.device.reserve(buffer.length);
      write(engine, buffer, host);
    },
    async read(buffer) {
      engine.assertAlive();
      return engine.awaiting(engine.device.transfer(() => read(engine, buffer)));
    },
    ...(engine.device.readSync && {
      readSync(buffer: TfBuffer) {
        engine.assertAlive();
        const host = engine.device.transfer(() => readSync(engine, buffer));
        engine.assertAlive();
        return host;
      },
    }),
    bufferInfo: (buffer) => (live.has(buffer as TfBuffer) ? (buffer as TfBuffer) : null),
    memory: () => ({
      buffers: live.size,
      bytes: [...live].reduce((sum, { length, dtype }) => sum + length * byteSize(dtype), 0),
    }),
    free(buffer) {
      live.delete(buffer);
      replace(instance, buffer, null);
    },
    async sync() {
      engine.assertAlive();
      await engine.awaiting(engine.device.finished());
    },
    close() {
      // The engine stays open: it belongs to tfjs, and the user's own tensors may be on it.
      closed = true;
      for (const buffer of live) replace(instance, buffer, null);
      live.clear();
    },
    softmax: (out, logits, rows, parameters) => softmax(engine, out, logits, rows, parameters),
    jacobian: (out, probabilities, rows, { temperature }) => jacobian(engine, out, probabilities, rows, temperature),
    vjp: (out, probabilities, cotangent, rows, { temperature }) =>
      vjp(engine, out, probabilities, cotangent, rows, temperature),
    basis: basisOf(engine),
    kernels: kernelsOf(engine),
    toTf: (tensor) => shared(engine, backend, tensor),
    fromTf(tensor) {
      // Before the data is shared: nothing frees the buffers of a closed backend.
      if (closed) throw new SoftgradError('ERR_DISPOSED', `fromTf: backend ${backend.name} was closed; open it again`);
      const buffer = track(adopted(engine, tensor));
      return fromBuffer(backend, buffer, tensor.shape, 'float32');
    },
  };
  return backend;
}

function kernelsOf(engine: Engine): Kernels<TfBuffer> {
  return {
    logSoftmax: (out, logits, rows, parameters) => logSoftmax(engine, out, logits, rows, parameters),
    logSoftmaxVjp: (out, y, cotangent, rows, { temperature }) =>
      logSoftmaxVjp(engine, out, y, cotangent, rows, temperature),
    logSoftmaxJvp: (out, y, tangent, rows, { temperature }) =>
      logSoftmaxJvp(engine, out, y, tangent, rows, temperature),
    logSoftmaxJacobian: (out, y, rows, { temperature }) => logSoftmaxJacobian(engine, out, y, rows, temperature),
    logSumExp: (out, logits, rows, parameters) => logSumExp(engine, out, logits, rows, parameters),
    crossEntropy: (out, logits, rows, parameters) => crossEntropy(engine, out, logits, rows, parameters),
    sigmoid: (out, x, length) => sigmoid(engine, out, x, length),
    sigmoidVjp: (out, y, cotangent, length) => sigmoidVjp(engine, out, y, cotangent, length),
    relu: (out, x, length) => relu(engine, out, x, length),
    reluVjp: (out, y, cotangent, length) => reluVjp(engine, out, y, cotangent, length),
  };
}
