import type { InferenceSession, Tensor } from 'onnxruntime-common';
import type { Contender, ContenderSource, Job } from '../contender.js';
import type { Workload, WorkloadInput } from '../workloads.js';
import { onnxModel } from './onnx-model.js';

/** What both packages export. */
interface Runtime {
  readonly InferenceSession: {
    create(model: Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (
    type: 'float32' | 'float64',
    data: Float32Array | Float64Array,
    dims: readonly number[],
  ) => Tensor;
  readonly env: { readonly versions: { readonly common: string }; readonly wasm: { numThreads?: number } };
}

/** ONNX Runtime on the CPU, one thread: `session.run` with a model of one node, as its users call it. */
export function onnxruntime(kind: 'node' | 'web'): ContenderSource {
  const name = `onnxruntime-${kind}`;
  return {
    name,
    kind: 'peer',
    async open() {
      try {
        const module: unknown = await (kind === 'node' ? import('onnxruntime-node') : import('onnxruntime-web'));
        return contender(name, module as Runtime, kind);
      } catch (error) {
        return `${name} does not load: ${error instanceof Error ? error.message : error}`;
      }
    },
  };
}

function contender(name: string, runtime: Runtime, kind: 'node' | 'web'): Contender {
  if (kind === 'web') runtime.env.wasm.numThreads = 1;
  return {
    name,
    kind: 'peer',
    description: `ONNX Runtime ${runtime.env.versions.common}, CPU, 1 thread`,
    expUlp: { base: 2, slope: 1 },
    subnormals: 'flush',
    async prepare(workload, input) {
      if (workload.op !== 'softmax' && workload.op !== 'logSoftmax')
        return `${name} has no operator for ${workload.op}`;
      return job(runtime, kind, workload, input);
    },
    close: async () => {},
  };
}

async function job(
  runtime: Runtime,
  kind: 'node' | 'web',
  { op, shape, dtype }: Workload,
  { logits }: WorkloadInput,
): Promise<Job> {
  const type = dtype === 'float64' ? 'float64' : 'float32';
  const session = await runtime.InferenceSession.create(
    onnxModel(op === 'softmax' ? 'Softmax' : 'LogSoftmax', type, shape),
    {
      executionProviders: [kind === 'node' ? 'cpu' : 'wasm'],
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
    },
  );
  const x = new runtime.Tensor(type, logits, shape);
  const out = new runtime.Tensor(type, logits.slice(), shape);
  const feeds = { x };
  const fetches = { y: out };
  return {
    reused: async (calls) => {
      for (let k = 0; k < calls; k++) await session.run(feeds, fetches);
    },
    allocating: async (calls) => {
      for (let k = 0; k < calls; k++) await session.run(feeds);
    },
    endToEnd: async (calls) => {
      for (let k = 0; k < calls; k++) await session.run({ x: new runtime.Tensor(type, logits, shape) });
    },
    result: async () => {
      const { y } = await session.run(feeds);
      return (y.data as Float32Array).slice();
    },
    dispose: () => session.release(),
  };
}
