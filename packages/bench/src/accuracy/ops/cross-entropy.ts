import { crossEntropy } from '@softgrad/core';
import { type ReferenceCrossEntropyOptions, type ReferenceTarget, reference } from '@softgrad/core/conformance';
import type { Case } from '../case.js';
import { smoothing } from '../inputs.js';
import { terms } from '../terms.js';
import { given, type OpsOf, perEntry, perRow, short } from './op.js';

/** The members of crossEntropy, of the loss of each row. */
export const crossEntropyOps: OpsOf<'crossEntropy'> = {
  'crossEntropy.loss': {
    ...perRow,
    operands: ['logits', 'target'],
    call: ([x, target], options) => crossEntropy.loss(given(x), given(target), { ...options, ...ofEachRow }),
    expected: (input) =>
      reference
        .crossEntropyLoss(input.logits, targetOf(input), input.layout, optionsOf(input))
        .map((value) => value + Math.log(input.repeats)),
  },
  'crossEntropy.gradient': {
    ...perEntry,
    // The target is in one of the periods.
    isPeriodic: false,
    operands: ['logits', 'target'],
    call: ([x, target], options) => crossEntropy.gradient(given(x), given(target), { ...options, ...ofEachRow }),
    expected: (input) => reference.crossEntropyGradient(input.logits, targetOf(input), input.layout, optionsOf(input)),
    attainable: terms.crossEntropyGradient,
  },
  'crossEntropy.vjp': {
    ...perEntry,
    ...short,
    operands: ['logits', 'target', 'rowCotangent'],
    call: ([x, target, g], options) =>
      crossEntropy.vjp(given(x), given(target), given(g), { ...options, ...ofEachRow }),
    expected: (input) =>
      reference.crossEntropyVjp(input.logits, targetOf(input), input.rowCotangents, input.layout, optionsOf(input)),
    attainable: terms.crossEntropyVjp,
  },
  'crossEntropy.jvp': {
    ...perRow,
    ...short,
    operands: ['logits', 'target', 'direction'],
    call: ([x, target, t], options) =>
      crossEntropy.jvp(given(x), given(target), given(t), { ...options, ...ofEachRow }),
    expected: (input) =>
      reference.crossEntropyJvp(input.logits, targetOf(input), input.directions, input.layout, optionsOf(input)),
    attainable: terms.crossEntropyJvp,
  },
  'crossEntropy.hvp': {
    ...perEntry,
    ...short,
    operands: ['logits', 'target', 'rowCotangent', 'direction'],
    call: ([x, target, g, t], options) =>
      crossEntropy.hvp(given(x), given(target), given(g), given(t), { ...options, ...ofEachRow }),
    expected: (input) => {
      const { logits, rowCotangents, directions, layout } = input;
      return reference.crossEntropyHvp(logits, targetOf(input), rowCotangents, directions, layout, optionsOf(input));
    },
    attainable: terms.curvature(true),
  },
};

const ofEachRow = { reduction: 'none' } as const;

function targetOf({ target, softTarget, targetKind }: Case): ReferenceTarget {
  if (targetKind === 'probabilities') return { kind: 'probabilities', values: softTarget };
  return { kind: 'indices', values: target };
}

function optionsOf({ parameters, targetKind }: Case): ReferenceCrossEntropyOptions {
  return { ...parameters, ...ofEachRow, ...(targetKind === 'smoothed' && { labelSmoothing: smoothing }) };
}
