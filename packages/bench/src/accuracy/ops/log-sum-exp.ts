import { logSumExp } from '@softgrad/core';
import { reference } from '@softgrad/core/conformance';
import { terms } from '../terms.js';
import { given, type OpsOf, perEntry, perRow, short } from './op.js';

/** logSumExp and its derivatives. */
export const logSumExpOps: OpsOf<'logSumExp'> = {
  logSumExp: {
    ...perRow,
    operands: ['logits'],
    call: ([x], options) => logSumExp(given(x), options),
    expected: ({ logits, layout, parameters, repeats }) =>
      reference.logSumExp(logits, layout, parameters).map((value) => value + Math.log(repeats)),
    attainable: ({ logits, layout, parameters, mask }) => {
      const kept = Float64Array.from(logits, (logit, k) => (mask?.[k] === 0 ? Number.NEGATIVE_INFINITY : logit));
      return reference.logSumExp(logits, layout, parameters).map((value, row) => {
        const largest = kept
          .subarray(row * layout.classes, (row + 1) * layout.classes)
          .reduce((a, b) => Math.max(a, b));
        return Math.max(Math.abs(largest / parameters.temperature), Math.abs(value));
      });
    },
  },
  'logSumExp.gradient': {
    ...perEntry,
    ...short,
    operands: ['logits'],
    call: ([x], options) => logSumExp.gradient(given(x), options),
    expected: ({ logits, layout, parameters }) => reference.logSumExpVjp(logits, null, layout, parameters),
  },
  'logSumExp.vjp': {
    ...perEntry,
    ...short,
    operands: ['logits', 'rowCotangent'],
    call: ([x, g], options) => logSumExp.vjp(given(x), given(g), options),
    expected: ({ logits, rowCotangents, layout, parameters }) =>
      reference.logSumExpVjp(logits, rowCotangents, layout, parameters),
  },
  'logSumExp.jvp': {
    ...perRow,
    ...short,
    operands: ['logits', 'direction'],
    call: ([x, t], options) => logSumExp.jvp(given(x), given(t), options),
    expected: ({ logits, directions, layout, parameters }) =>
      reference.logSumExpJvp(logits, directions, layout, parameters),
    attainable: terms.mean,
  },
  'logSumExp.hvp': {
    ...perEntry,
    ...short,
    operands: ['logits', 'rowCotangent', 'direction'],
    call: ([x, g, t], options) => logSumExp.hvp(given(x), given(g), given(t), options),
    expected: ({ logits, rowCotangents, directions, layout, parameters }) =>
      reference.logSumExpHvp(logits, rowCotangents, directions, layout, parameters),
    attainable: terms.curvature(false),
  },
};
