import type { Rows } from '../../src/index.js';
import type { ExactBuffer } from '../exact.js';
import { type Fault, faultyKernels, faultyRowKernel } from './fault.js';

/** Kernels over rows, an operand of each that may be NaN, and the function of the case that finds where that is forgotten. */
const kernels = [
  ['softmax', 0, 'softmax'],
  ['vjp', 1, 'softmax'],
  ['softmaxHvp', 1, 'softmax'],
  ['softmaxHvp', 2, 'softmax'],
  ['logSoftmax', 0, 'logSoftmax'],
  ['logSoftmaxVjp', 1, 'logSoftmax'],
  ['logSoftmaxJvp', 1, 'logSoftmax'],
  ['logSoftmaxHvp', 1, 'logSoftmax'],
  ['logSoftmaxHvp', 2, 'logSoftmax'],
  ['logSumExp', 0, 'logSumExp'],
  ['logSumExpHvp', 0, 'logSumExp'],
  ['logSumExpHvp', 2, 'logSumExp'],
] as const;

/** Derivatives that take the output, of which a whole row is NaN. */
const ofOutputs = [
  ['vjp', 0, 'softmax'],
  ['logSoftmaxVjp', 0, 'logSoftmax'],
  ['logSoftmaxJvp', 0, 'logSoftmax'],
] as const;

/** Where a kernel takes a number that is not finite for 0: in which classes of a row. */
const where: readonly (readonly [name: string, what: string, isForgotten: (c: number, classes: number) => boolean])[] =
  [
    ['tail', 'after the last whole vector of eight', (c, n) => n > 16 && c >= n - (n % 8)],
    ['vectors', 'in whole vectors of eight from the second on', (c, n) => n > 16 && c >= 8 && c < n - (n % 8)],
    ['later-blocks', 'after the first 256 classes', (c) => c >= 256],
    ['longest-rows', 'in rows of more than 1024 classes', (_, n) => n > 1024],
  ];

/** A buffer with 0 where a number is not finite. */
function withoutNonFinite(
  buffer: ExactBuffer,
  { classes, inner }: Rows,
  isForgotten: (c: number, n: number) => boolean,
) {
  const data = buffer.data.map((value, i) =>
    Number.isFinite(value) || !isForgotten(Math.floor(i / inner) % classes, classes) ? value : 0,
  );
  return { dtype: buffer.dtype, data };
}

/** Kernels of rows in which NaN and infinities are lost. */
export const faultyNonFinite: readonly Fault[] = where.flatMap(([name, what, isForgotten]) => [
  ...(name === 'longest-rows' ? [...kernels, ...ofOutputs] : kernels).map(([kernel, operand, operation]) =>
    faultyRowKernel(
      `${kernel}-forgets-nan-of-operand-${operand}-in-${name}`,
      `takes NaN and infinities ${what} for 0.`,
      `row-groups/beside-nan:operation=${operation}`,
      kernel,
      (right) =>
        (out, ...rest) => {
          const rows = rest.at(-2) as Rows;
          const forget = (one: unknown) => withoutNonFinite(one as ExactBuffer, rows, isForgotten);
          return right(out, ...rest.map((one, k) => (k === operand ? forget(one) : one)));
        },
    ),
  ),
  ...(['loss', 'gradient'] as const).map((member) =>
    faultyKernels(
      `cross-entropy-${member}-forgets-nan-in-${name}`,
      `takes logits of NaN and infinity ${what} for 0 in the ${member}.`,
      `row-groups/beside-nan:operation=crossEntropy.${member}`,
      (right) => ({
        crossEntropy: (out, x, rows, parameters) =>
          right.crossEntropy?.(out, out[member] ? withoutNonFinite(x, rows, isForgotten) : x, rows, parameters),
      }),
    ),
  ),
]);
