import { softmax } from '@softgrad/core';
import { Command } from 'commander';
import { runRowwise } from '../operation.js';
import { formatsHelp, type OperationOptions, withOperationOptions } from '../options.js';

export function softmaxCommand(): Command {
  return withOperationOptions(new Command('softmax'))
    .summary('probabilities of logits')
    .description(
      'Probabilities of logits: s = exp(x / T) / Σ exp(x / T) along the axis. Files larger than memory are fine.',
    )
    .addHelpText(
      'after',
      `${formatsHelp}

Examples:
  $ softgrad softmax logits.npy --out probabilities.npy
  $ softgrad softmax logits.csv --axis 0 --temperature 0.5
  $ echo '[[1, 2, 3]]' | softgrad softmax -
  [[0.09003057317038046,0.24472847105479767,0.6652409557748219]]`,
    )
    .action(async (input: string, options: OperationOptions) => {
      const { temperature } = options;
      await runRowwise('softmax', [{ label: 'INPUT', file: input }], options, ([logits], axis) =>
        softmax(logits, { axis, temperature }),
      );
    });
}
