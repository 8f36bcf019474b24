import { softmax } from '@softgrad/core';
import type { Command } from 'commander';
import type { Session } from '../context.js';
import { rowwiseCommand } from '../rowwise-command.js';

export function softmaxCommand(session: Session): Command {
  return rowwiseCommand(session, {
    name: 'softmax',
    summary: 'probabilities of logits',
    description:
      'Probabilities of logits: s = exp(x / T) / Σ exp(x / T) along the axis. Files larger than memory are fine.',
    examples: [
      '$ softgrad softmax logits.npy --out probabilities.npy',
      '$ softgrad softmax logits.csv --axis 0 --temperature 0.5',
      "$ echo '[[1, 2, 3]]' | softgrad softmax - --backend cpu",
      '[[0.09003057317038046,0.24472847105479764,0.6652409557748219]]',
    ],
    compute: ([logits], options) => softmax(logits, options),
  });
}
