import { softmax } from '@softgrad/core';
import { Command } from 'commander';
import { runRowwise } from '../operation.js';
import { formatsHelp, type OperationOptions, withOperationOptions } from '../options.js';

interface Options extends OperationOptions {
  readonly upstream: string;
}

export function vjpCommand(): Command {
  return withOperationOptions(new Command('vjp'))
    .summary('the gradient that softmax passes back')
    .description(
      'The vector-Jacobian product of softmax: Jᵀ g = s ⊙ (g − ⟨s, g⟩) / T, what backpropagation needs, in O(f) a row. INPUT are the logits: their probabilities s are computed first. Files larger than memory are fine.',
    )
    .requiredOption('--upstream <file>', 'the upstream gradient ∂L/∂s, of the shape of the logits')
    .addHelpText(
      'after',
      `${formatsHelp}

Examples:
  $ softgrad vjp logits.npy --upstream gradient.npy --out result.npy
  $ echo '[[1, 2, 3]]' | softgrad vjp - --upstream gradient.csv`,
    )
    .action(async (input: string, options: Options) => {
      const { temperature } = options;
      const operands = [
        { label: 'INPUT', file: input },
        { label: '--upstream', file: options.upstream },
      ];
      await runRowwise('vjp', operands, options, ([logits, cotangent], axis) => {
        using probabilities = softmax(logits, { axis, temperature });
        return softmax.vjp(probabilities, cotangent, { axis, temperature });
      });
    });
}
