import {
  type Backend,
  checkOptions,
  crossEntropy,
  empty,
  type HostArray,
  loadProvider,
  logSoftmax,
  namesOf,
  relu,
  sigmoid,
  softmax,
  type Tensor,
  tensor,
} from '@softgrad/core';
import type { Batch, Contender, ContenderSource, ExpLoop, Job } from './contender.js';
import { type OpParts, partsOf } from './ops.js';
import type { WorkloadInput } from './workload-input.js';
import type { FloatArray, Workload } from './workloads.js';

/** How a backend is opened, and its name in reports. */
export interface BackendVariant {
  /** Options of the provider's `open`. */
  readonly options?: Readonly<Record<string, unknown>> | undefined;
  /** Without its fused kernels, so that core composes the ops from the basis. */
  readonly composed?: boolean | undefined;
  /** Its name in reports. Default: the backend's name. */
  readonly label?: string | undefined;
}

const variantNames = namesOf<BackendVariant>({ options: true, composed: true, label: true });

/**
 * A registered backend as a contender, through the public API: the times include its overhead. Its `open` loads the backend, and resolves to the
 * reason if it cannot run.
 *
 * @throws ERR_VALUE for an unknown option of the variant
 * @example
 * backendSource('wasm', { options: { threads: 2 }, composed: true }).name; // 'wasm (composed)'
 */
export function backendSource(name: string, variant: BackendVariant = {}): ContenderSource {
  const { options, composed = false, label = name } = checkOptions('backendSource', variant, variantNames);
  const shown = composed ? `${label} (composed)` : label;
  return {
    name: shown,
    kind: 'backend',
    async open() {
      try {
        const provider = await loadProvider(name);
        const reason = await provider.unavailable();
        if (reason !== null) return reason;
        const opened = await provider.open(options);
        if (!composed) return backendContender(shown, opened);
        if (opened.kernels && opened.basis) return composedContender(shown, opened);
        await opened.close();
        return `${name} has no fused kernels, or no basis to compose from`;
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    },
  };
}

/** The same backend without fused kernels, for the ops that have one. */
function composedContender(name: string, backend: Backend): Contender {
  // Not a proxy of the backend itself: if it were frozen, its kernels could not be hidden.
  const methods = new Map<unknown, unknown>();
  const unfused = new Proxy<Backend>(Object.create(backend), {
    get(_, key) {
      if (key === 'kernels') return undefined;
      const member: unknown = Reflect.get(backend, key);
      if (typeof member !== 'function') return member;
      // Private members of its class are not those of the proxy. Bound once, because calls of methods are timed.
      if (!methods.has(member)) methods.set(member, member.bind(backend));
      return methods.get(member);
    },
  });
  const contender = backendContender(name, unfused);
  return {
    ...contender,
    async prepare(workload, input) {
      if (['softmax', 'jacobian', 'vjp'].includes(partsOf(workload.op).op)) return `${workload.op} is always a kernel`;
      return contender.prepare(workload, input);
    },
    // The fused contender times the same exp.
    exp: async () => null,
  };
}

/**
 * An open backend as a contender; closing the contender closes it.
 *
 * @param name its name in reports
 * @example
 * const contender = backendContender('cpu', await (await loadProvider('cpu')).open());
 * contender.description; // 'JavaScript typed arrays, 1 thread'
 */
export function backendContender(name: string, backend: Backend): Contender {
  const { supports } = backend;
  return {
    name,
    kind: 'backend',
    description: supports.device,
    expUlp: supports.expUlp,
    subnormals: supports.subnormals,
    backend,
    async prepare(workload, input) {
      if (!supports.dtypes.includes(workload.dtype)) return `no ${workload.dtype}`;
      return prepare(backend, workload, input);
    },
    exp: async (x) => expLoop(backend, x),
    close: async () => backend.close(),
  };
}

/** The basis's exp on resident buffers, bypassing the public API, because a bound must not include its overhead. */
function expLoop(backend: Backend, x: FloatArray): ExpLoop | null {
  const { basis } = backend;
  if (!basis) return null;
  const dtype = x instanceof Float64Array ? 'float64' : 'float32';
  const from = backend.alloc(x.length, dtype);
  const to = backend.alloc(x.length, dtype);
  backend.write(from, x);
  return {
    batch: (calls) => {
      for (let k = 0; k < calls; k++) basis.unary(to, 'exp', from, x.length);
      return backend.sync();
    },
    dispose: () => {
      backend.free(from);
      backend.free(to);
    },
  };
}

/** Measures by the device's clock how many milliseconds it spends on the work that `enqueue` enqueues; null if it has no clock. */
type DeviceClock = (enqueue: () => void) => Promise<number | null>;

/** The clock of a backend whose device has one: webgpu's `time`, which is not part of the Backend interface. */
function clockOf(backend: Backend & { readonly time?: DeviceClock }): DeviceClock | undefined {
  return backend.time?.bind(backend);
}

/** Calls an op, which writes into `out` or into a new tensor. */
type Call = (out?: Tensor) => Tensor;

function prepare(backend: Backend, workload: Workload, input: WorkloadInput): Job {
  const { shape, dtype } = workload;
  const tensors: Tensor[] = [];
  const keep = (made: Tensor) => {
    tensors.push(made);
    return made;
  };
  const dispose = () => {
    for (const made of tensors) made.dispose();
  };
  try {
    const [rows, classes] = shape;
    const upload = (data: HostArray) =>
      keep(tensor(data, { shape: data instanceof Int32Array ? [rows] : shape, backend }));
    const uploadMask = (mask: Uint8Array) =>
      keep(tensor(mask, { shape: mask.length === classes ? [classes] : shape, dtype: 'bool', backend }));
    const { call, write } = callOf(workload.op, input, upload, uploadMask);
    const isMatrices = workload.op === 'jacobian';
    const out = keep(empty(isMatrices ? [rows, classes, classes] : shape, { dtype, backend }));
    const reused: Batch = (calls) => {
      for (let k = 0; k < calls; k++) call(out);
      return backend.sync();
    };
    const time = clockOf(backend);
    return {
      reused,
      device:
        time &&
        ((calls) =>
          time(() => {
            for (let k = 0; k < calls; k++) call(out);
          })),
      allocating: (calls) => {
        for (let k = 0; k < calls; k++) call().dispose();
        return backend.sync();
      },
      endToEnd: async (calls) => {
        for (let k = 0; k < calls; k++) {
          write();
          await call(out).data();
        }
      },
      result: () => call(out).data(),
      dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

function callOf(
  name: Workload['op'],
  input: WorkloadInput,
  upload: (data: HostArray) => Tensor,
  uploadMask: (mask: Uint8Array) => Tensor,
): { readonly call: Call; readonly write: () => void } {
  const rewrite = (data: HostArray, into: Tensor) => tensor(data, { shape: into.shape, out: into });
  const { logits, probabilities, cotangent, target, targetProbabilities, mask, weight } = input;
  const parts = partsOf(name);
  const options = optionsOf(parts, mask && uploadMask(mask), weight);
  switch (parts.op) {
    case 'softmax': {
      const x = upload(logits);
      return { call: (out) => softmax(x, options(out)), write: () => rewrite(logits, x) };
    }
    case 'logSoftmax': {
      const x = upload(logits);
      return { call: (out) => logSoftmax(x, options(out)), write: () => rewrite(logits, x) };
    }
    case 'sigmoid': {
      const x = upload(logits);
      return { call: (out) => sigmoid(x, { out }), write: () => rewrite(logits, x) };
    }
    case 'relu': {
      const x = upload(logits);
      return { call: (out) => relu(x, { out }), write: () => rewrite(logits, x) };
    }
    case 'crossEntropy': {
      const x = upload(logits);
      const ofRows = upload(targetProbabilities ?? target);
      return {
        call: (out) => {
          const { loss, gradient } = crossEntropy(x, ofRows, options(out && { gradient: out }));
          loss.dispose();
          return gradient;
        },
        write: () => rewrite(logits, x),
      };
    }
    case 'jacobian': {
      const s = upload(probabilities);
      return { call: (out) => softmax.jacobian(s, options(out)), write: () => rewrite(probabilities, s) };
    }
    case 'vjp': {
      const s = upload(probabilities);
      const g = upload(cotangent);
      return { call: (out) => softmax.vjp(s, g, options(out)), write: () => rewrite(cotangent, g) };
    }
  }
}

/** The options of a call for its output, an object literal as in the code of users: a short call would take less time than copying other options into it. */
function optionsOf(
  { temperature, labelSmoothing }: OpParts,
  mask: Tensor | null,
  weight: FloatArray | null,
): <T>(out: T) => { readonly out: T } {
  if (mask) return (out) => ({ mask, out });
  if (temperature) return (out) => ({ temperature, out });
  if (labelSmoothing) return (out) => ({ labelSmoothing, out });
  if (weight) return (out) => ({ weight, out });
  return (out) => ({ out });
}
