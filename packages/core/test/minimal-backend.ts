import { type Backend, type BackendProvider, type DType, type HostArray, hostArray, type Rows } from '../src/index.js';

/** A complete backend by a third party: storage and the three kernels, nothing else. */
export const minimal: BackendProvider<HostArray> = {
  name: 'minimal',
  unavailable: async () => null,
  open: async () => new MinimalBackend(),
};

export class MinimalBackend implements Backend<HostArray> {
  readonly name = 'minimal';
  readonly supports = {
    dtypes: ['float32'],
    inPlace: false,
    limits: { elements: 2 ** 24, classes: 2 ** 24 },
    device: 'plain JavaScript',
    subnormals: 'preserve',
    nonFinite: 'ieee',
    expUlp: { base: 1, slope: 0 },
  } as const;
  closed = false;
  alloc = (length: number, dtype: DType) => hostArray(length, dtype);
  write = (buffer: HostArray, host: HostArray) => buffer.set(host);
  read = async (buffer: HostArray) => buffer.slice();
  free = () => {};
  sync = async () => {};
  close = () => {
    this.closed = true;
  };
  softmax: Backend<HostArray>['softmax'] = (out, x, rows, { temperature, mask }) => {
    if (temperature !== 1 || mask) return false;
    for (const at of indices(rows)) {
      const max = at.reduce((largest, i) => Math.max(largest, x[i]), Number.NEGATIVE_INFINITY);
      const sum = at.reduce((total, i) => total + Math.exp(x[i] - max), 0);
      for (const i of at) out[i] = Math.exp(x[i] - max) / sum;
    }
  };
  jacobian: Backend<HostArray>['jacobian'] = (out, s, rows, { temperature: T }) => {
    let next = 0;
    for (const at of indices(rows)) {
      const others = (r: number) => at.reduce((total, i) => (i === r ? total : total + s[i]), 0);
      for (const r of at) for (const c of at) out[next++] = (s[r] * (r === c ? others(r) : -s[c])) / T;
    }
  };
  vjp: Backend<HostArray>['vjp'] = (out, s, g, rows, { temperature: T }) => {
    for (const at of indices(rows)) {
      const origin = g[at.reduce((a, b) => (s[b] > s[a] ? b : a), at[0])];
      const inner = at.reduce((total, i) => total + s[i] * (g[i] - origin), 0);
      for (const i of at) out[i] = (s[i] * (g[i] - origin - inner)) / T;
    }
  };
}

function indices({ outer, classes, inner }: Rows): number[][] {
  return Array.from({ length: outer * inner }, (_, row) =>
    Array.from({ length: classes }, (_, c) => (Math.floor(row / inner) * classes + c) * inner + (row % inner)),
  );
}
