import { SoftgradError } from '../errors.js';
import type { LaidMask } from '../tensor/device-tensor.js';
import type { FloatTensor } from '../tensor/operands.js';
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
 * Checks what a derivative is given for its function's output, which finds most inputs passed in its place: the formulas give numbers for them, too. The
 * results of functions remember what they are. Of other tensors the first numbers are known, since the others may be on a device, and of arrays all.
 *
 * @throws ERR_VALUE for a number outside the range of the function, unless the mask leaves it out
 */
export function checkOutput(
  operation: string,
  { name, over, output }: Definition,
  { beginning }: FloatTensor,
  mask: LaidMask | null,
): void {
  if (beginning === null || output === undefined) return;
  const [least, most] = ranges[output];
  for (let k = 0; k < beginning.length; k++) {
    const entry = beginning[k] as number;
    if (!(entry < least - slack || entry > most + slack)) continue;
    if (mask !== null && mask.host[k % mask.host.length] === 0) continue;
    const expected = output === 'logProbabilities' ? 'up to 0' : 'from 0 to 1';
    const input = over === 'rows' ? 'logits' : 'input';
    throw new SoftgradError(
      'ERR_VALUE',
      `${operation}: ${output}: element ${k} is ${entry}, expected numbers ${expected}; ${operation} takes the output of ${name}, not the ${input}`,
    );
  }
}
