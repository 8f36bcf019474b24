import { define } from './define.js';
import { type Elementwise, elementwise } from './elementwise.js';

export const reluDefinition = /* @__PURE__ */ elementwise({
  name: 'relu',
  alsoOfInput: true,
  value: {
    kernel: {
      name: 'relu',
      call: ({ kernels }, { rows }, out, operands) =>
        kernels?.relu ? kernels.relu(out, operands[0], rows.classes) : false,
    },
    formula: (m, x) => m.larger(x, 0),
  },
  slope: (m, y) => m.select(y, 1, 0),
  product: {
    kernel: {
      name: 'reluVjp',
      call: ({ kernels }, { rows }, out, operands) =>
        kernels?.reluVjp ? kernels.reluVjp(out, operands[0], operands[1], rows.classes) : false,
    },
    formula: (m, y, g) => m.select(y, g, 0),
  },
});

/**
 * The rectifier, elementwise: `relu(x) = max(x, 0)`, with the derivative 1 where y > 0 and 0 elsewhere (at 0 too, as in
 * PyTorch and JAX). NaN stays NaN.
 *
 * Shape and dtype are those of x. Derivatives take the output y (the input serves as well: the signs agree).
 *
 * @throws ERR_DTYPE, ERR_SHAPE (out), ERR_DISPOSED, ERR_OUT_OF_MEMORY
 * @example
 * const y = relu(tensor([-1, 0, 2]));
 * await y.array(); // [0, 0, 2]
 * await relu.vjp(y, tensor([5, 5, 5])).array(); // [0, 0, 5]
 */
export const relu: Elementwise = /* @__PURE__ */ define<Elementwise>(reluDefinition);
