import { softmax } from '@softgrad/core';
import { reference } from '@softgrad/core/conformance';
import { terms } from '../terms.js';
import { type AccuracyOp, diagonalOf, given, matrices, type OpsOf, perEntry, short } from './op.js';

const softmaxProduct = {
  ...perEntry,
  operands: ['softmax', 'direction'],
  expected: ({ directions, layout, repeats, parameters, ...input }) =>
    reference.softmaxVjp(input.output('softmax'), directions, layout, parameters).map((value) => value * repeats),
  attainable: terms.softmaxProduct,
} as const satisfies Partial<AccuracyOp>;

/** softmax and its derivatives. */
export const softmaxOps: OpsOf<'softmax'> = {
  softmax: {
    ...perEntry,
    operands: ['logits'],
    call: ([x], options) => softmax(given(x), options),
    expected: ({ logits, layout, parameters, repeats }) =>
      reference.softmax(logits, layout, parameters).map((value) => value / repeats),
  },
  'softmax.jacobian': {
    ...matrices,
    operands: ['softmax'],
    call: ([s], options) => softmax.jacobian(given(s), options),
    expected: ({ layout, parameters, ...input }) =>
      reference.softmaxJacobian(input.output('softmax'), layout, parameters),
  },
  'softmax.linearize.diagonal': {
    ...perEntry,
    ...short,
    operands: ['logits'],
    call: ([x], options) => diagonalOf(softmax.linearize(given(x), options)),
    expected: ({ layout, parameters, ...input }) =>
      reference.softmaxJacobian(input.output('softmax'), layout, parameters, 'diagonal'),
  },
  'softmax.vjp': { ...softmaxProduct, call: ([s, g], options) => softmax.vjp(given(s), given(g), options) },
  'softmax.jvp': { ...softmaxProduct, call: ([s, t], options) => softmax.jvp(given(s), given(t), options) },
  'softmax.hvp': {
    ...perEntry,
    ...short,
    operands: ['softmax', 'direction', 'tangent'],
    call: ([s, g, t], options) => softmax.hvp(given(s), given(g), given(t), options),
    expected: ({ directions, tangents, layout, parameters, ...input }) =>
      reference.softmaxHvp(input.output('softmax'), directions, tangents, layout, parameters),
    attainable: terms.softmaxHvp,
  },
  'softmax.doubleBackward': {
    ...perEntry,
    ...short,
    operands: ['softmax', 'direction', 'tangent'],
    call: ([s, g, h], options) => softmax.doubleBackward(given(s), given(g), given(h), options),
    expected: ({ directions, tangents, layout, parameters, ...input }) =>
      reference.softmaxDoubleBackward(input.output('softmax'), directions, tangents, layout, parameters),
    attainable: terms.softmaxDoubleBackward,
  },
};
