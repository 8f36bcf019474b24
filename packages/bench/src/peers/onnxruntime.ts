import type { InferenceSession, Tensor } from 'onnxruntime-common';
import type { Contender, ContenderSource, ExpLoop, Job } from '../contender.js';
import type { FloatArray, Workload, WorkloadInput } from '../workloads.js';
import { keepingGlobals, savedGlobals } from './globals.js';
import { type OnnxOp, onnxModel } from './onnx-model.js';

/** The common API of onnxruntime-node and onnxruntime-web. */
interface Runtime {
  readonly InferenceSession: {
    create(model: Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (type: 'float32' | 'float64', data: FloatArray, dims: readonly number[]) => Tensor;
  readonly env: { readonly versions: { readonly common: string }; readonly wasm: { numThreads?: number } };
}

/** Opens a session for a model of one operator. */
type OpenSession = (op: OnnxOp, dtype: Workload['dtype'], shape: readonly number[]) => Promise<InferenceSession>;

/** ONNX Runtime on the CPU, called as its users call it: `session.run` with a model of one node. */
export function onnxruntime(kind: 'node' | 'web', threads = 1): ContenderSource {
  const name = `onnxruntime-${kind}${threads === 1 ? '' : `-${threads}t`}`;
  return {
    name,
    kind: 'peer',
    async open() {
      try {
        return contender(name, await load(kind), kind, threads);
      } catch (error) {
        return `does not load: ${error instanceof Error ? error.message : error}`;
      }
    },
  };
}

async function load(kind: 'node' | 'web'): Promise<Runtime> {
  if (kind === 'web') return loadWeb();
  // In a variable, so that bundlers do not follow it: browsers cannot load native code.
  const packageName = 'onnxruntime-node';
  return import(/* @vite-ignore */ /* webpackIgnore: true */ packageName);
}

async function loadWeb(): Promise<Runtime> {
  const restore = savedGlobals(['Worker']);
  try {
    // Directly inside `try`: bundlers then build without a package that is not installed.
    return (await import('onnxruntime-web')) as unknown as Runtime;
  } finally {
    restore();
  }
}

function contender(name: string, runtime: Runtime, kind: 'node' | 'web', threads: number): Contender {
  if (kind === 'web') runtime.env.wasm.numThreads = threads;
  const open: OpenSession = (op, dtype, shape) =>
    keepingGlobals(['Worker'], () =>
      runtime.InferenceSession.create(onnxModel(op, dtype, shape), {
        executionProviders: [kind === 'node' ? 'cpu' : 'wasm'],
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
      }),
    );
  return {
    name,
    kind: 'peer',
    description: `ONNX Runtime ${runtime.env.versions.common}, CPU, ${threads} thread${threads === 1 ? '' : 's'}`,
    expUlp: { base: 2, slope: 1 },
    subnormals: 'flush',
    async prepare(workload, input) {
      const { op } = workload;
      if (op !== 'softmax' && op !== 'logSoftmax') return `no operator for ${op}`;
      return job(
        runtime,
        await open(op === 'softmax' ? 'Softmax' : 'LogSoftmax', workload.dtype, workload.shape),
        workload,
        input,
      );
    },
    exp: async (x) => expLoop(runtime, await open('Exp', dtypeOf(x), [x.length]), x),
    close: async () => {},
  };
}

async function job(
  { Tensor }: Runtime,
  session: InferenceSession,
  { shape, dtype }: Workload,
  { logits }: WorkloadInput,
): Promise<Job> {
  const x = new Tensor(dtype, logits, shape);
  const feeds = { x };
  const fetches = { y: new Tensor(dtype, logits.slice(), shape) };
  return {
    reused: async (calls) => {
      for (let k = 0; k < calls; k++) await session.run(feeds, fetches);
    },
    allocating: async (calls) => {
      for (let k = 0; k < calls; k++) await session.run(feeds);
    },
    endToEnd: async (calls) => {
      for (let k = 0; k < calls; k++) await session.run({ x: new Tensor(dtype, logits, shape) });
    },
    result: async () => {
      const { y } = await session.run(feeds);
      if (y === undefined) throw new Error('the model has no output y');
      return (y.data as FloatArray).slice();
    },
    dispose: () => session.release(),
  };
}

async function expLoop({ Tensor }: Runtime, session: InferenceSession, data: FloatArray): Promise<ExpLoop> {
  const x = new Tensor(dtypeOf(data), data, [data.length]);
  const y = new Tensor(dtypeOf(data), data.slice(), [data.length]);
  return {
    batch: async (calls) => {
      for (let k = 0; k < calls; k++) await session.run({ x }, { y });
    },
    dispose: () => session.release(),
  };
}

function dtypeOf(data: FloatArray): Workload['dtype'] {
  return data instanceof Float64Array ? 'float64' : 'float32';
}
