import { SoftgradError } from '@softgrad/core';
import { blockReader, type Numbers, namesOf } from './block.js';
import type { Input } from './schema.js';
import { compensatedSum } from './statistics.js';
import type { Store } from './store.js';

/** @throws ERR_VALUE for a weight that is not finite */
export async function readWeights(store: Store, weight: Input): Promise<Numbers> {
  const reader = blockReader(store, weight);
  const weights = await reader.read({ rows: [0, 1], columns: [0, reader.columns] });
  const wrong = weights.findIndex((value) => !Number.isFinite(value));
  if (wrong < 0) return weights;
  throw new SoftgradError(
    'ERR_VALUE',
    `${namesOf(weight.files)}: the weight of class ${wrong} is ${weights[wrong]}; expected a finite number`,
  );
}

/** The divisor of a mean. */
export interface Divisor {
  readonly counted: number;
  /** True where the divisor is 0 although some rows have a weight: theirs cancel. */
  readonly weightsCancel: boolean;
}

/** The divisor of the mean: the number of rows that are not ignored, or the sum of the weights of their classes. @throws ERR_VALUE for an invalid class, naming its position */
export async function countTargets(
  store: Store,
  target: Input,
  classes: number,
  ignoreIndex: number,
  weights: Numbers | undefined,
): Promise<Divisor> {
  const reader = blockReader(store, target);
  const step = Math.max(1, Math.floor(1e6 / Math.max(1, reader.columns)));
  const counted = compensatedSum();
  let isWeighted = false;
  for (let start = 0; start < reader.rows; start += step) {
    const end = Math.min(reader.rows, start + step);
    const labels = await reader.read({ rows: [start, end], columns: [0, reader.columns] });
    for (const [at, label] of labels.entries()) {
      if (label === ignoreIndex) continue;
      if (!Number.isInteger(label) || label < 0 || label >= classes) {
        throw new SoftgradError(
          'ERR_VALUE',
          `${target.files.map(({ path }) => path).join(', ')}: the target of row ${start * reader.columns + at} is ${label}; expected a class index from 0 to ${classes - 1}, or ${ignoreIndex} to ignore the row`,
        );
      }
      const weight = weights?.[label] ?? 1;
      isWeighted ||= weight !== 0;
      counted.add(weight);
    }
  }
  const sum = counted.value();
  return { counted: sum, weightsCancel: isWeighted && sum === 0 };
}
