import { type Backend, setBackend } from 'softgrad';

/** Opens the backend given on the command line, or the fastest one that can run here, and sets it for new tensors. */
export function chooseBackend(name: string | undefined): Promise<Backend> {
  return name === undefined ? setBackend('wasm', 'cpu') : setBackend(name);
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
  const number = Number(value);
  if (Number.isInteger(number) && number > 0) return number;
  console.error(`--${option} ${value}: expected a whole number above 0`);
  process.exit(2);
}
