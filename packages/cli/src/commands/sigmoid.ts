import { sigmoid } from '@softgrad/core';
import type { Command } from 'commander';
import type { Session } from '../context.js';
import { rowwiseCommand } from '../rowwise-command.js';

export function sigmoidCommand(session: Session): Command {
  return rowwiseCommand(session, {
    name: 'sigmoid',
    summary: 'the logistic function of every entry',
    description:
      'The logistic function, entry by entry: y = 1 / (1 + exp(−x)), without overflow and without clipping. Files larger than memory are fine.',
    elementwise: true,
    examples: [
      '$ softgrad sigmoid logits.npy --out probabilities.npy',
      "$ echo '[[0, 2, -10000]]' | softgrad sigmoid - --backend cpu",
      '[[0.5,0.8807970779778824,0]]',
    ],
    compute: ([x]) => sigmoid(x),
  });
}
