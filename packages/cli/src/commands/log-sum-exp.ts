import { logSumExp } from '@softgrad/core';
import type { Command } from 'commander';
import type { Session } from '../context.js';
import { rowwiseCommand } from '../rowwise-command.js';

export function logSumExpCommand(session: Session): Command {
  return rowwiseCommand(session, {
    name: 'log-sum-exp',
    summary: 'logarithms of sums of exponentials',
    description:
      'log Σ exp(x / T) along the axis, which the result does not have: (n, f) → (n,). Accurate even if the exponentials overflow. Files larger than memory are fine.',
    examples: [
      '$ softgrad log-sum-exp logits.npy --out normalisers.npy',
      "$ echo '[[1, 2, 3], [1000, 1000, 1000]]' | softgrad log-sum-exp - --backend cpu",
      '[3.4076059644443806,1001.0986122886682]',
    ],
    compute: ([logits], options) => logSumExp(logits, options),
  });
}
