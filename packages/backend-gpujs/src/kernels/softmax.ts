import type { Rows, SoftmaxParameters } from '@softgrad/core';
import type { Elementwise, Place, Reduction } from '../kernel-places.js';
import type { Launch, Scratch } from '../launch.js';
import type { GpujsBuffer } from '../storage.js';
import {
  atPivot,
  expOfExponent,
  isMasked,
  largest,
  logitRows,
  maskable,
  maskOperands,
  pivotRows,
  pivotValues,
  temperatureNames,
  temperatureOf,
} from './logits.js';
import { bySum } from './reduce.js';

type Parameters = SoftmaxParameters<GpujsBuffer>;

/** exp of the exponent, over what `divisor` says; `m` is the logit at the row's pivot, which is declared first. */
const exponentialOf = (name: string, arrays: readonly string[], declared: (place: Place) => string, divisor: Divisor) =>
  maskable(
    (masked): Elementwise => ({
      name,
      arrays: ['x', ...arrays],
      numbers: temperatureNames,
      body: (place) => `
        ${masked ? `if (${isMasked('this.thread.x', place)}) { return 0; }` : ''}
        ${declared(place)}
        return ${divisor(expOfExponent('x[this.thread.x]', 'm', place), place)};`,
    }),
  );

type Divisor = (e: string, place: Place) => string;
const sum: Divisor = (e, { row }) => `overSum(${e}, rest[${row}])`;
const none: Divisor = (e) => e;
const maximum = ({ row }: Place) => `const m = maximum[${row}];`;

const softmax = exponentialOf('softmax', ['pivot', 'rest'], (place) => atPivot('m', 'x', place), sum);
// Those of the plans that have the rows' maxima.
const withMaxima = exponentialOf('softmax/with-maxima', ['maximum', 'rest'], maximum, sum);
const exponentials = exponentialOf('softmax/exponentials', ['maximum'], maximum, none);

/** The sum of a row's exponentials other than the pivot's; NaN if the pivot's logit is ±Infinity. Masked ones are 0. */
const storedRest: Reduction = {
  name: 'softmax/stored-rest',
  arrays: ['e', 'pivot', 'maximum'],
  numbers: ['largest', 'nan'],
  start: ({ row }) => `
    const pivotClass = pivot[${row}];
    const m = maximum[${row}];
    let result = 0;
    if (pivotClass >= 0 && (m > largest || m < -largest)) { result = nan; }`,
  step: (j, k) => `if (${k} != pivotClass) { part += e[${j}]; }`,
  inParts: true,
};

/** Masked entries are 0 even where the rest is NaN. */
const storedQuotient = maskable(
  (masked): Elementwise => ({
    name: 'softmax/stored-quotient',
    arrays: ['e', 'rest'],
    body: (place) => `
      ${masked ? `if (${isMasked('this.thread.x', place)}) { return 0; }` : ''}
      return ${sum('e[this.thread.x]', place)};`,
  }),
);

/** `exp((x − x_k)/T) / (1 + rest)`: first the pivots, then the rests, then the elements. */
export function softmaxInto(
  launch: Launch,
  out: GpujsBuffer,
  logits: GpujsBuffer,
  rows: Rows,
  parameters: Parameters,
): void {
  launch.within((scratch) => {
    if (launch.softmaxPlan === 'stored') {
      storedSoftmax(launch, scratch, out, logits, rows, parameters);
      return;
    }
    const { pivot, rest } = logitRows(launch, scratch, logits, rows, parameters);
    const { arrays, integers } = maskOperands(parameters, rows);
    const scalars = { integers, numbers: temperatureOf(parameters) };
    if (launch.softmaxPlan === 'fewest') {
      launch.elementwise(softmax(parameters), out, [logits, pivot, rest, ...arrays], rows, scalars);
      return;
    }
    const maxima = pivotValues(launch, scratch, logits, pivot, rows);
    launch.elementwise(withMaxima(parameters), out, [logits, maxima, rest, ...arrays], rows, scalars);
  });
}

function storedSoftmax(
  launch: Launch,
  scratch: Scratch,
  out: GpujsBuffer,
  logits: GpujsBuffer,
  rows: Rows,
  parameters: Parameters,
): void {
  const pivot = pivotRows(launch, scratch, logits, rows, parameters);
  const maxima = pivotValues(launch, scratch, logits, pivot, rows);
  const rest = scratch(pivot.length);
  const { arrays, integers } = maskOperands(parameters, rows);
  launch.elementwise(exponentials(parameters), out, [logits, maxima, ...arrays], rows, {
    integers,
    numbers: temperatureOf(parameters),
  });
  launch.reduce(storedRest, rest, [out, pivot, maxima], rows, { numbers: [largest, Number.NaN] }, bySum);
  launch.elementwise(storedQuotient(parameters), out, [out, rest, ...arrays], rows, { integers });
}
