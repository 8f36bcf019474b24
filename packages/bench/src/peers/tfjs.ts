import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import type { Contender, ContenderSource, Job } from '../contender.js';
import { partsOf } from '../ops.js';
import { ignoredIndex, type WorkloadInput } from '../workload-input.js';
import type { FloatArray, Workload } from '../workloads.js';
import { additiveMask } from './additive-mask.js';

type Tf = typeof import('@tensorflow/tfjs-core');
type Engine = 'cpu' | 'wasm' | 'webgl' | 'webgpu';

/** The part of tfjs-backend-wasm that is used here. */
interface WasmModule {
  setWasmPaths(paths: Record<string, string>): void;
}

/** Loads tfjs-core and an engine. The imports are directly inside `try`: bundlers then build without a package that is not installed. */
async function load(engine: Engine): Promise<Tf | string> {
  try {
    const tf = await import('@tensorflow/tfjs-core');
    switch (engine) {
      case 'cpu':
        await import('@tensorflow/tfjs-backend-cpu');
        break;
      case 'wasm':
        prepareWasm(tf, await import('@tensorflow/tfjs-backend-wasm'));
        break;
      case 'webgl':
        await import('@tensorflow/tfjs-backend-webgl');
        break;
      case 'webgpu':
        await import('@tensorflow/tfjs-backend-webgpu');
        break;
    }
    return tf;
  } catch (error) {
    return failed(error);
  }
}

const failed = (error: unknown) => `does not load: ${error instanceof Error ? error.message : error}`;

function prepareWasm({ env }: Tf, { setWasmPaths }: WasmModule): void {
  // One thread, as in Node and as in the other peers on the CPU.
  env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  if (typeof process === 'object' && process.versions?.node) return;
  // In a page the .wasm files are where the bundler has put them; bundlers only recognize a literal `new URL(path, import.meta.url)`.
  try {
    setWasmPaths({
      'tfjs-backend-wasm.wasm': new URL('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm', import.meta.url)
        .href,
      'tfjs-backend-wasm-simd.wasm': new URL(
        '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm',
        import.meta.url,
      ).href,
      'tfjs-backend-wasm-threaded-simd.wasm': new URL(
        '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm',
        import.meta.url,
      ).href,
    });
  } catch {
    // `import.meta.url` is empty in a script that is no module: tfjs looks beside the script.
  }
}

/** TensorFlow.js, called as its users call it: `tf.softmax`, and for the derivatives the ops that its gradients consist of. */
export function tfjs(engine: Engine): ContenderSource {
  const name = `tfjs-${engine}`;
  return {
    name,
    kind: 'peer',
    async open() {
      const tf = await load(engine);
      if (typeof tf === 'string') return tf;
      try {
        // Production mode disables its argument checks and its banner.
        tf.enableProdMode();
        // An engine registers itself only where it may run.
        if (!tf.findBackendFactory(engine)) return `does not start: TensorFlow.js finds no ${engine} here`;
        if (!(await tf.setBackend(engine))) return 'does not start here';
        await tf.ready();
        return contender(name, tf, engine);
      } catch (error) {
        return failed(error);
      }
    },
  };
}

function contender(name: string, tf: Tf, engine: Engine): Contender {
  return {
    name,
    kind: 'peer',
    description: `TensorFlow.js ${tf.version_core}, ${engine}, production mode`,
    expUlp: { base: 4, slope: 2 },
    subnormals: 'flush',
    async prepare(workload, input) {
      if (workload.dtype !== 'float32') return 'no float64';
      return job(tf, engine, workload, input);
    },
    exp: async () => null,
    close: async () => {},
  };
}

function job(tf: Tf, engine: Engine, workload: Workload, input: WorkloadInput): Job {
  // tfjs uses one global engine at a time, and its other engines may be contenders, too.
  const use = <T>(action: () => T): T => {
    if (tf.getBackend() !== engine) tf.setBackend(engine);
    return action();
  };
  const { upload, dispose } = use(() => prepared(tf, workload, input));
  const resident = use(upload);
  const waits = engine === 'webgl' || engine === 'webgpu';
  const read = async (result: Tensor) => {
    const data = (await result.data()) as Float32Array;
    result.dispose();
    return data;
  };
  return {
    reused: null,
    allocating: (calls) =>
      use(() => {
        for (let k = 1; k < calls; k++) resident.compute().dispose();
        const last = resident.compute();
        // A GPU engine has completed all calls once the last result can be read.
        if (waits) return read(last).then(() => {});
        last.dispose();
        return undefined;
      }),
    endToEnd: async (calls) => {
      for (let k = 0; k < calls; k++) {
        const uploaded = use(upload);
        await read(use(uploaded.compute));
        tf.dispose(uploaded.operands);
      }
    },
    result: async () => (await read(use(resident.compute))).slice(),
    dispose: () => {
      tf.dispose(resident.operands);
      dispose();
    },
  };
}

/** Operands on the engine, and the call on them. */
interface Uploaded {
  readonly operands: Tensor2D[];
  readonly compute: () => Tensor;
}

interface Prepared {
  readonly upload: () => Uploaded;
  readonly dispose: () => void;
}

function prepared(tf: Tf, { op: name, shape: [rows, classes] }: Workload, input: WorkloadInput): Prepared {
  const { logits, probabilities, cotangent, mask } = input;
  const { op, temperature, labelSmoothing } = partsOf(name);
  const nothing = () => {};
  const uploaded = (data: FloatArray) => tf.tensor2d(data as Float32Array, [rows, classes]);
  /** A call with one operand. */
  const unary = (data: FloatArray, f: (x: Tensor2D) => Tensor, dispose = nothing): Prepared => ({
    upload: () => {
      const x = uploaded(data);
      return { operands: [x], compute: () => f(x) };
    },
    dispose,
  });
  // A mask of 0 and −Infinity, which is added: tf.where with a scalar takes up to 70 times as long on wasm.
  const added =
    mask && op !== 'vjp' ? tf.tensor(additiveMask(mask, 'float32'), [mask.length / classes, classes]) : null;
  const freeMask = () => added?.dispose();
  const softmax = (x: Tensor2D) => tf.softmax(added ? tf.add(x, added) : temperature ? tf.div(x, temperature) : x);
  switch (op) {
    case 'softmax':
      // Alone, without the cost of a tidy.
      return unary(logits, added || temperature ? (x) => tf.tidy(() => softmax(x)) : softmax, freeMask);
    case 'logSoftmax':
      return unary(logits, (x) => tf.logSoftmax(x));
    case 'sigmoid':
      return unary(logits, (x) => tf.sigmoid(x));
    case 'relu':
      return unary(logits, (x) => tf.relu(x));
    case 'vjp':
      // Without the mask: masked probabilities are 0.
      return {
        upload: () => {
          const [s, g] = [uploaded(probabilities), uploaded(cotangent)];
          const compute = () =>
            tf.tidy(() => {
              const product = tf.mul(s, g);
              return tf.sub(product, tf.mul(tf.sum(product, -1, true), s));
            });
          return { operands: [s, g], compute };
        },
        dispose: nothing,
      };
    case 'jacobian':
      return unary(probabilities, (s) =>
        tf.tidy(() =>
          tf.sub(
            tf.mul(tf.expandDims(tf.eye(classes), 0), tf.expandDims(s, 2)),
            tf.mul(tf.expandDims(s, 2), tf.expandDims(s, 1)),
          ),
        ),
      );
    case 'crossEntropy': {
      const labels = labelsOf(tf, rows, classes, input);
      const weights = rowWeights(tf, input);
      const target = () =>
        labelSmoothing ? tf.add(tf.mul(labels, 1 - labelSmoothing), labelSmoothing / classes) : labels;
      return unary(
        logits,
        (x) =>
          tf.tidy(() => {
            const difference = tf.sub(softmax(x), target());
            return weights ? tf.mul(difference, weights) : tf.div(difference, rows);
          }),
        () => {
          freeMask();
          labels.dispose();
          weights?.dispose();
        },
      );
    }
  }
}

/** The target as one-hot rows, which of ignored rows do not matter, or as the probabilities. */
function labelsOf(tf: Tf, rows: number, classes: number, { target, targetProbabilities }: WorkloadInput): Tensor {
  if (targetProbabilities) return tf.tensor2d(targetProbabilities as Float32Array, [rows, classes]);
  // tf.oneHot does not support a single class.
  if (classes === 1) return tf.ones([rows, 1]);
  const indices = target.map((index) => Math.max(index, 0));
  return tf.tidy(() => tf.cast(tf.oneHot(tf.tensor1d(indices, 'int32'), classes), 'float32'));
}

/** The weight of each row in the mean, as `tf.losses` takes them, if they differ. */
function rowWeights(tf: Tf, { target, weight }: WorkloadInput): Tensor | null {
  if (!weight && !target.includes(ignoredIndex)) return null;
  const weights = new Float64Array(target.length);
  target.forEach((index, row) => {
    weights[row] = index === ignoredIndex ? 0 : weight ? (weight[index] ?? Number.NaN) : 1;
  });
  const sum = weights.reduce((all, one) => all + one, 0);
  return tf.tensor2d(
    Float32Array.from(weights, (one) => one / sum),
    [target.length, 1],
  );
}
