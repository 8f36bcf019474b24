import { type Rows, relu, sigmoid } from '@softgrad/core';
import { reference } from '@softgrad/core/conformance';
import type { Case } from '../case.js';
import { type AccuracyOp, diagonalOf, elementwise, given, type OpsOf, short, small } from './op.js';

const ofSigmoid = {
  ...elementwise,
  operands: ['sigmoid', 'direction'],
  expected: (input) => reference.sigmoidVjp(input.output('sigmoid'), input.directions),
} as const satisfies Partial<AccuracyOp>;

const ofRelu = {
  ...elementwise,
  operands: ['relu', 'direction'],
  expected: (input) => reference.reluVjp(input.output('relu'), input.directions),
} as const satisfies Partial<AccuracyOp>;

/** The functions that compute entry by entry, and their derivatives. */
export const elementwiseOps: OpsOf<'sigmoid' | 'relu'> = {
  sigmoid: {
    ...elementwise,
    operands: ['logits'],
    call: ([x]) => sigmoid(given(x)),
    expected: ({ logits }) => reference.sigmoid(logits),
  },
  'sigmoid.jacobian': {
    ...elementwise,
    ...small,
    operands: ['sigmoid'],
    call: ([y]) => sigmoid.jacobian(given(y)),
    expected: (input) => diagonalMatrices(slopesOfSigmoid(input), input.layout),
  },
  'sigmoid.linearize.diagonal': {
    ...elementwise,
    ...short,
    operands: ['logits'],
    call: ([x]) => diagonalOf(sigmoid.linearize(given(x))),
    expected: slopesOfSigmoid,
  },
  'sigmoid.vjp': { ...ofSigmoid, call: ([y, g]) => sigmoid.vjp(given(y), given(g)) },
  'sigmoid.jvp': { ...ofSigmoid, ...short, call: ([y, t]) => sigmoid.jvp(given(y), given(t)) },
  'sigmoid.hvp': {
    ...elementwise,
    ...short,
    operands: ['sigmoid', 'direction', 'tangent'],
    call: ([y, g, t]) => sigmoid.hvp(given(y), given(g), given(t)),
    expected: (input) => reference.sigmoidHvp(input.output('sigmoid'), input.directions, input.tangents),
  },
  relu: {
    ...elementwise,
    operands: ['logits'],
    call: ([x]) => relu(given(x)),
    expected: ({ logits }) => reference.relu(logits),
  },
  'relu.jacobian': {
    ...elementwise,
    ...small,
    operands: ['relu'],
    call: ([y]) => relu.jacobian(given(y)),
    expected: (input) => diagonalMatrices(slopesOfRelu(input), input.layout),
  },
  'relu.linearize.diagonal': {
    ...elementwise,
    ...short,
    operands: ['logits'],
    call: ([x]) => diagonalOf(relu.linearize(given(x))),
    expected: slopesOfRelu,
  },
  'relu.vjp': { ...ofRelu, ...short, call: ([y, g]) => relu.vjp(given(y), given(g)) },
  'relu.jvp': { ...ofRelu, ...short, call: ([y, t]) => relu.jvp(given(y), given(t)) },
};

function slopesOfSigmoid(input: Case): Float64Array {
  const y = input.output('sigmoid');
  return reference.sigmoidVjp(y, new Float64Array(y.length).fill(1));
}

function slopesOfRelu(input: Case): Float64Array {
  return Float64Array.from(input.output('relu'), (y) => (y > 0 ? 1 : 0));
}

/** Matrices with these diagonals, one for each row. */
function diagonalMatrices(slopes: Float64Array, { classes }: Rows): Float64Array {
  const out = new Float64Array(slopes.length * classes);
  slopes.forEach((slope, k) => {
    out[k * classes + (k % classes)] = slope;
  });
  return out;
}
