import { softmax } from '@softgrad/core';
import type { Command } from 'commander';
import type { Session } from '../context.js';
import { rowwiseCommand } from '../rowwise-command.js';

export function vjpCommand(session: Session): Command {
  return rowwiseCommand(session, {
    name: 'vjp',
    summary: 'the gradient that softmax passes back',
    description:
      'The vector-Jacobian product of softmax: Jᵀ g = s ⊙ (g − ⟨s, g⟩) / T, which backpropagation needs, in O(f) per row. INPUT are the logits: their probabilities s are computed first. Files larger than memory are fine.',
    upstream: 'the upstream gradient ∂L/∂s, of the shape of the logits',
    examples: [
      '$ softgrad vjp logits.npy --upstream gradient.npy --out result.npy',
      "$ echo '[[1, 2, 3]]' | softgrad vjp - --upstream gradient.csv",
    ],
    compute([logits, cotangent], options) {
      using probabilities = softmax(logits, options);
      return softmax.vjp(probabilities, cotangent);
    },
  });
}
