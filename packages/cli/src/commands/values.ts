import { logSoftmax, logSumExp, type Op, relu, sigmoid, softmax, softmin, type Tensor } from '@softgrad/core';
import type { Command } from 'commander';
import type { Session } from '../context.js';
import type { ComputeOptions } from '../operation.js';
import { type RowwiseCommand, rowwiseCommand } from '../rowwise-command.js';

type ValueCommand = Omit<RowwiseCommand, 'name' | 'compute'> & {
  compute(x: Tensor, options: ComputeOptions): Tensor;
};

/** The function of core that each command computes. crossEntropy has its own command, because it takes a target. */
const values = {
  softmax: {
    summary: 'probabilities of logits',
    description:
      'Probabilities of logits: s = exp(x / T) / Σ exp(x / T) along the axis. Files larger than memory are fine.',
    examples: [
      '$ softgrad softmax logits.npy --out probabilities.npy',
      '$ softgrad softmax logits.csv --axis 0 --temperature 0.5',
      "$ echo '[[1, 2, 3]]' | softgrad softmax - --backend cpu",
      '[[0.09003057317038046,0.24472847105479764,0.6652409557748219]]',
    ],
    compute: softmax,
  },
  softmin: {
    summary: 'probabilities of the negated logits',
    description:
      'Softmax of the negated logits: s = exp(−x / T) / Σ exp(−x / T) along the axis. Files larger than memory are fine.',
    examples: [
      '$ softgrad softmin distances.npy --out probabilities.npy',
      "$ echo '[[1, 2, 3]]' | softgrad softmin - --backend cpu",
      '[[0.6652409557748219,0.24472847105479764,0.09003057317038046]]',
    ],
    compute: softmin,
  },
  logSoftmax: {
    summary: 'logarithms of the probabilities of logits',
    description:
      'Logarithms of probabilities: x / T − log Σ exp(x / T) along the axis, accurate even if the probability underflows. Files larger than memory are fine.',
    examples: [
      '$ softgrad log-softmax logits.npy --out log-probabilities.npy',
      "$ echo '[0, 1000]' | softgrad log-softmax -",
      '[-1000,0]',
    ],
    compute: logSoftmax,
  },
  logSumExp: {
    summary: 'logarithms of sums of exponentials',
    description:
      'log Σ exp(x / T) along the axis, which the result does not have: (n, f) → (n,). Accurate even if the exponentials overflow. Files larger than memory are fine.',
    examples: [
      '$ softgrad log-sum-exp logits.npy --out normalisers.npy',
      "$ echo '[[1, 2, 3], [999, 999, 999]]' | softgrad log-sum-exp - --backend cpu",
      '[3.4076059644443806,1000.0986122886682]',
    ],
    compute: logSumExp,
  },
  sigmoid: {
    summary: 'the logistic function of every entry',
    description:
      'The logistic function, entry by entry: y = 1 / (1 + exp(−x)), without overflow and without clipping. Files larger than memory are fine.',
    elementwise: true,
    examples: [
      '$ softgrad sigmoid logits.npy --out probabilities.npy',
      "$ echo '[[0, 2, -10000]]' | softgrad sigmoid - --backend cpu",
      '[[0.5,0.8807970779778824,0]]',
    ],
    compute: (x) => sigmoid(x),
  },
  relu: {
    summary: 'the rectifier of every entry',
    description: 'The rectifier, entry by entry: y = max(x, 0); NaN stays NaN. Files larger than memory are fine.',
    elementwise: true,
    examples: [
      '$ softgrad relu activations.npy --out rectified.npy',
      "$ echo '[[-1, 0, 2]]' | softgrad relu - --backend cpu",
      '[[0,0,2]]',
    ],
    compute: (x) => relu(x),
  },
} as const satisfies Record<Exclude<Op, 'crossEntropy'>, ValueCommand>;

/** A command for every function of core that has a value for each row or entry: `log-softmax` for `logSoftmax`. */
export function valueCommands(session: Session): readonly Command[] {
  return Object.entries<ValueCommand>(values).map(([op, { compute, ...texts }]) => {
    const name = op.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
    return rowwiseCommand(session, { ...texts, name, compute: ([x], options) => compute(x, options) });
  });
}
