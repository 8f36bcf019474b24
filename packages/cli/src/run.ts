import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { isSoftgradError, optionMeant, SoftgradError, shortened } from '@softgrad/core';
import { Command, CommanderError } from 'commander';
import { commandsNamed } from './commands/all.js';
import type { Context, OutputStream, Session } from './context.js';
import { exitDefect, exitInput } from './exit-codes.js';
import { decimal } from './options.js';
import { missingPermission } from './permission.js';
import { framesOf } from './stack.js';
import { formatProse } from './table.js';

/** Runs one command line (without the names of node and the command) and returns its exit code; never throws. */
export async function run(args: readonly string[], context: Context): Promise<number> {
  let interrupted: number | null = null;
  const session: Session = {
    ...context,
    notices: [],
    exitCode: 0,
    onInterrupt: (listener) =>
      context.onInterrupt((exitCode) => {
        interrupted = exitCode;
        listener(exitCode);
      }),
  };
  try {
    const program = createProgram(session, await commandsNamed(args[0], session));
    checkBeginning(args, program);
    await program.parseAsync(withoutUnknownHelp(args, program), { from: 'user' });
    for (const notice of session.notices)
      session.stderr.write(`${formatProse(`softgrad: ${notice}`, session.stderr)}\n`);
    return session.exitCode;
  } catch (error) {
    const exitCode = report(error, session);
    return interrupted ?? exitCode;
  }
}

function createProgram(session: Session, commands: readonly Command[]): Command {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const program = new Command('softgrad')
    .description('Softmax and its derivatives, on any engine.')
    .version(version)
    .configureOutput({
      writeOut: (text) => session.stdout.write(text),
      writeErr: (text) => session.stderr.write(text),
      getOutHelpWidth: () => helpWidth(session.stdout),
      getErrHelpWidth: () => helpWidth(session.stderr),
      outputError: (text, write) => write(formatProse(readable(inOneLine(text, program)), session.stderr)),
    })
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
  for (const command of commands) program.addCommand(command.copyInheritedSettings(program));
  for (const command of [program, ...commands]) command.exitOverride();
  for (const command of commands) {
    const required = command.options.filter(({ mandatory }) => mandatory).map(({ flags }) => flags);
    command.usage([command.usage(), ...required].join(' '));
    command.configureOutput({
      outputError: (text, write) => write(formatProse(readable(inOneLine(text, command)), session.stderr)),
    });
  }
  return program;
}

/** @throws ERR_VALUE for an option before the name of a command: commander takes its value for the command */
function checkBeginning(args: readonly string[], program: Command): void {
  const [first = ''] = args;
  const options = program.createHelp().visibleOptions(program);
  const own = options.some(({ short, long }) => short === first || long === first);
  if (!/^--?[a-z]/i.test(first) || own || !args.some((argument) => commandNames(program).includes(argument))) return;
  throw new SoftgradError(
    'ERR_VALUE',
    `${first} before the command; options follow it, as in softgrad COMMAND INPUT ${first}${first.includes('=') ? '' : ' …'}`,
  );
}

/**
 * The arguments, or only the unknown command whose help they ask for: commander answers `help NAME` and `NAME --help` with the help of the
 * program, but `NAME` alone with an error.
 */
function withoutUnknownHelp(args: readonly string[], program: Command): readonly string[] {
  const names = args.filter((argument) => !argument.startsWith('-'));
  const [name] = names[0] === 'help' ? names.slice(1) : names;
  if (name === undefined) return args;
  if (name === 'help') return ['--help'];
  return commandNames(program).includes(name) ? args : [name];
}

function commandNames(program: Command): readonly string[] {
  return program
    .createHelp()
    .visibleCommands(program)
    .map((command) => command.name());
}

/** The column at which help wraps: the width of the terminal. */
function helpWidth({ isTTY, columns }: OutputStream): number {
  return (isTTY ? columns : undefined) ?? 80;
}

/** Commander's error with its suggestion, or a better one for an unknown command or option. */
function inOneLine(original: string, command: Command): string {
  const text = withoutMissing(original, command);
  const line = text.replace(/^error: /, 'softgrad: ');
  const name = /^error: unknown command '(.*)'/.exec(text)?.[1];
  if (name !== undefined) return `${line.split('\n')[0]}; ${nearCommands(name, text, command)}\n`;
  if (text === "error: missing required argument 'INPUT'\n")
    return `${line.trimEnd()}; expected a file, - for standard input, or numbers between commas\n`;
  if (/^error: too many arguments/.test(text) && command.args.every((argument) => Number.isFinite(decimal(argument))))
    return `softgrad: too many arguments; expected numbers with commas between them, as in ${command.args.join(',')}\n`;
  if (/^error: unknown option '-:/.test(text))
    return `${line.trimEnd()}; names follow those of files alone: save standard input as FILE.json, and choose FILE.json:NAME\n`;
  if (/^error: unknown option '-[\d.]/.test(text))
    return `${line.trimEnd()}; numbers that begin with a minus follow --, as in -- -1,2\n`;
  const required = /^error: required option '(--[\w-]+)/.exec(text)?.[1];
  const description = command.options.find(({ long }) => long === required)?.description;
  if (description !== undefined) return `${line.trimEnd()}; expected ${description}\n`;
  const given = /^error: unknown option '--?([^'=]+)/.exec(text)?.[1];
  const near = given === undefined ? [] : nearOptions(given, optionNames(command));
  if (near.length === 0) return line.replace(/\n\(Did you mean (.*)\?\)/, '; did you mean $1?');
  const several = near.length > 1 ? 'one of ' : '';
  return line.replace(/(?:\n\(Did you mean .*\?\))?\n/, `; did you mean ${several}${near.join(', ')}?\n`);
}

/** Where a required option is missing, commander does not say that an unknown one was given, which is most often the same by another name. */
function withoutMissing(text: string, command: Command): string {
  const known = optionNames(command);
  // Known ones may follow --.
  const unknown = command.args.find((argument) => /^--?[a-z]/i.test(argument) && !known.includes(argument));
  return text.startsWith('error: required option') && unknown !== undefined
    ? `error: unknown option '${unknown}'\n`
    : text;
}

/** Other names of options that only the command has. */
const otherNames: Readonly<Record<string, string>> = {
  axes: 'axis',
  gradient: 'upstream',
  grad: 'upstream',
  gradoutput: 'upstream',
  cotangent: 'upstream',
  tangent: 'upstream',
  labels: 'target',
  label: 'target',
  smoothing: 'label-smoothing',
  engine: 'backend',
  device: 'backend',
};

/** The options that begin with a name; else the one that it begins with; else the one that this name stands for. */
function nearOptions(given: string, options: readonly string[]): readonly string[] {
  const names = options.map((option) => option.slice(2));
  const longer = names.filter((name) => name.startsWith(given));
  const shorter = names.filter((name) => name.length > 2 && given.startsWith(name));
  const other = otherNames[given.toLowerCase().replace(/[_-]/g, '')];
  const meant = [...shorter, optionMeant(given, names), names.find((name) => name === other)].find(Boolean);
  return (longer.length > 0 || meant === undefined ? longer : [meant]).map((name) => `--${name}`);
}

/** Functions of the package softgrad that are not commands, because they take the user's functions. */
const functionsOnly: readonly string[] = ['gradcheck', 'gradgradcheck'];

/** The commands that are spelled as the library's functions are or begin alike, the option of this name or, as commander finds, are similar. */
function nearCommands(name: string, text: string, program: Command): string {
  const letters = (spelled: string) => spelled.toLowerCase().replace(/[^a-z]/g, '');
  const own = functionsOnly.find((known) => known === letters(name));
  if (own !== undefined) {
    return `${own} is a function of the package softgrad: import { ${own} } from 'softgrad'; \`softgrad doctor\` checks the numbers of a gradient`;
  }
  const all = letters(name) === '' ? [] : commandNames(program);
  const same = all.filter((known) => letters(known) === letters(name));
  const begun = all.filter((known) => letters(known).startsWith(letters(name)));
  const similar = /\(Did you mean (.*)\?\)/.exec(text)?.[1] ?? '';
  const option = optionNames(program).filter((known) => known === `--${name}`);
  const near = [same, begun, option].find(({ length }) => length > 0)?.join(', ') ?? similar;
  if (near === '') return '`softgrad --help` lists the commands';
  return `did you mean ${near.includes(', ') && !near.startsWith('one of ') ? 'one of ' : ''}${near}?`;
}

function optionNames(command: Command): readonly string[] {
  const options = command.createHelp().visibleOptions(command);
  return options.flatMap(({ long }) => long ?? []);
}

/** Control characters, such as a file's name may have, could hide the message or move the cursor of a terminal. */
const controls = /[^\P{Cc}\t\n]/gu;

/**
 * A message with control characters escaped and long words cut, such as the text of a file that was passed instead of its name. Paths are rarely
 * longer than that.
 */
function readable(message: string): string {
  const visible = message.replace(controls, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return visible.replace(/\S{301,}/g, (word) => shortened(word, 300));
}

/** What Node reports where it resolves a relative path in a folder that another process has deleted. */
function deletedFolder(error: unknown): string | null {
  const isCwd = error instanceof Error && 'syscall' in error && error.syscall === 'uv_cwd';
  return isCwd ? 'the current folder was deleted; change to one that exists' : null;
}

/**
 * Prints an error that was thrown where no caller could catch it, as by a timer or a promise that nobody awaits, and returns the exit code. With a frame
 * in a file that is not softgrad's, it is that of a module, whose place is shown.
 */
export function reportUncaught(error: unknown, context: Pick<Context, 'stderr' | 'env'>): number {
  const [frame] = framesOf(error);
  if (frame === undefined || isSoftgradError(error)) return report(error, context);
  const message = error instanceof Error ? error.message : String(error);
  return report(
    new SoftgradError('ERR_VALUE', `an error that nothing caught: ${message} ${frame}`, { cause: error }),
    context,
  );
}

/** Prints the error in one line and returns the exit code. */
function report(error: unknown, { stderr, env }: Pick<Context, 'stderr' | 'env'>): number {
  // Commander has already printed the message.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitInput;
  const debug = env.SOFTGRAD_DEBUG;
  // With its stack, its code and what caused it.
  if (debug) stderr.write(`${inspect(error)}\n`);
  const message = readable((error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, ' '));
  const known = isSoftgradError(error) ? message : (missingPermission(error) ?? deletedFolder(error));
  if (known !== null) {
    stderr.write(`${formatProse(`softgrad: ${known}`, stderr)}\n`);
    return exitInput;
  }
  const defect = `softgrad: a defect of softgrad: ${message}${debug ? '' : ' (SOFTGRAD_DEBUG=1 shows where)'}`;
  stderr.write(`${formatProse(defect, stderr)}\n`);
  return exitDefect;
}
