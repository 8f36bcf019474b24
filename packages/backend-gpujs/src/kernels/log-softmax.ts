import type { Rows, SoftmaxParameters } from '@softgrad/core';
import type { Elementwise, Reduction, Rowwise } from '../kernel-places.js';
import type { Launch } from '../launch.js';
import type { GpujsBuffer } from '../storage.js';
import {
  atPivot,
  exponent,
  isMasked,
  logitRows,
  maskable,
  maskOperands,
  temperatureNames,
  temperatureOf,
} from './logits.js';
import { bySum, reduceRows } from './reduce.js';

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

const mean: Reduction = {
  name: 'log-softmax/mean',
  arrays: ['y', 't'],
  start: () => 'let result = 0;',
  step: (j) => `result += expOf(y[${j}]) * t[${j}];`,
};

const vjp: Elementwise = {
  name: 'log-softmax/vjp',
  arrays: ['y', 'g', 'total'],
  numbers: ['temperature'],
  body: ({ row }) => `return (g[this.thread.x] - expOf(y[this.thread.x]) * total[${row}]) / temperature;`,
};

const jvp: Elementwise = {
  name: 'log-softmax/jvp',
  arrays: ['t', 'mean'],
  numbers: ['temperature'],
  body: ({ row }) => `return (t[this.thread.x] - mean[${row}]) / temperature;`,
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

/** `x_k/T + log1p(rest)`, one element per row. */
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

/** `(g − exp(y) Σ g) / T`. */
export function logSoftmaxVjpInto(
  launch: Launch,
  out: GpujsBuffer,
  logProbabilities: GpujsBuffer,
  cotangent: GpujsBuffer,
  rows: Rows,
  temperature: number,
): void {
  launch.within((scratch) => {
    const total = scratch(rows.outer * rows.inner);
    reduceRows(launch, total, 'sum', cotangent, rows);
    launch.elementwise(vjp, out, [logProbabilities, cotangent, total], rows, { numbers: [temperature] });
  });
}

/** `(t − ⟨exp(y), t⟩) / T`. */
export function logSoftmaxJvpInto(
  launch: Launch,
  out: GpujsBuffer,
  logProbabilities: GpujsBuffer,
  tangent: GpujsBuffer,
  rows: Rows,
  temperature: number,
): void {
  launch.within((scratch) => {
    const means = scratch(rows.outer * rows.inner);
    launch.reduce(mean, means, [logProbabilities, tangent], rows, {}, bySum);
    launch.elementwise(jvp, out, [tangent, means], rows, { numbers: [temperature] });
  });
}
