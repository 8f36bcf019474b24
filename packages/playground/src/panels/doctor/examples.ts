import { crossEntropy, openShared, scope, softmax, tensor } from '@softgrad/core';
import { classOf, oneClassARow, sampleSignal } from '../explore/state.js';
import { type DoctorState, empty } from './state.js';

/** An example question with its numbers. */
export interface Example {
  readonly title: string;
  readonly state: () => Promise<DoctorState>;
}

const { rows, classes, values } = sampleSignal;

/** Logits with such large differences that every row is nearly one-hot. */
const saturated = Float64Array.of(...[20, 0, -3], ...[1, 22, 0], ...[-2, 0, 19], ...[25, 3, 0]);

export const examples: readonly Example[] = [
  { title: 'J.sum(axis=1)', state: async () => ask({ gradient: write(sums(await jacobians(), (_i, k) => k)) }) },
  {
    title: 'a loop over np.roll',
    state: async () => ask({ gradient: write(sums(await jacobians(), (i, k) => (i - k + classes) % classes)) }),
  },
  {
    title: 's * (1 - s)',
    state: async () => {
      const J = await jacobians();
      const diagonal = Float64Array.from(values, (_, k) => J[k * classes + (k % classes)] ?? Number.NaN);
      return ask({ gradient: write(diagonal), upstream: write(oneClassARow(sampleSignal)) });
    },
  },
  { title: 'J @ (s - y)', state: () => twice() },
  { title: 'the right one', state: () => right(values) },
  { title: 'saturated', state: () => right(saturated) },
  { title: 'by its code alone', state: async () => ({ ...empty, gradient: 'J.sum(axis=1)' }) },
];

function ask(known: Partial<DoctorState>): DoctorState {
  return { ...empty, signal: write(values), ...known };
}

async function jacobians(): Promise<Float64Array> {
  const backend = await openShared('cpu');
  using J = scope(() => softmax.jacobian(softmax(tensor(values, { shape: [rows, classes], backend }))));
  return Float64Array.from(await J.data());
}

/** The product of backpropagation, and its operands. */
async function right(logits: Float64Array): Promise<DoctorState> {
  const backend = await openShared('cpu');
  const upstream = oneClassARow(sampleSignal);
  using dx = scope(() => {
    const shape = [rows, classes];
    return softmax.vjp(softmax(tensor(logits, { shape, backend })), tensor(upstream, { shape, backend }));
  });
  const gradient = Float64Array.from(await dx.data());
  return ask({ signal: write(logits), gradient: write(gradient), upstream: write(upstream) });
}

/** The gradient of the cross-entropy multiplied by the Jacobian, which is in it already. */
async function twice(): Promise<DoctorState> {
  const backend = await openShared('cpu');
  const labels = Array.from({ length: rows }, (_, row) => classOf(row, classes));
  using dx = scope(() => {
    const x = tensor(values, { shape: [rows, classes], backend });
    return softmax.vjp(softmax(x), crossEntropy.gradient(x, labels, { reduction: 'sum' }));
  });
  const gradient = Float64Array.from(await dx.data());
  return ask({ gradient: write(gradient), target: `[${labels.join(', ')}]`, layer: 'cross-entropy' });
}

/** Each row of each Jacobian summed in an order: the k-th term for entry i is column `order(i, k)`. */
function sums(J: Float64Array, order: (i: number, k: number) => number): Float64Array {
  return Float64Array.from(values, (_, at) => {
    const i = at % classes;
    let sum = 0;
    for (let k = 0; k < classes; k++) sum += J[at * classes + order(i, k)] ?? Number.NaN;
    return sum;
  });
}

function write(matrix: Float64Array): string {
  const lines: string[] = [];
  for (let at = 0; at < matrix.length; at += classes) lines.push(`[${matrix.subarray(at, at + classes).join(', ')}]`);
  return `[${lines.join(',\n ')}]`;
}
