import { type DType, isFloat, SoftgradError, type Supports } from '@softgrad/core';
import { basisOf } from './basis.js';
import type { Engine } from './engine.js';
import { type Faults, watchFaults } from './faults.js';
import { describe, type OpenedDevice } from './gpu.js';
import type { WebgpuBackend, WebgpuKernels } from './interface.js';
import { crossEntropy } from './kernels/cross-entropy.js';
import { relu, reluVjp, sigmoid, sigmoidVjp } from './kernels/elementwise.js';
import { hvp, logSumExpHvp } from './kernels/hvp.js';
import { jacobian } from './kernels/jacobian.js';
import { logSoftmax, logSumExp, softmax } from './kernels/softmax.js';
import { logSoftmaxProduct, vjp } from './kernels/vjp.js';
import { measureNumbers, measureSubgroup } from './measure.js';
import { pipelineCache } from './pipelines.js';
import { openQueue } from './queue.js';
import { newCounters, resetCounters } from './statistics.js';
import { openStorage } from './storage.js';
import { timed } from './timing.js';

/** Opens the backend on a device and measures the device's arithmetic for `supports`. */
export async function openBackend({ device, info, owned }: OpenedDevice, pooledBytes: number): Promise<WebgpuBackend> {
  const faults = watchFaults(device, owned);
  const counters = newCounters();
  const queue = openQueue(device, faults, counters);
  const storage = openStorage(device, queue, faults, pooledBytes);
  const pipelines = pipelineCache(device, faults, counters);
  const measuring: Engine = { queue, pipelines, storage, counters, subgroup: 1, check: faults.check };
  const close = () => {
    faults.close();
    queue.close();
    storage.close();
    if (owned) device.destroy();
  };
  try {
    const subgroup = device.features.has('subgroups') ? await measureSubgroup(measuring, info) : 1;
    const engine: Engine = { ...measuring, subgroup };
    const numbers = await measureNumbers(engine);
    resetCounters(counters);
    const half = device.features.has('shader-f16');
    const supports: Supports = {
      dtypes: half ? ['float32', 'float16'] : ['float32'],
      // WebGPU does not allow one buffer to be bound both for reading and for writing.
      inPlace: false,
      limits: { elements: storage.largest / 4, classes: storage.largest / 4 },
      device: `${describe(info)} (webgpu)`,
      range: 'ordinary',
      ...numbers,
    };
    return backendOf(engine, faults, device, supports, close);
  } catch (error) {
    close();
    throw error;
  }
}

function backendOf(
  engine: Engine,
  faults: Faults,
  device: GPUDevice,
  supports: Supports,
  close: () => void,
): WebgpuBackend {
  const { queue, storage, counters } = engine;
  let closed = false;
  const expectStored = (dtype: DType) => {
    if (!isFloat(dtype) || supports.dtypes.includes(dtype)) return;
    const has = supports.dtypes.join(' and ');
    throw new SoftgradError('ERR_DTYPE', `webgpu: ${supports.device} does not support ${dtype}; expected ${has}`);
  };
  return {
    name: 'webgpu',
    supports,
    device,
    get closed() {
      return closed;
    },
    get lost() {
      return faults.isLost();
    },
    alloc(length, dtype) {
      expectStored(dtype);
      return storage.alloc(length, dtype);
    },
    adopt(gpu, length, dtype) {
      expectStored(dtype);
      return storage.adopt(gpu, length, dtype);
    },
    write: storage.write,
    read: storage.read,
    free: storage.free,
    bufferInfo: storage.bufferInfo,
    memory: () => ({ buffers: storage.held.live.buffers, bytes: storage.held.live.bytes }),
    sync: async () => {
      engine.check();
      await queue.done();
    },
    close() {
      close();
      closed = true;
    },
    softmax: (out, logits, rows, parameters) => softmax(engine, out, logits, rows, parameters),
    jacobian: (out, probabilities, rows, { temperature }) =>
      jacobian(engine, 'jacobian', out, probabilities, rows, temperature),
    vjp: (out, probabilities, cotangent, rows, { temperature }) =>
      vjp(engine, 'vjp', out, probabilities, cotangent, rows, temperature),
    basis: basisOf(engine),
    kernels: kernelsOf(engine),
    statistics: () => ({
      ...counters,
      operations: Object.fromEntries([...counters.operations].map(([name, counts]) => [name, { ...counts }])),
      liveBuffers: storage.held.live.buffers,
      liveBytes: storage.held.live.bytes,
      pooledBuffers: storage.held.pooled.buffers,
      pooledBytes: storage.held.pooled.bytes,
      stagingBuffers: queue.held.staging.buffers,
      stagingBytes: queue.held.staging.bytes,
      bindGroups: queue.held.bindGroups,
    }),
    time: async (enqueue) => {
      engine.check();
      return timed(device, queue, faults, enqueue);
    },
  };
}

function kernelsOf(engine: Engine): WebgpuKernels {
  return {
    logSoftmax: (out, logits, rows, parameters) => logSoftmax(engine, out, logits, rows, parameters),
    logSoftmaxVjp: (out, y, g, rows, { temperature }) =>
      logSoftmaxProduct(engine, 'logSoftmaxVjp', out, y, g, rows, temperature),
    logSoftmaxJvp: (out, y, t, rows, { temperature }) =>
      logSoftmaxProduct(engine, 'logSoftmaxJvp', out, y, t, rows, temperature),
    logSoftmaxJacobian: (out, y, rows, { temperature }) =>
      jacobian(engine, 'logSoftmaxJacobian', out, y, rows, temperature),
    softmaxHvp: (out, s, g, t, rows, parameters) => hvp(engine, 'softmaxHvp', out, s, g, t, rows, parameters),
    logSoftmaxHvp: (out, y, g, t, rows, parameters) => hvp(engine, 'logSoftmaxHvp', out, y, g, t, rows, parameters),
    logSumExpHvp: (out, x, g, t, rows, parameters) => logSumExpHvp(engine, out, x, g, t, rows, parameters),
    logSumExp: (out, logits, rows, parameters) => logSumExp(engine, out, logits, rows, parameters),
    crossEntropy: (out, logits, rows, parameters) => crossEntropy(engine, out, logits, rows, parameters),
    sigmoid: (out, x, length) => sigmoid(engine, out, x, length),
    sigmoidVjp: (out, y, g, length) => sigmoidVjp(engine, out, y, g, length),
    relu: (out, x, length) => relu(engine, out, x, length),
    reluVjp: (out, y, g, length) => reluVjp(engine, out, y, g, length),
  };
}
