import type { HostArray } from '@softgrad/core';
import type { Contender, ContenderSource, Job } from '../contender.js';
import { partsOf } from '../ops.js';
import type { WorkloadInput } from '../workload-input.js';
import type { Workload } from '../workloads.js';

type Jax = typeof import('@jax-js/jax');

/** jax-js on WebAssembly, jitted. Its arrays are consumed on use: `.ref` keeps one. */
export const jax: ContenderSource = {
  name: 'jax',
  kind: 'peer',
  async open() {
    // jax-js reads navigator.hardwareConcurrency whenever it compiles; Node 20 has no navigator.
    const missing = !('navigator' in globalThis);
    if (missing) Reflect.set(globalThis, 'navigator', { hardwareConcurrency: 1, userAgent: 'node' });
    const restore = () => {
      if (missing) Reflect.deleteProperty(globalThis, 'navigator');
    };
    try {
      const module = await import('@jax-js/jax');
      const devices = await module.init('wasm');
      if (devices.includes('wasm')) {
        module.defaultDevice('wasm');
        return contender(module, restore);
      }
      restore();
      return 'jax-js has no wasm device here';
    } catch (error) {
      restore();
      return `does not load: ${error instanceof Error ? error.message : error}`;
    }
  },
};

function contender(module: Jax, restore: () => void): Contender {
  return {
    name: 'jax',
    kind: 'peer',
    description: 'jax-js, wasm, jitted',
    // Sized for the error of its logarithm; its exp is within 4 ULP.
    expUlp: { base: 32, slope: 2 },
    subnormals: 'flush',
    async prepare(workload, input) {
      if (workload.dtype !== 'float32') return 'measured in float32 only';
      return job(module, workload, input);
    },
    exp: async () => null,
    close: async () => restore(),
  };
}

function job({ jit, nn, numpy: np }: Jax, { op: name, shape }: Workload, input: WorkloadInput): Job | string {
  const { op, temperature } = partsOf(name);
  if (op !== 'softmax' && op !== 'logSoftmax') return `not measured on ${name}`;
  type JaxArray = InstanceType<Jax['numpy']['Array']>;
  const { logits, mask } = input;
  const of = (x: JaxArray) => (op === 'softmax' ? nn.softmax(x, -1) : nn.logSoftmax(x, -1));
  // nn.softmax has no `where`: the mask is an operand, so that jit does not compile it into the kernel.
  const masked = jit((x: JaxArray, keep: JaxArray) => of(np.where(keep, x, Number.NEGATIVE_INFINITY)));
  const plain = jit((x: JaxArray) => of(temperature ? x.div(temperature) : x));
  const upload = () => np.array(logits as Float32Array).reshape([...shape]);
  const x = upload();
  const keep =
    mask && np.array(Array.from(mask, Boolean)).reshape(mask.length === shape[1] ? [mask.length] : [...shape]);
  const apply = (operand: JaxArray) => (keep ? masked(operand, keep.ref) : plain(operand));
  return {
    reused: null,
    allocating: async (calls) => {
      for (let k = 0; k < calls; k++) {
        const y = apply(x.ref);
        await y.blockUntilReady();
        y.dispose();
      }
    },
    endToEnd: async (calls) => {
      for (let k = 0; k < calls; k++) await apply(upload()).data();
    },
    result: async (): Promise<HostArray> => (await apply(x.ref).data()) as Float32Array,
    dispose: () => {
      x.dispose();
      keep?.dispose();
      masked.dispose();
      plain.dispose();
    },
  };
}
