import type { Rows, SoftmaxParameters } from '@softgrad/core';
import type { Launch } from '../launch.js';
import type { Elementwise, Reduction, Rowwise } from '../rows.js';
import type { GpujsBuffer } from '../storage.js';
import {
  atPivot,
  exponent,
  isMasked,
  largest,
  logitRows,
  maskable,
  maskOperands,
  temperatureNames,
  temperatureOf,
} from './logits.js';
import { bySum } from './reduce.js';

const logSoftmax = maskable(
  (masked): Elementwise => ({
    name: 'log-softmax',
    arrays: ['x', 'pivot', 'rest'],
    numbers: [...temperatureNames, 'low'],
    body: (place) => `
      ${masked ? `if (${isMasked('this.thread.x')}) { return low; }` : ''}
      ${atPivot('m', 'x', place)}
      return ${exponent('x[this.thread.x]', 'm')} - log1pOf(rest[${place.row}]);`,
  }),
);

const logSumExp: Rowwise = {
  name: 'log-sum-exp',
  arrays: ['x', 'pivot', 'rest'],
  numbers: ['temperature', 'low'],
  body: (place) => `
    if (pivot[${place.row}] < 0) { return low; }
    ${atPivot('m', 'x', place)}
    return m / temperature + log1pOf(rest[${place.row}]);`,
};

/** Σ g over the entries that exist. */
const total: Reduction = {
  name: 'log-softmax/total',
  arrays: ['y', 'g'],
  numbers: ['lowest'],
  start: () => 'let result = 0;',
  step: (j) => `if (y[${j}] < lowest) { result += 0; } else { result += g[${j}]; }`,
};

/** ⟨exp(y), t⟩ over the entries that exist. */
const mean: Reduction = {
  name: 'log-softmax/mean',
  arrays: ['y', 'g'],
  numbers: ['lowest'],
  start: () => 'let result = 0;',
  step: (j) => `if (y[${j}] < lowest) { result += 0; } else { result += expOf(y[${j}]) * g[${j}]; }`,
};

const vjp: Elementwise = {
  name: 'log-softmax/vjp',
  arrays: ['y', 'g', 'total'],
  numbers: ['lowest', 'temperature'],
  body: ({ row }) => `
    const v = y[this.thread.x];
    if (v < lowest) { return 0; }
    return (g[this.thread.x] - expOf(v) * total[${row}]) / temperature;`,
};

const jvp: Elementwise = {
  name: 'log-softmax/jvp',
  arrays: ['y', 'g', 'total'],
  numbers: ['lowest', 'temperature'],
  body: ({ row }) => `
    if (y[this.thread.x] < lowest) { return 0; }
    return (g[this.thread.x] - total[${row}]) / temperature;`,
};

/** `(x − x_k)/T − log1p(rest)`. */
export function logSoftmaxInto(
  launch: Launch,
  out: GpujsBuffer,
  logits: GpujsBuffer,
  rows: Rows,
  parameters: SoftmaxParameters<GpujsBuffer>,
): void {
  launch.within((scratch) => {
    const { pivot, rest } = logitRows(launch, scratch, logits, rows, parameters);
    const { arrays, integers } = maskOperands(parameters, rows);
    const numbers = [...temperatureOf(parameters), Number.NEGATIVE_INFINITY];
    launch.elementwise(logSoftmax(parameters), out, [logits, pivot, rest, ...arrays], rows, { integers, numbers });
  });
}

/** `x_k/T + log1p(rest)`, one element a row. */
export function logSumExpInto(
  launch: Launch,
  out: GpujsBuffer,
  logits: GpujsBuffer,
  rows: Rows,
  parameters: SoftmaxParameters<GpujsBuffer>,
): void {
  launch.within((scratch) => {
    const { pivot, rest } = logitRows(launch, scratch, logits, rows, parameters, 0);
    const numbers = [parameters.temperature, Number.NEGATIVE_INFINITY];
    launch.rowwise(logSumExp, out, [logits, pivot, rest], rows, { numbers });
  });
}

/** `(g − exp(y) Σ g) / T`, or as jvp `(t − ⟨exp(y), t⟩) / T`; entries with y = −Infinity get 0 and add nothing. */
export function logSoftmaxDerivativeInto(
  launch: Launch,
  which: 'vjp' | 'jvp',
  out: GpujsBuffer,
  logProbabilities: GpujsBuffer,
  direction: GpujsBuffer,
  rows: Rows,
  temperature: number,
): void {
  launch.within((scratch) => {
    const row = scratch(rows.outer * rows.inner);
    const inputs = [logProbabilities, direction];
    launch.reduce(which === 'vjp' ? total : mean, row, inputs, rows, { numbers: [-largest] }, bySum);
    const numbers = [-largest, temperature];
    launch.elementwise(which === 'vjp' ? vjp : jvp, out, [...inputs, row], rows, { numbers });
  });
}
