import { SoftgradError } from '../errors.js';
import type { CheckOfEntries } from './arguments.js';
import type { Definition } from './definition.js';

/** Where the outputs are that derivatives take. */
const ranges: Readonly<Record<NonNullable<Definition['output']>, readonly [least: number, most: number]>> = {
  probabilities: [0, 1],
  logProbabilities: [Number.NEGATIVE_INFINITY, 0],
  y: [0, 1],
};

/** How far an entry may be outside: more than half precision, or a step of a difference quotient, takes it. */
const slack = 0.01;

/**
 * A check of an array that a derivative is given for its function's output, which finds most inputs passed in its place: the formulas give
 * numbers for them, too. The results of functions remember what they are, and tensors may be on a device, so that both are not read.
 */
export function checkOutput(operation: string, { name, over, output }: Definition): CheckOfEntries | undefined {
  if (output === undefined) return undefined;
  const [least, most] = ranges[output];
  return (what, data) => {
    const at = data.findIndex((entry) => entry < least - slack || entry > most + slack);
    if (at < 0) return;
    const expected = least === 0 ? 'from 0 to 1' : 'up to 0';
    throw new SoftgradError(
      'ERR_VALUE',
      `${what}: element ${at} is ${data[at]}, expected numbers ${expected}; ${operation} takes the output of ${name}, not the ${over === 'rows' ? 'logits' : 'input'}`,
    );
  };
}
