import type { Tensor } from '@softgrad/core';
import { Command } from 'commander';
import type { Session } from './context.js';
import { type ComputeOptions, runRowwise } from './operation.js';
import {
  type FileOptions,
  formatsHelp,
  type OperationOptions,
  withFileOptions,
  withOperationOptions,
} from './options.js';

/** A command that computes the rows of its operands independently. */
export interface RowwiseCommand {
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  /** The description of `--upstream`, if the command takes a second operand. */
  readonly upstream?: string;
  /** The description of `--tangent`, if the command takes a third operand. */
  readonly tangent?: string;
  /** Whether the result has a matrix for every row; if so, the advice for when they are too large. */
  readonly matrices?: boolean;
  readonly advice?: string;
  /** Whether the operation is elementwise, so that there is no axis, temperature or mask. */
  readonly elementwise?: boolean;
  /** One for each line, as shown in the help. */
  readonly examples: readonly string[];
  /** The input is passed for an operand that the command does not take. */
  compute(operands: readonly [input: Tensor, upstream: Tensor, tangent: Tensor], options: ComputeOptions): Tensor;
}

/** Files of the other operands, by their options. */
interface Operands {
  readonly upstream?: string;
  readonly tangent?: string;
}

export function rowwiseCommand(
  session: Session,
  { summary, description, upstream, tangent, elementwise = false, examples, ...operation }: RowwiseCommand,
): Command {
  const command = new Command(operation.name).summary(summary).description(description);
  if (elementwise) withFileOptions(command.argument('<INPUT>', 'file with numbers'));
  else withOperationOptions(command);
  if (upstream !== undefined) command.requiredOption('--upstream <file>', upstream);
  if (tangent !== undefined) command.requiredOption('--tangent <file>', tangent);
  return command
    .addHelpText('after', [formatsHelp, '', 'Examples:', ...examples.map((line) => `  ${line}`)].join('\n'))
    .action(async (input: string, options: FileOptions & Partial<OperationOptions> & Operands) => {
      const operands = [
        ...(options.upstream === undefined ? [] : [{ label: '--upstream', file: options.upstream }]),
        ...(options.tangent === undefined ? [] : [{ label: '--tangent', file: options.tangent }]),
      ];
      await runRowwise({ ...operation, operands: [{ label: 'INPUT', file: input }, ...operands] }, options, session);
    });
}
