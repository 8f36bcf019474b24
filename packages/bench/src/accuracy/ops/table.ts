import { SoftgradError, shortened } from '@softgrad/core';
import { crossEntropyOps } from './cross-entropy.js';
import { elementwiseOps } from './elementwise.js';
import { logSoftmaxOps } from './log-softmax.js';
import { logSumExpOps } from './log-sum-exp.js';
import type { AccuracyOpName } from './names.js';
import type { AccuracyOp } from './op.js';
import { softmaxOps } from './softmax.js';

/** The ops by their names in core. */
export const accuracyOps: Readonly<Record<AccuracyOpName, AccuracyOp>> = {
  ...softmaxOps,
  ...logSoftmaxOps,
  ...logSumExpOps,
  ...crossEntropyOps,
  ...elementwiseOps,
};

const names = Object.keys(accuracyOps) as readonly AccuracyOpName[];

/**
 * The ops of these names; `all` stands for every one.
 *
 * @throws ERR_VALUE for an unknown name
 * @example
 * selectAccuracyOps(['softmax', 'softmax.vjp']); // ['softmax', 'softmax.vjp']
 */
export function selectAccuracyOps(chosen: readonly string[]): readonly AccuracyOpName[] {
  if (chosen.includes('all')) return names;
  return chosen.map((name) => {
    const found = names.find((known) => known === name);
    if (found === undefined)
      throw new SoftgradError(
        'ERR_VALUE',
        `unknown op '${shortened(name)}'; expected all or some of ${names.join(', ')}`,
      );
    return found;
  });
}
