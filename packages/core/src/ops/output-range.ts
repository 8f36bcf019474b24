import { SoftgradError } from '../errors.js';
import type { FloatTensor } from '../tensor/operands.js';
import type { CheckOfEntries } from './arguments.js';
import type { Definition } from './definition.js';

/** Where the outputs are that derivatives take. */
const ranges: Readonly<Record<NonNullable<Definition['output']>, readonly [least: number, most: number]>> = {
  probabilities: [0, 1],
  logProbabilities: [Number.NEGATIVE_INFINITY, 0],
  y: [0, 1],
};

/** How far an entry may be outside: farther than rounding to float16, or the step of a difference quotient, moves it. */
const slack = 0.01;

/**
 * A check of an array that a derivative is given for its function's output, which finds most inputs passed in its place: the formulas give
 * numbers for them, too. The results of functions remember what they are.
 */
export function checkOutput(operation: string, definition: Definition): CheckOfEntries | undefined {
  const { output } = definition;
  if (output === undefined) return undefined;
  const [least, most] = ranges[output];
  return (what, data) => {
    const at = data.findIndex((entry) => entry < least - slack || entry > most + slack);
    if (at >= 0) throw outside(`${what}: element ${at} is ${data[at]}`, operation, definition);
  };
}

/** The same for a tensor without a history: of its first numbers, since the others may be on a device. */
export function checkBeginning(operation: string, definition: Definition, { beginning }: FloatTensor): void {
  const { output } = definition;
  if (!beginning || output === undefined) return;
  const [from, to] = ranges[output];
  const { least, greatest } = beginning;
  const wrong = least < from - slack ? least : greatest > to + slack ? greatest : null;
  if (wrong !== null)
    throw outside(`${operation}: ${output}: one of the first elements is ${wrong}`, operation, definition);
}

function outside(found: string, operation: string, { name, over, output }: Definition): SoftgradError {
  const expected = output === 'logProbabilities' ? 'up to 0' : 'from 0 to 1';
  const input = over === 'rows' ? 'logits' : 'input';
  return new SoftgradError(
    'ERR_VALUE',
    `${found}, expected numbers ${expected}; ${operation} takes the output of ${name}, not the ${input}`,
  );
}
