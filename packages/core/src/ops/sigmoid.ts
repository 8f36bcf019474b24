import type { Like } from '../tensor/typed.js';
import type { DirectionLike, FloatLike } from './arguments.js';
import { define } from './define.js';
import { type Elementwise, elementwise } from './elementwise.js';
import type { OutOption } from './settings.js';

/** `sigmoid` with its derivatives. */
export interface Sigmoid extends Elementwise {
  /**
   * The second derivative: that of `vjp` along a tangent of x, `g ⊙ t ⊙ σ″` with `σ″ = y (1 − y) (1 − 2y)`, elementwise.
   *
   * @throws ERR_DTYPE, ERR_SHAPE, ERR_BACKEND_MISMATCH, ERR_DISPOSED, ERR_OUT_OF_MEMORY
   * @example
   * const y = sigmoid(tensor([0, 2]));
   * await sigmoid.hvp(y, tensor([1, 1]), tensor([1, 1])).array(); // [0, -0.0800]
   */
  hvp<X extends FloatLike>(y: X, cotangent: DirectionLike, tangent: DirectionLike, options?: OutOption): Like<X>;
}

export const sigmoidDefinition = /* @__PURE__ */ elementwise({
  name: 'sigmoid',
  value: {
    kernel: {
      name: 'sigmoid',
      call: ({ kernels }, { rows }, out, operands) =>
        kernels?.sigmoid ? kernels.sigmoid(out, operands[0], rows.classes) : false,
    },
    formula: (m, x) => m.div(m.exp(m.smaller(x, 0)), m.add(m.exp(m.neg(m.abs(x))), 1)),
  },
  slope: (m, y) => m.mul(y, m.sub(1, y)),
  product: {
    kernel: {
      name: 'sigmoidVjp',
      call: ({ kernels }, { rows }, out, operands) =>
        kernels?.sigmoidVjp ? kernels.sigmoidVjp(out, operands[0], operands[1], rows.classes) : false,
    },
    formula: (m, y, g) => m.mul(g, m.mul(y, m.sub(1, y))),
  },
  hvp: {
    kernel: {
      name: 'sigmoidHvp',
      call: ({ kernels }, { rows }, out, operands) =>
        kernels?.sigmoidHvp ? kernels.sigmoidHvp(out, operands[0], operands[1], operands[2], rows.classes) : false,
    },
    // Each direction times a factor up to 1: their own product may be infinite where the result is 0.
    formula: (m, y, g, t) => m.mul(m.mul(g, m.mul(y, m.sub(1, y))), m.mul(t, m.sub(1, m.mul(2, y)))),
  },
});

/**
 * The logistic function, elementwise: `σ(x) = 1 / (1 + exp(−x))`, with the derivative `σ′ = y (1 − y)`.
 *
 * Computed as `exp(min(x, 0)) / (1 + exp(−|x|))`, which never overflows, so nothing is clipped: σ(−100) is 3.7e-44, σ(±1e4)
 * is exactly 0 or 1, σ(±Infinity) too, and NaN stays NaN. The widespread `1 / (1 + exp(−clip(x, −500, 500)))` gives the
 * same numbers in float64 up to |x| = 500, but 7.1e-218 instead of 0 for everything below −500; and in float32, where exp
 * overflows at 88.7, the clip at ±500 prevents nothing.
 *
 * Shape and dtype are those of x. Derivatives take the output y.
 *
 * @throws ERR_DTYPE, ERR_SHAPE (out), ERR_DISPOSED, ERR_OUT_OF_MEMORY
 * @example
 * const y = sigmoid(tensor([0, 2, -1e4]));
 * await y.array(); // [0.5, 0.8808, 0]
 * await sigmoid.vjp(y, tensor([1, 1, 1])).array(); // [0.25, 0.1050, 0]
 */
export const sigmoid: Sigmoid = /* @__PURE__ */ define<Sigmoid>(sigmoidDefinition);
