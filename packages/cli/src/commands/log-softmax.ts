import { logSoftmax } from '@softgrad/core';
import { Command } from 'commander';
import { runRowwise } from '../operation.js';
import { formatsHelp, type OperationOptions, withOperationOptions } from '../options.js';

export function logSoftmaxCommand(): Command {
  return withOperationOptions(new Command('log-softmax'))
    .summary('logarithms of the probabilities of logits')
    .description(
      'Logarithms of probabilities: x / T − log Σ exp(x / T) along the axis, right where the probability underflows. Files larger than memory are fine.',
    )
    .addHelpText(
      'after',
      `${formatsHelp}

Examples:
  $ softgrad log-softmax logits.npy --out log-probabilities.npy
  $ echo '[0, 1000]' | softgrad log-softmax -
  [-1000,0]`,
    )
    .action(async (input: string, options: OperationOptions) => {
      const { temperature } = options;
      await runRowwise('log-softmax', [{ label: 'INPUT', file: input }], options, ([logits], axis) =>
        logSoftmax(logits, { axis, temperature }),
      );
    });
}
