import { softmax } from '@softgrad/core';
import type { Command } from 'commander';
import type { Session } from '../context.js';
import { rowwiseCommand } from '../rowwise-command.js';

export function jacobianCommand(session: Session): Command {
  return rowwiseCommand(session, {
    name: 'jacobian',
    summary: 'the Jacobian matrices of softmax',
    description:
      'The Jacobian of softmax, one matrix for each row: J = (diag(s) − s sᵀ) / T, shape (n, f) → (n, f, f). Each of its rows sums to 0; for a gradient use vjp.',
    matrices: true,
    advice: '`softgrad vjp` multiplies by it in O(f) per row without building it',
    examples: [
      '$ softgrad jacobian logits.csv --out jacobian.npy',
      "$ echo '[[0, 0]]' | softgrad jacobian -",
      '[[[0.25,-0.25],[-0.25,0.25]]]',
    ],
    compute([logits], options) {
      using probabilities = softmax(logits, options);
      return softmax.jacobian(probabilities);
    },
  });
}
