import { logSoftmax } from '@softgrad/core';
import type { Command } from 'commander';
import type { Session } from '../context.js';
import { rowwiseCommand } from '../rowwise-command.js';

export function logSoftmaxCommand(session: Session): Command {
  return rowwiseCommand(session, {
    name: 'log-softmax',
    summary: 'logarithms of the probabilities of logits',
    description:
      'Logarithms of probabilities: x / T − log Σ exp(x / T) along the axis, accurate even if the probability underflows. Files larger than memory are fine.',
    examples: [
      '$ softgrad log-softmax logits.npy --out log-probabilities.npy',
      "$ echo '[0, 1000]' | softgrad log-softmax -",
      '[-1000,0]',
    ],
    compute: ([logits], options) => logSoftmax(logits, options),
  });
}
