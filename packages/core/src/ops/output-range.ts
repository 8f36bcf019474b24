import { SoftgradError } from '../errors.js';
import type { FloatTensor } from '../tensor/operands.js';
import type { CheckOfEntries } from './arguments.js';

/** Where the outputs are that derivatives take. Operands of other names may be anywhere. */
const ranges: Readonly<Record<string, readonly [least: number, most: number]>> = {
  probabilities: [0, 1],
  logProbabilities: [Number.NEGATIVE_INFINITY, 0],
  y: [0, 1],
};

/** How far an entry may be outside: more than half precision, or a step of a difference quotient, takes it. */
const slack = 0.01;

/**
 * A check of an array that a derivative of the function `name` is given for its output, which finds most inputs passed in its place: the formulas give
 * numbers for them, too. The results of functions remember what they are.
 */
export function checkOutput(operation: string, name: string, operand: string): CheckOfEntries | undefined {
  const range = ranges[operand];
  if (range === undefined) return undefined;
  const [least, most] = range;
  return (what, data) => {
    const at = data.findIndex((entry) => entry < least - slack || entry > most + slack);
    if (at >= 0) throw outside(`${what}: element ${at} is ${data[at]}`, operation, name, operand);
  };
}

/** The same for a tensor without a history: of its first numbers, since the others may be on a device. */
export function checkBeginning(operation: string, name: string, operand: string, { beginning }: FloatTensor): void {
  const range = ranges[operand];
  if (!beginning || range === undefined) return;
  const { least, greatest } = beginning;
  const wrong = least < range[0] - slack ? least : greatest > range[1] + slack ? greatest : null;
  if (wrong !== null)
    throw outside(`${operation}: ${operand}: one of the first elements is ${wrong}`, operation, name, operand);
}

function outside(found: string, operation: string, name: string, operand: string): SoftgradError {
  const expected = operand === 'logProbabilities' ? 'up to 0' : 'from 0 to 1';
  const input = operand === 'y' ? 'input' : 'logits';
  return new SoftgradError(
    'ERR_VALUE',
    `${found}, expected numbers ${expected}; ${operation} takes the output of ${name}, not the ${input}`,
  );
}
