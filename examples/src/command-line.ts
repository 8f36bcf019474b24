import { type ParseArgsConfig, parseArgs } from 'node:util';
import { SoftgradError } from 'softgrad';

type Options = NonNullable<ParseArgsConfig['options']>;
type Values<O extends Options> = ReturnType<typeof parseArgs<{ options: O }>>['values'];

/**
 * Runs an example with the options of the command line, or prints its help. An option that it does not take, or one that softgrad refuses, ends the process
 * with a sentence instead of a stack trace.
 */
export async function command<const O extends Options>(
  help: string,
  options: O,
  run: (values: Values<O>) => Promise<void>,
): Promise<void> {
  if (process.argv.slice(2).some((argument) => argument === '--help' || argument === '-h')) {
    console.log(help);
    return;
  }
  const { values } = parsed(options);
  try {
    await run(values);
  } catch (error) {
    if (!(error instanceof SoftgradError)) throw error;
    console.error(error.message);
    process.exit(1);
  }
}

function parsed<O extends Options>(options: O) {
  try {
    return parseArgs({ options });
  } catch (error) {
    const [sentence] = String(error instanceof Error ? error.message : error).split('. To specify');
    console.error(`${sentence}; --help lists what there is`);
    process.exit(2);
  }
}

/** The value of an option with a list of allowed values. Any other value ends the process with an error message. */
export function oneOf<T extends string>(option: string, value: string, choices: readonly T[]): T {
  const choice = choices.find((known) => known === value);
  if (choice !== undefined) return choice;
  console.error(`--${option} ${value}: expected ${choices.join(' or ')}`);
  process.exit(2);
}

/** The value of an option that takes a whole number above 0. */
export function count(option: string, value: string): number {
  if (/^\d+$/.test(value) && Number(value) > 0) return Number(value);
  console.error(`--${option} ${value}: expected a whole number above 0`);
  process.exit(2);
}
