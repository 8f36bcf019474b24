import type { InferenceSession, Tensor } from 'onnxruntime-common';
import type { Contender, ContenderSource, ExpLoop, Job } from '../contender.js';
import { partsOf } from '../ops.js';
import type { WorkloadInput } from '../workload-input.js';
import { type FloatArray, floatArray, type Workload } from '../workloads.js';
import { additiveMask } from './additive-mask.js';
import { keepingGlobals, savedGlobals } from './globals.js';
import { type OnnxFirst, onnxModel } from './onnx-model.js';

/** The common API of onnxruntime-node and onnxruntime-web. */
interface Runtime {
  readonly InferenceSession: {
    create(model: Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (type: 'float32' | 'float64', data: FloatArray, dims: readonly number[]) => Tensor;
  readonly env: { readonly versions: { readonly common: string }; readonly wasm: { numThreads?: number } };
}

/** Opens a session for a model. */
type OpenSession = (...model: Parameters<typeof onnxModel>) => Promise<InferenceSession>;

/** ONNX Runtime on the CPU, called as its users call it: `session.run` with a model of one node, or of two with a mask or a temperature. */
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
  const open: OpenSession = (...model) =>
    keepingGlobals(['Worker'], () =>
      runtime.InferenceSession.create(onnxModel(...model), {
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
      const { dtype, shape } = workload;
      const { op } = partsOf(workload.op);
      if (op !== 'softmax' && op !== 'logSoftmax') return `no operator for ${workload.op}`;
      const first = firstOf(workload, input);
      const session = await open(op === 'softmax' ? 'Softmax' : 'LogSoftmax', dtype, shape, first);
      return job(runtime, session, workload, input, first);
    },
    exp: async (x) => expLoop(runtime, await open('Exp', dtypeOf(x), [x.length]), x),
    close: async () => {},
  };
}

/** What is done before the softmax: a mask of 0 and −Infinity is added, which is faster than Where, or x is divided by the temperature. */
function firstOf({ op, shape, dtype }: Workload, { mask }: WorkloadInput): First | undefined {
  const { temperature } = partsOf(op);
  if (mask) return { op: 'Add', shape: mask.length === shape[1] ? [mask.length] : shape, b: additiveMask(mask, dtype) };
  if (temperature) return { op: 'Div', shape: [], b: floatArray(dtype, 1).fill(temperature) };
  return undefined;
}

/** With the numbers of the second input. */
interface First extends OnnxFirst {
  readonly b: FloatArray;
}

async function job(
  { Tensor }: Runtime,
  session: InferenceSession,
  { shape, dtype }: Workload,
  { logits }: WorkloadInput,
  first: First | undefined,
): Promise<Job> {
  const rest = first && { b: new Tensor(dtype, first.b, first.shape) };
  const feeds = { x: new Tensor(dtype, logits, shape), ...rest };
  const fetches = { y: new Tensor(dtype, logits.slice(), shape) };
  return {
    reused: async (calls) => {
      for (let k = 0; k < calls; k++) await session.run(feeds, fetches);
    },
    allocating: async (calls) => {
      for (let k = 0; k < calls; k++) await session.run(feeds);
    },
    endToEnd: async (calls) => {
      for (let k = 0; k < calls; k++) await session.run({ x: new Tensor(dtype, logits, shape), ...rest });
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
