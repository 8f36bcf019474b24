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
      ${masked ? `if (${isMasked('this.thread.x', place)}) { return low; }` : ''}
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

/** Σ g over the entries whose probability is not above ½. */
const sumBelowHalf: Reduction = {
  name: 'log-softmax/below-half',
  arrays: ['y', 'g'],
  start: () => 'let result = 0;',
  step: (j) => `if (expOf(y[${j}]) <= 0.5) { part += g[${j}]; }`,
  inParts: true,
};

/** The tangent of the entry whose probability is above ½, of which there is one at most; 0 without. */
const tangentOfTop: Reduction = {
  name: 'log-softmax/top',
  arrays: ['y', 't'],
  start: () => 'let result = 0;',
  step: (j) => `if (expOf(y[${j}]) > 0.5) { result += t[${j}]; }`,
};

const mean: Reduction = {
  name: 'log-softmax/mean',
  arrays: ['y', 't', 'top'],
  start: ({ row }) => `const origin = top[${row}]; let result = 0;`,
  step: (j) => `part += expOf(y[${j}]) * (t[${j}] - origin);`,
  inParts: true,
};

/** The mean of what remains: the mean has the rounding error of a large constant that all tangents have in common. */
const restOfMean: Reduction = {
  name: 'log-softmax/rest-of-mean',
  arrays: ['y', 't', 'top', 'mean'],
  start: ({ row }) => `const origin = top[${row}]; const first = mean[${row}]; let result = 0;`,
  step: (j) => `part += expOf(y[${j}]) * (t[${j}] - origin - first);`,
  inParts: true,
};

const vjp: Elementwise = {
  name: 'log-softmax/vjp',
  arrays: ['y', 'g', 'total', 'rest'],
  numbers: ['temperature'],
  body: ({ row }) => `
    const v = y[this.thread.x];
    const p = expOf(v);
    if (p > 0.5) { return (g[this.thread.x] * complementOf(v) - p * rest[${row}]) / temperature; }
    return (g[this.thread.x] - p * total[${row}]) / temperature;`,
};

const jvp: Elementwise = {
  name: 'log-softmax/jvp',
  arrays: ['t', 'top', 'mean', 'rest'],
  numbers: ['temperature'],
  body: ({ row }) => `return (t[this.thread.x] - top[${row}] - mean[${row}] - rest[${row}]) / temperature;`,
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

/** `(g − exp(y) Σ g) / T`; where exp(y) is above ½ that would cancel, and is `g (1 − exp(y)) − exp(y) Σ_others g`. */
export function logSoftmaxVjpInto(
  launch: Launch,
  out: GpujsBuffer,
  logProbabilities: GpujsBuffer,
  cotangent: GpujsBuffer,
  rows: Rows,
  temperature: number,
): void {
  launch.within((scratch) => {
    const count = rows.outer * rows.inner;
    const [total, rest] = [scratch(count), scratch(count)];
    reduceRows(launch, total, 'sum', cotangent, rows);
    launch.reduce(sumBelowHalf, rest, [logProbabilities, cotangent], rows, {}, bySum);
    const inputs = [logProbabilities, cotangent, total, rest];
    launch.elementwise(vjp, out, inputs, rows, { numbers: [temperature] });
  });
}

/**
 * `(t − ⟨exp(y), t⟩) / T`; the tangent of an entry whose probability is above ½ is subtracted from all first, so that nothing cancels, and the mean twice,
 * so that a large constant in common costs no digits.
 */
export function logSoftmaxJvpInto(
  launch: Launch,
  out: GpujsBuffer,
  logProbabilities: GpujsBuffer,
  tangent: GpujsBuffer,
  rows: Rows,
  temperature: number,
): void {
  launch.within((scratch) => {
    const count = rows.outer * rows.inner;
    const [top, means, rest] = [scratch(count), scratch(count), scratch(count)];
    launch.reduce(tangentOfTop, top, [logProbabilities, tangent], rows, {}, bySum);
    launch.reduce(mean, means, [logProbabilities, tangent, top], rows, {}, bySum);
    launch.reduce(restOfMean, rest, [logProbabilities, tangent, top, means], rows, {}, bySum);
    launch.elementwise(jvp, out, [tangent, top, means, rest], rows, { numbers: [temperature] });
  });
}
