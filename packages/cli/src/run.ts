#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { isSoftgradError } from '@softgrad/core';
import { Command, CommanderError } from 'commander';
import { explainDefault } from './backend.js';
import { accuracyCommand } from './commands/accuracy.js';
import { backendsCommand } from './commands/backends.js';
import { benchCommand } from './commands/bench.js';
import { conformanceCommand } from './commands/conformance.js';
import { crossEntropyCommand } from './commands/cross-entropy.js';
import { demoCommand } from './commands/demo.js';
import { doctorCommand } from './commands/doctor.js';
import { jacobianCommand } from './commands/jacobian.js';
import { jvpCommand } from './commands/jvp.js';
import { logSoftmaxCommand } from './commands/log-softmax.js';
import { softmaxCommand } from './commands/softmax.js';
import { vjpCommand } from './commands/vjp.js';
import { systemReason } from './files/open.js';
import { removeTemporariesOnSignal } from './files/output.js';

/** Exit codes: 0 done, 1 a check failed (conformance), 2 input, options or machine not as needed, 70 a defect of softgrad. */
const exitInput = 2;
const exitDefect = 70;

function createProgram(): Command {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const program = new Command('softgrad')
    .description('Softmax and its derivatives, on any engine.')
    .version(version)
    .configureOutput({ outputError: (text, write) => write(inOneLine(text, program)) })
    .addHelpText(
      'after',
      `
Examples:
  $ softgrad softmax logits.npy --out probabilities.npy
  $ softgrad vjp logits.csv --upstream gradient.csv
  $ softgrad demo
  $ softgrad backends
  $ softgrad help vjp`,
    );
  const commands = [
    softmaxCommand(),
    logSoftmaxCommand(),
    jacobianCommand(),
    vjpCommand(),
    jvpCommand(),
    crossEntropyCommand(),
    backendsCommand(),
    conformanceCommand(),
    accuracyCommand(),
    benchCommand(),
    demoCommand(),
    doctorCommand(),
  ];
  for (const command of commands) program.addCommand(command.copyInheritedSettings(program));
  for (const command of [program, ...commands]) command.exitOverride();
  for (const command of commands) {
    command.configureOutput({ outputError: (text, write) => write(inOneLine(text, command)) });
  }
  return program;
}

/** Commander's error with its suggestion, or a better one: an option that was begun is nearer than one of a like length. */
function inOneLine(text: string, command: Command): string {
  const begun = /^error: unknown option '(--[^'=]+)/.exec(text)?.[1];
  const longer = begun === undefined ? [] : optionNames(command).filter((name) => name.startsWith(begun));
  const line = text.replace(/^error: /, 'softgrad: ');
  if (longer.length === 0) return line.replace(/\n\(Did you mean (.*)\?\)/, '; did you mean $1?');
  const several = longer.length > 1 ? 'one of ' : '';
  return line.replace(/(?:\n\(Did you mean .*\?\))?\n?$/, `; did you mean ${several}${longer.join(', ')}?\n`);
}

function optionNames(command: Command): readonly string[] {
  const options = command.createHelp().visibleOptions(command);
  return options.flatMap(({ long }) => long ?? []);
}

async function main(): Promise<void> {
  // A reader that has seen enough (`| head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    process.stderr.write(`softgrad: standard output cannot be written: ${systemReason(error)}\n`);
    process.exit(exitInput);
  });
  removeTemporariesOnSignal();
  try {
    await createProgram().parseAsync();
    explainDefault();
  } catch (error) {
    process.exitCode = report(error);
  }
}

/** Says what went wrong in one line, and gives the exit code. */
function report(error: unknown): number {
  // Commander has printed its own line.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitInput;
  const debug = process.env.SOFTGRAD_DEBUG;
  if (debug && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  const message = (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, ' ');
  if (isSoftgradError(error)) {
    process.stderr.write(`softgrad: ${message}\n`);
    return exitInput;
  }
  process.stderr.write(`softgrad: a defect of softgrad: ${message}${debug ? '' : ' (SOFTGRAD_DEBUG=1 shows where)'}\n`);
  return exitDefect;
}

await main();
