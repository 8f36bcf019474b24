import type { HostArray } from '@softgrad/core';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import type { Batch, Contender, ContenderSource } from '../contender.js';
import type { Workload, WorkloadInput } from '../workloads.js';

type Tf = typeof import('@tensorflow/tfjs-core');
type Engine = 'cpu' | 'wasm' | 'webgl' | 'webgpu';

const engines: Record<Engine, () => Promise<unknown>> = {
  cpu: () => import('@tensorflow/tfjs-backend-cpu'),
  wasm: loadWasm,
  webgl: () => import('@tensorflow/tfjs-backend-webgl'),
  webgpu: () => import('@tensorflow/tfjs-backend-webgpu'),
};

/** In a page its .wasm files are where a bundler has put them: it follows `new URL(package path, import.meta.url)`, written out. */
async function loadWasm(): Promise<void> {
  const [{ env }, { setWasmPaths }] = await Promise.all([
    import('@tensorflow/tfjs-core'),
    import('@tensorflow/tfjs-backend-wasm'),
  ]);
  // One thread, as in Node and as the other peers on the CPU.
  env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  if (typeof process === 'object' && process.versions?.node) return;
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
}

/** TensorFlow.js as its users call it: `tf.softmax` and what its gradients are made of. */
export function tfjs(engine: Engine): ContenderSource {
  const name = `tfjs-${engine}`;
  return {
    name,
    kind: 'peer',
    async open() {
      try {
        const tf = await import('@tensorflow/tfjs-core');
        await engines[engine]();
        if (!(await tf.setBackend(engine))) return `${name} does not start here`;
        await tf.ready();
        return contender(name, tf, engine);
      } catch (error) {
        return `${name} does not load: ${error instanceof Error ? error.message : error}`;
      }
    },
  };
}

function contender(name: string, tf: Tf, engine: Engine): Contender {
  return {
    name,
    kind: 'peer',
    description: `TensorFlow.js ${tf.version_core}, ${engine}`,
    expUlp: { base: 4, slope: 2 },
    subnormals: 'flush',
    async prepare(workload, input) {
      if (workload.dtype !== 'float32') return `${name} has float32 only`;
      return job(tf, engine, workload, input);
    },
    close: async () => {},
  };
}

function job(tf: Tf, engine: Engine, { op, shape }: Workload, input: WorkloadInput) {
  const [rows, classes] = shape;
  const use = <T>(action: () => T): T => {
    if (tf.getBackend() !== engine) tf.setBackend(engine);
    return action();
  };
  const upload = (data: Float32Array | Float64Array): Tensor2D =>
    use(() => tf.tensor2d(data as Float32Array, [rows, classes]));
  const x = upload(input.logits);
  const s = upload(input.probabilities);
  const g = upload(input.cotangent);
  const oneHot = use(() => tf.cast(tf.oneHot(tf.tensor1d(input.target, 'int32'), classes), 'float32')) as Tensor2D;
  const vjp = (probabilities: Tensor2D, cotangent: Tensor2D) =>
    tf.tidy(() => {
      const product = tf.mul(probabilities, cotangent);
      return tf.sub(product, tf.mul(tf.sum(product, -1, true), probabilities));
    });
  const compute = (logits: Tensor2D): Tensor => {
    switch (op) {
      case 'softmax':
        return tf.softmax(logits);
      case 'logSoftmax':
        return tf.logSoftmax(logits);
      case 'vjp':
        return vjp(s, g);
      case 'crossEntropy':
        return tf.tidy(() => tf.div(tf.sub(tf.softmax(logits), oneHot), rows));
      case 'jacobian':
        return tf.tidy(() =>
          tf.sub(
            tf.mul(tf.expandDims(tf.eye(classes), 0), tf.expandDims(s, 2)),
            tf.mul(tf.expandDims(s, 2), tf.expandDims(s, 1)),
          ),
        );
    }
  };
  const settle = async (last: Tensor | null) => {
    // Engines on a device have done everything before the last result once it can be read.
    if (last) await last.data();
    last?.dispose();
  };
  const allocating: Batch = (calls) =>
    use(() => {
      let last: Tensor | null = null;
      for (let k = 0; k < calls; k++) {
        last?.dispose();
        last = compute(x);
      }
      if (engine !== 'cpu' && engine !== 'wasm') return settle(last);
      last?.dispose();
      return undefined;
    });
  return {
    reused: null,
    allocating,
    endToEnd: async (calls: number) => {
      for (let k = 0; k < calls; k++) {
        const logits = upload(input.logits);
        const y = use(() => compute(logits));
        await y.data();
        y.dispose();
        logits.dispose();
      }
    },
    result: async (): Promise<HostArray> => {
      const y = use(() => compute(x));
      const data = (await y.data()) as Float32Array;
      y.dispose();
      return data.slice();
    },
    dispose: () => tf.dispose([x, s, g, oneHot]),
  };
}
