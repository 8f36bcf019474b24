import type { Tensor } from '@softgrad/core';
import { Command } from 'commander';
import type { Session } from './context.js';
import { runRowwise } from './operation.js';
import { formatsHelp, type OperationOptions, withOperationOptions } from './options.js';

/** A command whose result has the shape of its operands. */
export interface RowwiseCommand {
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  /** What `--upstream` is, where the command takes a second operand. */
  readonly upstream?: string;
  /** One a line, as they stand in the help. */
  readonly examples: readonly string[];
  compute(operands: readonly Tensor[], options: { readonly axis: number; readonly temperature: number }): Tensor;
}

export function rowwiseCommand(
  session: Session,
  { name, summary, description, upstream, examples, compute }: RowwiseCommand,
): Command {
  const command = withOperationOptions(new Command(name)).summary(summary).description(description);
  if (upstream !== undefined) command.requiredOption('--upstream <file>', upstream);
  return command
    .addHelpText('after', [formatsHelp, '', 'Examples:', ...examples.map((line) => `  ${line}`)].join('\n'))
    .action(async (input: string, options: OperationOptions & { readonly upstream?: string }) => {
      const operands = [{ label: 'INPUT', file: input }];
      if (options.upstream !== undefined) operands.push({ label: '--upstream', file: options.upstream });
      const { temperature } = options;
      await runRowwise(name, operands, options, session, (tensors, axis) => compute(tensors, { axis, temperature }));
    });
}
