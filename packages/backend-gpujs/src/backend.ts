import type { Backend, HostArray, Kernels, Supports } from '@softgrad/core';
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
import { type Measured, measure, softmaxTime, wrongSoftmax } from './measure.js';
import { createPrograms, type Programs } from './programs.js';
import { createStorage, type GpujsBuffer, type Storage } from './storage.js';
import { immediate, queued, type Stream } from './stream.js';

/** A backend that runs on gpu.js. */
export interface GpujsBackend extends Backend<GpujsBuffer> {
  readonly name: `gpujs-${Engine['mode']}`;
  readonly lost: boolean;
  /** Number of kernels that are compiled now, at most the bound given when the backend was opened. */
  readonly compiled: number;
}

/** An opened engine that computes a softmax correctly. */
export interface Candidate {
  /** The time of a softmax on a synchronous engine, by a clock of milliseconds. */
  softmaxTime(now: () => number): number;
  /** Measures `supports`, and closes with the engine. */
  backend(): Promise<GpujsBackend>;
  close(): Promise<void>;
}

/** @throws ERR_BACKEND_UNAVAILABLE if the engine computes a wrong softmax */
export async function createCandidate(library: GpuLibrary, engine: Engine, bound: number): Promise<Candidate> {
  const programs = createPrograms(engine, library, bound);
  const stream = engine.asynchronous ? queued() : immediate;
  const storage = createStorage(engine, stream, programs);
  const launch = createLaunch(storage);
  const wrong = await wrongSoftmax(launch, storage);
  if (wrong !== null) {
    throw failure(engine.mode, 'ERR_BACKEND_UNAVAILABLE', `the device computes wrong results: ${wrong}`);
  }
  return {
    softmaxTime: (now) => softmaxTime(launch, storage, now),
    backend: async () => {
      const measured = await measure(launch, storage);
      return backendOf(engine, { programs, stream, storage, launch }, measured);
    },
    close: () => engine.close(),
  };
}

interface Parts {
  readonly programs: Programs;
  readonly stream: Stream;
  readonly storage: Storage;
  readonly launch: Launch;
}

function backendOf(engine: Engine, { programs, stream, storage, launch }: Parts, measured: Measured): GpujsBackend {
  let closed = false;

  const expectOpen = () => {
    if (closed) throw failure(engine.mode, 'ERR_DISPOSED', 'the backend was closed; open a new one');
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
    get lost() {
      return engine.isLost();
    },
    get compiled() {
      return programs.size;
    },
    alloc(length, dtype) {
      expectOpen();
      return storage.alloc(length, dtype);
    },
    write: storage.write,
    read: storage.read,
    ...(engine.asynchronous ? {} : { readSync: (buffer: GpujsBuffer): HostArray => storage.readSync(buffer) }),
    free: storage.free,
    bufferInfo: storage.bufferInfo,
    memory: storage.memory,
    sync: settle,
    async close() {
      if (closed) return;
      closed = true;
      await stream.request(() => undefined);
      storage.freeAll();
      await engine.close();
    },
    softmax: (out, logits, rows, parameters) => {
      softmaxInto(launch, out, logits, rows, parameters);
    },
    jacobian: (out, probabilities, rows, { temperature }) => {
      softmaxJacobianInto(launch, out, probabilities, rows, temperature);
    },
    vjp: (out, probabilities, cotangent, rows, { temperature }) => {
      softmaxVjpInto(launch, out, probabilities, cotangent, rows, temperature);
    },
    basis: createBasis(launch, storage),
    kernels: createKernels(launch),
  };
}

function supportsOf({ device, limits }: Engine, measured: Measured): Supports {
  return { dtypes: ['float32'], inPlace: true, limits, device, range: 'ordinary', ...measured };
}

function createKernels(launch: Launch): Kernels<GpujsBuffer> {
  return {
    logSoftmax(out, logits, rows, parameters) {
      logSoftmaxInto(launch, out, logits, rows, parameters);
    },
    logSoftmaxVjp(out, logProbabilities, cotangent, rows, { temperature }) {
      logSoftmaxVjpInto(launch, out, logProbabilities, cotangent, rows, temperature);
    },
    logSoftmaxJvp(out, logProbabilities, tangent, rows, { temperature }) {
      logSoftmaxJvpInto(launch, out, logProbabilities, tangent, rows, temperature);
    },
    logSoftmaxJacobian(out, logProbabilities, rows, { temperature }) {
      logSoftmaxJacobianInto(launch, out, logProbabilities, rows, temperature);
    },
    logSumExp(out, logits, rows, parameters) {
      logSumExpInto(launch, out, logits, rows, parameters);
    },
    crossEntropy(out, logits, rows, parameters) {
      crossEntropyInto(launch, out, logits, rows, parameters);
    },
    sigmoid(out, x) {
      launch.run(sigmoid, out, [x], []);
    },
    sigmoidVjp(out, y, cotangent) {
      launch.run(sigmoidVjp, out, [y, cotangent], []);
    },
    relu(out, x) {
      launch.run(relu, out, [x], []);
    },
    reluVjp(out, y, cotangent) {
      launch.run(reluVjp, out, [y, cotangent], []);
    },
  };
}
