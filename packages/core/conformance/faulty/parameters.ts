import { hostArray, type Rows, type SoftmaxParameters } from '../../src/index.js';
import type { ExactBuffer } from '../exact.js';
import { plain } from '../kernel.js';
import { eachRow, type Fault, fault, faultyKernels, softmaxOf } from './fault.js';

const small = 'shape=7x5;axis=1;input=spread';
const narrow = 'shape=7x5;axis=1;input=narrow;mask=full';

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
  fault(
    'temperatures-beyond-the-usual',
    'multiplies by a rounded inverse of few bits for temperatures above 4.',
    'combinations/softmax-derivatives:set=finite',
    (right) => ({
      vjp(out, s, g, rows, { temperature }) {
        const inverse = Math.round(1024 / temperature) / 1024;
        right.vjp(out, s, g, rows, { temperature: temperature > 4 && inverse > 0 ? 1 / inverse : temperature });
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
    'empties-rows-of-one-entry',
    'takes a row of more than 6 classes of which the mask keeps one for a row of which it keeps none.',
    'combinations/softmax-values:set=finite',
    (right) => ({
      softmax(out, x, rows, parameters) {
        right.softmax(out, x, rows, parameters);
        if (parameters.mask === null || rows.classes <= 6) return;
        out.data.set(out.data.map((p) => (p === 1 ? 0 : p)));
      },
    }),
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
  fault(
    'softmax-drops-the-mask-of-small-logits',
    'has a fast path for rows that need neither a shift nor a temperature, which is chosen without a look at the mask.',
    `softmax/values:${narrow}`,
    (right) => ({
      softmax: (out, x, rows, parameters) => right.softmax(out, x, rows, fastPath(x, rows, parameters)),
    }),
  ),
  faultyKernels(
    'log-softmax-drops-the-mask-of-small-logits',
    'has the same fast path in log-softmax.',
    `log-softmax/values:${narrow}`,
    ({ logSoftmax }) => ({
      logSoftmax: (out, x, rows, parameters) => logSoftmax?.(out, x, rows, fastPath(x, rows, parameters)),
    }),
  ),
  faultyKernels(
    'log-sum-exp-drops-the-mask-of-small-logits',
    'has the same fast path in log-sum-exp.',
    `log-sum-exp/values:${narrow}`,
    ({ logSumExp }) => ({
      logSumExp: (out, x, rows, parameters) => logSumExp?.(out, x, rows, fastPath(x, rows, parameters)),
    }),
  ),
  faultyKernels(
    'hessian-drops-the-mask-of-small-logits',
    'has the same fast path in the second derivative of log-sum-exp.',
    `log-sum-exp/hvp:${narrow}`,
    ({ logSumExpHvp }) => ({
      logSumExpHvp: (out, x, g, t, rows, parameters) =>
        logSumExpHvp?.(out, x, g, t, rows, fastPath(x, rows, parameters)),
    }),
  ),
  ...(['indices', 'probabilities'] as const).flatMap((kind) =>
    (['loss', 'gradient'] as const).map((member) =>
      faultyKernels(
        `${member}-of-${kind}-drops-the-mask-of-small-logits`,
        `has the same fast path in the ${member} of cross-entropy with a target of ${kind}.`,
        `cross-entropy/${member}:target=${kind};${narrow}`,
        ({ crossEntropy }) => ({
          crossEntropy(out, x, rows, parameters) {
            crossEntropy?.(out, x, rows, parameters);
            if (parameters.target.kind !== kind) return;
            const only = { loss: null, gradient: null, [member]: out[member] };
            crossEntropy?.(only, x, rows, fastPath(x, rows, parameters));
          },
        }),
      ),
    ),
  ),
];

/** The parameters without the mask if exp needs no shift at T = 1 in contiguous rows. */
function fastPath<P extends SoftmaxParameters<ExactBuffer>>(x: ExactBuffer, { inner }: Rows, parameters: P): P {
  const isFast = inner === 1 && parameters.temperature === 1 && x.data.every((value) => Math.abs(value) < 15);
  return isFast ? { ...parameters, mask: null } : parameters;
}
