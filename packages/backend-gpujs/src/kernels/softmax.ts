import type { Rows, SoftmaxParameters } from '@softgrad/core';
import type { Elementwise } from '../kernel-places.js';
import type { Launch } from '../launch.js';
import type { GpujsBuffer } from '../storage.js';
import {
  atPivot,
  expOfExponent,
  isMasked,
  logitRows,
  maskable,
  maskOperands,
  temperatureNames,
  temperatureOf,
} from './logits.js';

const softmax = maskable(
  (masked): Elementwise => ({
    name: 'softmax',
    arrays: ['x', 'pivot', 'rest'],
    numbers: temperatureNames,
    body: (place) => `
      ${masked ? `if (${isMasked('this.thread.x', place)}) { return 0; }` : ''}
      ${atPivot('m', 'x', place)}
      return ${expOfExponent('x[this.thread.x]', 'm')} / (1 + rest[${place.row}]);`,
  }),
);

/** `exp((x − x_k)/T) / (1 + rest)`: first the pivots, then the rests, then the elements. */
export function softmaxInto(
  launch: Launch,
  out: GpujsBuffer,
  logits: GpujsBuffer,
  rows: Rows,
  parameters: SoftmaxParameters<GpujsBuffer>,
): void {
  launch.within((scratch) => {
    const { pivot, rest } = logitRows(launch, scratch, logits, rows, parameters);
    const { arrays, integers } = maskOperands(parameters, rows);
    const inputs = [logits, pivot, rest, ...arrays];
    launch.elementwise(softmax(parameters), out, inputs, rows, { integers, numbers: temperatureOf(parameters) });
  });
}
