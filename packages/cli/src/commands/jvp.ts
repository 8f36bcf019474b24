import { softmax } from '@softgrad/core';
import type { Command } from 'commander';
import type { Session } from '../context.js';
import { rowwiseCommand } from '../rowwise-command.js';

export function jvpCommand(session: Session): Command {
  return rowwiseCommand(session, {
    name: 'jvp',
    summary: 'how the probabilities change along a direction',
    description:
      'The Jacobian-vector product of softmax: J t = s ⊙ (t − ⟨s, t⟩) / T, how the probabilities change when the logits move along t. INPUT are the logits: their probabilities s are computed first. Files larger than memory are fine.',
    upstream: 'the tangent, a direction in the logits, of the shape of the logits',
    examples: [
      '$ softgrad jvp logits.npy --upstream tangent.npy --out result.npy',
      "$ echo '[[1, 2, 3]]' | softgrad jvp - --upstream tangent.csv",
    ],
    compute([logits, tangent], options) {
      using probabilities = softmax(logits, options);
      return softmax.jvp(probabilities, tangent);
    },
  });
}
