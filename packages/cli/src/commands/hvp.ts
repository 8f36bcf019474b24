import { softmax } from '@softgrad/core';
import type { Command } from 'commander';
import type { Session } from '../context.js';
import { rowwiseCommand } from '../rowwise-command.js';

export function hvpCommand(session: Session): Command {
  return rowwiseCommand(session, {
    name: 'hvp',
    summary: 'how the gradient changes along a direction',
    description:
      'The second derivative of softmax: how the vector-Jacobian product Jᵀ g changes when the logits move along t, s ⊙ (a ⊙ b − ⟨s, a ⊙ b⟩) / T² with a = g − ⟨s, g⟩ and b = t − ⟨s, t⟩. INPUT are the logits: their probabilities s are computed first. Files larger than memory are fine.',
    upstream: 'the upstream gradient ∂L/∂s, of the shape of the logits',
    tangent: 'the tangent t, a direction in the logits, of the shape of the logits',
    examples: [
      '$ softgrad hvp logits.npy --upstream g.npy --tangent t.npy --out result.npy',
      "$ echo '[[1, 2, 3]]' | softgrad hvp - --upstream g.csv --tangent t.csv",
    ],
    compute([logits, cotangent, tangent], options) {
      using probabilities = softmax(logits, options);
      return softmax.hvp(probabilities, cotangent, tangent);
    },
  });
}
