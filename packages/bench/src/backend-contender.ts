import {
  type Backend,
  crossEntropy,
  empty,
  type HostArray,
  loadProvider,
  logSoftmax,
  softmax,
  type Tensor,
  tensor,
} from '@softgrad/core';
import type { Batch, Contender, ContenderSource, Job } from './contender.js';
import type { Workload, WorkloadInput } from './workloads.js';

/** A registered backend as a contender, through the public API: what its users pay is what is timed. */
export function backendSource(name: string, composed = false): ContenderSource {
  const label = composed ? `${name} (composed)` : name;
  return {
    name: label,
    kind: 'backend',
    async open() {
      const provider = await loadProvider(name).catch((error: Error) => error.message);
      if (typeof provider === 'string') return provider;
      const reason = await provider.unavailable();
      if (reason !== null) return reason;
      const opened = await provider.open();
      if (!composed) return backendContender(label, opened);
      if (!opened.kernels || !opened.basis) {
        await opened.close();
        return `${name} has no fused kernels beside a basis`;
      }
      return backendContender(label, withoutKernels(opened));
    },
  };
}

/** The same backend with nothing fused: what core composes from the basis. */
function withoutKernels(backend: Backend): Backend {
  return new Proxy(backend, {
    get: (target, key) => (key === 'kernels' ? undefined : Reflect.get(target, key, target)),
  });
}

/** An open backend as a contender; closing the contender closes it. */
export function backendContender(name: string, backend: Backend): Contender {
  const { supports } = backend;
  return {
    name,
    kind: 'backend',
    description: supports.device,
    expUlp: supports.expUlp,
    subnormals: supports.subnormals,
    async prepare(workload, input) {
      if (!supports.dtypes.includes(workload.dtype)) return `${name} has no ${workload.dtype}`;
      return prepare(backend, workload, input);
    },
    close: async () => backend.close(),
  };
}

/** A call of an op that writes into a tensor, or makes one. */
type Call = (out?: Tensor) => Tensor;

function prepare(backend: Backend, workload: Workload, input: WorkloadInput): Job {
  const { op, shape, dtype } = workload;
  const operands: Tensor[] = [];
  const upload = (data: HostArray) => {
    const made = tensor(data, { shape: data instanceof Int32Array ? [shape[0]] : shape, backend });
    operands.push(made);
    return made;
  };
  const { call, write } = callOf(op, input, upload);
  const [rows, classes] = shape;
  const out = empty(op === 'jacobian' ? [rows, classes, classes] : shape, { dtype, backend });
  const reused: Batch = (calls) => {
    for (let k = 0; k < calls; k++) call(out);
    return backend.sync();
  };
  return {
    reused,
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
    dispose: () => {
      out.dispose();
      for (const operand of operands) operand.dispose();
    },
  };
}

function callOf(
  op: Workload['op'],
  { logits, probabilities, cotangent, target }: WorkloadInput,
  upload: (data: HostArray) => Tensor,
): { readonly call: Call; readonly write: () => void } {
  const rewrite = (data: HostArray, into: Tensor) => tensor(data, { shape: into.shape, out: into });
  switch (op) {
    case 'softmax': {
      const x = upload(logits);
      return { call: (out) => softmax(x, { out }), write: () => rewrite(logits, x) };
    }
    case 'logSoftmax': {
      const x = upload(logits);
      return { call: (out) => logSoftmax(x, { out }), write: () => rewrite(logits, x) };
    }
    case 'crossEntropy': {
      const x = upload(logits);
      const classIndices = upload(target);
      return {
        call: (out) => {
          const { loss, gradient } = crossEntropy(x, classIndices, { out: out && { gradient: out } });
          loss.dispose();
          return gradient;
        },
        write: () => rewrite(logits, x),
      };
    }
    case 'jacobian': {
      const s = upload(probabilities);
      return { call: (out) => softmax.jacobian(s, { out }), write: () => rewrite(probabilities, s) };
    }
    case 'vjp': {
      const s = upload(probabilities);
      const g = upload(cotangent);
      return { call: (out) => softmax.vjp(s, g, { out }), write: () => rewrite(cotangent, g) };
    }
  }
}
