import { crossEntropy } from './cross-entropy.js';
import type { Definition } from './definition.js';
import { logSoftmax, logSoftmaxDefinition } from './log-softmax.js';
import { logSumExp, logSumExpDefinition } from './log-sum-exp.js';
import { relu, reluDefinition } from './relu.js';
import { sigmoid, sigmoidDefinition } from './sigmoid.js';
import { softmax, softmaxDefinition } from './softmax.js';
import { softmin } from './softmin.js';

/**
 * Every function of core by its name. Code that must cover all of them (gradcheck's references, the expectations of conformance) is a
 * record over `Op`, so that a missing one is a compile error.
 */
export const table = { softmax, softmin, logSoftmax, logSumExp, sigmoid, relu, crossEntropy };

/** The name of a function of core. */
export type Op = keyof typeof table;

/** A function of core. */
export type BuiltIn = (typeof table)[Op];

/** Their definitions. crossEntropy has none, because it takes a target. */
export const definitions = {
  softmax: softmaxDefinition('softmax', 1),
  softmin: softmaxDefinition('softmin', -1),
  logSoftmax: logSoftmaxDefinition,
  logSumExp: logSumExpDefinition,
  sigmoid: sigmoidDefinition,
  relu: reluDefinition,
} satisfies Record<Exclude<Op, 'crossEntropy'>, Definition>;
