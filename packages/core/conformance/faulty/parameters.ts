import { hostArray } from '../../src/index.js';
import { plain } from '../kernel.js';
import { eachRow, type Fault, fault, faultyKernels, softmaxOf } from './fault.js';

const small = 'shape=7x5;axis=1;input=spread';

/** Mistakes about temperature and masks. */
export const faultyParameters: readonly Fault[] = [
  fault(
    'ignores-its-parameters',
    'ignores temperature and mask instead of declining them.',
    `softmax/values:${small};temperature=0.5`,
    (right) => ({ softmax: (out, x, rows) => right.softmax(out, x, rows, plain) }),
  ),
  fault(
    'multiplies-by-the-temperature',
    'multiplies the logits by the temperature.',
    `softmax/values:${small};temperature=0.5`,
    (right) => ({
      softmax: (out, x, rows, parameters) =>
        right.softmax(out, x, rows, { ...parameters, temperature: 1 / parameters.temperature }),
    }),
  ),
  fault(
    'divides-before-the-maximum',
    'divides the logits by the temperature before it subtracts their maximum, so that the differences have the rounding of x/T.',
    'laws/tempered-shift:operation=softmax',
    (right) => ({
      softmax(out, x, rows, parameters) {
        const { temperature, mask } = parameters;
        if (mask !== null || temperature === 1) return right.softmax(out, x, rows, parameters);
        eachRow(out, x, rows, (row) => softmaxOf(row.map((value) => Math.fround(value / temperature))));
      },
    }),
  ),
  fault('ignores-the-sign-of-the-temperature', 'computes softmax for softmin.', `softmin/values:${small}`, (right) => ({
    softmax: (out, x, rows, parameters) =>
      right.softmax(out, x, rows, { ...parameters, temperature: Math.abs(parameters.temperature) }),
  })),
  fault(
    'derivative-without-temperature',
    'forgets that the derivative is divided by the temperature.',
    `softmax/vjp:${small};temperature=0.5`,
    (right) => ({ vjp: (out, s, g, rows) => right.vjp(out, s, g, rows, plain) }),
  ),
  fault(
    'masks-with-a-large-number',
    'adds −1e9 where the mask is 0, so that a row with nothing kept gets probabilities.',
    'softmax/values:shape=2x3x4;axis=1;input=shifted;temperature=2;mask=full',
    () => ({
      softmax(out, x, rows, { temperature, mask }) {
        const masked = hostArray(x.data.length, x.dtype);
        x.data.forEach((value, i) => {
          const kept = !mask || mask.buffer.data[i % mask.buffer.data.length];
          masked[i] = value / temperature - (kept ? 0 : 1e9);
        });
        eachRow(out, { dtype: x.dtype, data: masked }, rows, softmaxOf);
      },
    }),
  ),
  fault(
    'repeats-the-first-mask',
    'uses the mask of the first block for all blocks.',
    'softmax/values:shape=2x3x4;axis=1;input=shifted;temperature=2;mask=full',
    (right) => ({
      softmax(out, x, rows, parameters) {
        const { mask } = parameters;
        if (!mask) return right.softmax(out, x, rows, parameters);
        const data = mask.buffer.data.slice(0, rows.classes * rows.inner);
        return right.softmax(out, x, rows, { ...parameters, mask: { outer: 1, buffer: { dtype: 'bool', data } } });
      },
    }),
  ),
  faultyKernels(
    'declines-in-silence',
    'writes nothing if there is a mask, and does not return false.',
    'log-softmax/values:shape=7x5;axis=0;input=nan;mask=full',
    ({ logSoftmax }) => ({
      logSoftmax: (out, x, rows, parameters) => (parameters.mask ? undefined : logSoftmax?.(out, x, rows, parameters)),
    }),
  ),
];
