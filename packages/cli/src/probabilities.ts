import { type FileArray, type RowReader, sizeOf } from '@softgrad/formats';
import type { Session } from './context.js';

/** How far the sum of a row that softmax computed is from 1 at most, because of its rounding. */
const tolerance = { float16: 2 ** -9, float32: 16 * 2 ** -23 };

/** Checks the chunks of an input one after another. */
export interface ProbabilitiesCheck {
  add(chunk: FileArray, axis: number): void;
  /** After the last chunk: adds the notice if all rows of all chunks are probabilities. The notice calls them `rows`. */
  finish(rows?: string): void;
}

/**
 * For commands that take logits: a notice if the input holds probabilities, of which the command would compute the softmax once more. Zeros and ones
 * alone are not a sign of that: they are as common as logits. The check ends at the first row that is not one of probabilities, which is most often the
 * first row of all.
 */
export function checkForProbabilities(
  { name }: Pick<RowReader, 'name'>,
  command: string,
  { notices }: Pick<Session, 'notices'>,
): ProbabilitiesCheck {
  let possible = true;
  let between = false;
  return {
    add({ data, shape, stored }, axis) {
      const classes = shape[axis] ?? 1;
      const stride = sizeOf(shape.slice(axis + 1));
      possible &&= classes > 1;
      for (let start = 0; possible && start < data.length; start += classes * stride) {
        for (let row = start; possible && row < start + stride; row++) {
          let sum = 0;
          for (let i = row; possible && i < row + classes * stride; i += stride) {
            const value = data[i] ?? Number.NaN;
            possible = value >= 0;
            between ||= value > 0 && value < 1;
            sum += value;
          }
          possible &&= Math.abs(sum - 1) <= tolerance[stored ?? 'float32'];
        }
      }
    },
    finish(rows = 'every row') {
      if (!possible || !between) return;
      notices.push(
        `${name}: ${rows} adds up to 1, as probabilities do, but ${command} takes logits: softmax is applied to them once more. The logarithms of probabilities are logits; \`softgrad doctor\` takes probabilities as --probs`,
      );
    },
  };
}
