import { crossEntropyOperations } from './operations/cross-entropy.js';
import { elementwiseOperations } from './operations/elementwise.js';
import { logSoftmaxOperations } from './operations/log-softmax.js';
import { logSumExpOperations } from './operations/log-sum-exp.js';
import type { Operation } from './operations/operation.js';
import { softmaxOperations } from './operations/softmax.js';

/** Every operation but cross-entropy's, which have settings. */
export const operations: readonly Operation[] = [
  ...softmaxOperations,
  ...logSoftmaxOperations,
  ...logSumExpOperations,
  ...elementwiseOperations,
];

/** Every operation: what laws go over. Cross-entropy stands with class indices and a mean, with probabilities row by row, and with probabilities in a tensor. */
export const allOperations: readonly Operation[] = [
  ...operations,
  ...crossEntropyOperations({ target: 'indices', reduction: 'mean' }),
  ...crossEntropyOperations({ target: 'probabilities', reduction: 'none' }).map((operation) => ({
    ...operation,
    name: `${operation.name}[soft]`,
  })),
  ...crossEntropyOperations({ target: 'probabilities', asTensor: true }).map((operation) => ({
    ...operation,
    name: `${operation.name}[tensor]`,
  })),
];
