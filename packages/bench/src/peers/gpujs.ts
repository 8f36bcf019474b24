import type { Contender, ContenderSource, Job } from '../contender.js';
import type { WorkloadInput } from '../workload-input.js';
import type { FloatArray, Workload } from '../workloads.js';
import { savedGlobals } from './globals.js';
import { maximum, quotient, sumOfExponentials, type Thread } from './kernels/gpujs.js';

/** The part of gpu.js that its README's examples use. */
interface Library {
  readonly GPU: new () => Gpu;
}

interface Gpu {
  createKernel(kernel: (this: Thread, ...operands: never[]) => number, settings: KernelSettings): Kernel;
  destroy(): Promise<void> | void;
}

interface KernelSettings {
  readonly output: readonly number[];
  readonly constants: Readonly<Record<string, number>>;
  readonly pipeline?: boolean;
  readonly immutable?: boolean;
}

interface Kernel {
  (...operands: readonly unknown[]): unknown;
  readonly kernel: { readonly constructor: { readonly mode?: string } };
  destroy(): void;
}

/** gpu.js in the style of its own examples: a kernel for the rows' maxima, one for their sums, one for the quotients. */
export const gpujsPeer: ContenderSource = {
  name: 'gpu.js',
  kind: 'peer',
  async open() {
    // Its browser build overwrites the global `GPU`, which belongs to WebGPU.
    const restore = savedGlobals(['GPU']);
    try {
      // Directly inside `try`: bundlers then build without a package that is not installed.
      const module: { readonly default?: unknown } = await import('gpu.js');
      return contender((module.default ?? module) as Library);
    } catch (error) {
      return `does not load: ${error instanceof Error ? error.message : error}`;
    } finally {
      restore();
    }
  },
};

function contender({ GPU }: Library): Contender {
  const gpu = new GPU();
  return {
    name: 'gpu.js',
    kind: 'peer',
    description: 'gpu.js, in the mode it chooses, three kernels',
    expUlp: { base: 4, slope: 2 },
    subnormals: 'flush',
    async prepare(workload, input) {
      if (workload.dtype !== 'float32') return 'no float64';
      if (workload.op !== 'softmax') return `not measured on ${workload.op}`;
      return job(gpu, workload, input);
    },
    exp: async () => null,
    close: async () => gpu.destroy(),
  };
}

function job(gpu: Gpu, { shape: [rows, classes] }: Workload, { logits }: WorkloadInput): Job {
  const constants = { classes };
  const maxima = gpu.createKernel(maximum as never, { output: [rows], constants });
  const sums = gpu.createKernel(sumOfExponentials as never, { output: [rows], constants });
  const quotients = gpu.createKernel(quotient as never, { output: [classes, rows], constants });
  const x = Array.from({ length: rows }, (_, r) => logits.subarray(r * classes, (r + 1) * classes));
  const compute = async (): Promise<readonly FloatArray[]> => {
    // In some modes a kernel returns its result, in others a promise of it.
    const max = await maxima(x);
    const sum = await sums(x, max);
    return (await quotients(x, max, sum)) as readonly FloatArray[];
  };
  return {
    reused: null,
    allocating: null,
    endToEnd: async (calls) => {
      for (let k = 0; k < calls; k++) await compute();
    },
    result: async () => {
      const result = new Float32Array(rows * classes);
      (await compute()).forEach((row, r) => {
        result.set(row, r * classes);
      });
      return result;
    },
    dispose: () => {
      for (const kernel of [maxima, sums, quotients]) kernel.destroy();
    },
  };
}
