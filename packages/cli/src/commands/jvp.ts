import { softmax } from '@softgrad/core';
import { Command } from 'commander';
import { runRowwise } from '../operation.js';
import { formatsHelp, type OperationOptions, withOperationOptions } from '../options.js';

interface Options extends OperationOptions {
  readonly upstream: string;
}

export function jvpCommand(): Command {
  return withOperationOptions(new Command('jvp'))
    .summary('how the probabilities change along a direction')
    .description(
      'The Jacobian-vector product of softmax: J t = s ⊙ (t − ⟨s, t⟩) / T, how the probabilities change when the logits move along t. INPUT are the logits: their probabilities s are computed first. Files larger than memory are fine.',
    )
    .requiredOption('--upstream <file>', 'the tangent, a direction in the logits, of the shape of the logits')
    .addHelpText(
      'after',
      `${formatsHelp}

Examples:
  $ softgrad jvp logits.npy --upstream tangent.npy --out result.npy
  $ echo '[[1, 2, 3]]' | softgrad jvp - --upstream tangent.csv`,
    )
    .action(async (input: string, options: Options) => {
      const { temperature } = options;
      const operands = [
        { label: 'INPUT', file: input },
        { label: '--upstream', file: options.upstream },
      ];
      await runRowwise('jvp', operands, options, ([logits, tangent], axis) => {
        using probabilities = softmax(logits, { axis, temperature });
        return softmax.jvp(probabilities, tangent, { axis, temperature });
      });
    });
}
