import { type Backend, type BackendProvider, type DType, type HostArray, hostArray, type Rows } from '@softgrad/core';

export const mine: BackendProvider<HostArray> = {
  name: 'mine',
  unavailable: async () => null, // or one sentence: what is missing and how to get it
  open: async () => new MyBackend(),
};
export default mine;

export class MyBackend implements Backend<HostArray> {
  readonly name = 'mine';
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
  close = () => void Object.assign(this, { closed: true });
  softmax: Backend<HostArray>['softmax'] = (out, x, rows, { temperature, mask }) => {
    if (temperature !== 1 || mask) return false;
    for (const row of indicesOfRows(rows)) {
      const max = row.reduce((largest, i) => Math.max(largest, at(x, i)), Number.NEGATIVE_INFINITY);
      const sum = row.reduce((total, i) => total + Math.exp(at(x, i) - max), 0);
      for (const i of row) out[i] = Math.exp(at(x, i) - max) / sum;
    }
  };
  jacobian: Backend<HostArray>['jacobian'] = (out, s, rows, { temperature: T }) => {
    let next = 0;
    for (const row of indicesOfRows(rows)) {
      const others = (r: number) => row.reduce((total, i) => (i === r ? total : total + at(s, i)), 0);
      for (const r of row) for (const c of row) out[next++] = (at(s, r) * (r === c ? others(r) : -at(s, c))) / T;
    }
  };
  vjp: Backend<HostArray>['vjp'] = (out, s, g, rows, { temperature: T }) => {
    for (const row of indicesOfRows(rows)) {
      const top = row.reduce((a, b) => (at(s, b) > at(s, a) ? b : a)); // where the probability is largest
      const mean = (base: number) => row.reduce((total, i) => total + at(s, i) * (at(g, i) - base), 0);
      const base = at(s, top) > 0.5 || Math.abs(mean(at(g, top))) < Math.abs(mean(0)) ? at(g, top) : 0;
      const inner = mean(base);
      for (const i of row) out[i] = (at(s, i) * (at(g, i) - base - inner)) / T;
    }
  };
}

const at = (buffer: HostArray, index: number) => buffer[index] ?? Number.NaN; // for noUncheckedIndexedAccess
const indicesOfRows = ({ outer, classes, inner }: Rows) =>
  Array.from({ length: outer * inner }, (_, row) =>
    Array.from({ length: classes }, (_, c) => (Math.floor(row / inner) * classes + c) * inner + (row % inner)),
  );
