import type { Backend, HostArray, Kernels, Rows, Supports } from '@softgrad/core';
import { createBasis } from './basis.js';
import { type Engine, failure } from './engine.js';
import type { GpuLibrary } from './gpu.js';
import { crossEntropyInto } from './kernels/cross-entropy.js';
import { relu, reluVjp, sigmoid, sigmoidVjp } from './kernels/elementwise.js';
import { logSoftmaxJacobianInto, softmaxJacobianInto } from './kernels/jacobian.js';
import { logSoftmaxInto, logSoftmaxJvpInto, logSoftmaxVjpInto, logSumExpInto } from './kernels/log-softmax.js';
import { softmaxInto } from './kernels/softmax.js';
import { softmaxVjpInto } from './kernels/vjp.js';
import { createLaunch, type Launch } from './launch.js';
import { type Measured, measure, misbehaviour } from './measure.js';
import { createPrograms } from './programs.js';
import { createStorage, type GpujsBuffer, type Storage } from './storage.js';
import { immediate, queued } from './stream.js';

/** A backend of gpu.js. */
export interface GpujsBackend extends Backend<GpujsBuffer> {
  readonly name: `gpujs-${Engine['mode']}`;
  /** How many kernels are compiled now: at most the bound that the backend was opened with. */
  readonly compiled: number;
}

/**
 * Puts a backend together on an opened engine and measures it.
 *
 * @throws ERR_BACKEND_UNAVAILABLE where the engine computes a softmax and gets it wrong
 */
export async function createBackend(library: GpuLibrary, engine: Engine, bound: number): Promise<GpujsBackend> {
  const programs = createPrograms(engine, library, bound);
  const stream = engine.asynchronous ? queued() : immediate;
  const storage = createStorage(engine, stream, programs);
  const launch = createLaunch(storage);
  const measured = await proven(engine, launch, storage);
  let closed = false;

  const alive = () => {
    if (closed) throw failure(engine.mode, 'ERR_DISPOSED', 'the backend was closed; open another one');
  };
  const settle = async () => {
    await stream.request(() => undefined);
    await engine.finish();
  };

  return {
    name: `gpujs-${engine.mode}`,
    supports: supportsOf(engine, measured),
    get closed() {
      return closed;
    },
    get compiled() {
      return programs.size;
    },
    alloc(length, dtype) {
      alive();
      return storage.alloc(length, dtype);
    },
    write: storage.write,
    read: storage.read,
    ...(engine.asynchronous ? {} : { readSync: (buffer: GpujsBuffer): HostArray => storage.readSync(buffer) }),
    free: storage.free,
    sync: settle,
    async close() {
      if (closed) return;
      closed = true;
      await stream.request(() => undefined);
      storage.freeAll();
      await engine.close();
    },
    softmax: (out, logits, rows) => {
      if (out.length > 0) softmaxInto(launch, out, logits, rows, plain);
    },
    jacobian: (out, probabilities, rows) => {
      if (out.length > 0) softmaxJacobianInto(launch, out, probabilities, rows, 1);
    },
    vjp: (out, probabilities, cotangent, rows) => {
      if (out.length > 0) softmaxVjpInto(launch, out, probabilities, cotangent, rows, 1);
    },
    basis: createBasis(launch, storage),
    kernels: createKernels(launch, storage),
  };
}

const plain = { temperature: 1, mask: null };

async function proven(engine: Engine, launch: Launch, storage: Storage): Promise<Measured> {
  const wrong = await misbehaviour(launch, storage);
  if (wrong === null) return await measure(launch, storage);
  throw failure(engine.mode, 'ERR_BACKEND_UNAVAILABLE', `the device does not compute right: ${wrong}`);
}

function supportsOf({ device, limits, asynchronous }: Engine, measured: Measured): Supports {
  return { dtypes: ['float32'], readSync: !asynchronous, hostView: false, inPlace: true, limits, device, ...measured };
}

/** Every fused kernel; an empty result needs none. */
function createKernels(launch: Launch, storage: Storage): Kernels<GpujsBuffer> {
  const one = (rows: Rows) => rows.outer * rows.inner > 0 && rows.classes > 0;
  return {
    softmax(out, logits, rows, parameters) {
      if (one(rows)) softmaxInto(launch, out, logits, rows, parameters);
    },
    softmaxVjp(out, probabilities, cotangent, rows, temperature) {
      if (one(rows)) softmaxVjpInto(launch, out, probabilities, cotangent, rows, temperature);
    },
    softmaxJacobian(out, probabilities, rows, temperature) {
      if (one(rows)) softmaxJacobianInto(launch, out, probabilities, rows, temperature);
    },
    logSoftmax(out, logits, rows, parameters) {
      if (one(rows)) logSoftmaxInto(launch, out, logits, rows, parameters);
    },
    logSoftmaxVjp(out, logProbabilities, cotangent, rows, temperature) {
      if (one(rows)) logSoftmaxVjpInto(launch, out, logProbabilities, cotangent, rows, temperature);
    },
    logSoftmaxJvp(out, logProbabilities, tangent, rows, temperature) {
      if (one(rows)) logSoftmaxJvpInto(launch, out, logProbabilities, tangent, rows, temperature);
    },
    logSoftmaxJacobian(out, logProbabilities, rows, temperature) {
      if (one(rows)) logSoftmaxJacobianInto(launch, out, logProbabilities, rows, temperature);
    },
    logSumExp(out, logits, rows, parameters) {
      if (one(rows)) logSumExpInto(launch, out, logits, rows, parameters);
      else storage.write(out, new Float32Array(out.length).fill(Number.NEGATIVE_INFINITY));
    },
    crossEntropy(out, logits, rows, parameters) {
      if (one(rows)) crossEntropyInto(launch, out, logits, rows, parameters);
      else if (out.loss) storage.write(out.loss, new Float32Array(out.loss.length));
    },
    sigmoid(out, x) {
      if (out.length > 0) launch.run(sigmoid, out, [x], []);
    },
    sigmoidVjp(out, y, cotangent) {
      if (out.length > 0) launch.run(sigmoidVjp, out, [y, cotangent], []);
    },
    relu(out, x) {
      if (out.length > 0) launch.run(relu, out, [x], []);
    },
    reluVjp(out, y, cotangent) {
      if (out.length > 0) launch.run(reluVjp, out, [y, cotangent], []);
    },
  };
}
