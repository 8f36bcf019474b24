import type { Basis } from '../backend.js';
import { composed, type FloatTensor, fused, type Scratch } from '../op.js';
import { type Elementwise, elementwise } from './elementwise.js';

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
export const sigmoid: Elementwise = /* @__PURE__ */ elementwise({
  name: 'sigmoid',

  forward(out, x) {
    if (fused(x.backend, 'sigmoid', out, x.buffer, x.size)) return;
    composed('sigmoid', 'sigmoid', x, (basis, scratch) => {
      const extent = [1, 1, x.size] as const;
      const whole = (buffer: unknown) => ({ buffer, extent });
      const [negated, magnitude, decay, exponential, denominator, nonPositive, numerator] = Array.from(
        { length: 7 },
        () => scratch(x.size),
      );
      basis.unary(negated, 'neg', x.buffer, x.size);
      basis.binary(magnitude, 'max', whole(x.buffer), whole(negated), extent);
      basis.unary(decay, 'neg', magnitude, x.size);
      basis.unary(exponential, 'exp', decay, x.size);
      basis.binary(denominator, 'add', whole(exponential), 1, extent);
      basis.binary(nonPositive, 'min', whole(x.buffer), 0, extent);
      basis.unary(numerator, 'exp', nonPositive, x.size);
      basis.binary(out, 'div', whole(numerator), whole(denominator), extent);
    });
  },

  product(operation, out, y, vector) {
    if (fused(y.backend, 'sigmoidVjp', out, y.buffer, vector, y.size)) return;
    composed(operation, 'sigmoidVjp', y, (basis, scratch) => {
      const extent = [1, 1, y.size] as const;
      const derivative = scratch(y.size);
      slope(basis, scratch, derivative, y);
      basis.binary(out, 'mul', { buffer: vector, extent }, { buffer: derivative, extent }, extent);
    });
  },

  slope,
});

function slope(basis: Basis<unknown>, scratch: Scratch, out: unknown, y: FloatTensor): void {
  const extent = [1, 1, y.size] as const;
  const complement = scratch(y.size);
  basis.binary(complement, 'sub', 1, { buffer: y.buffer, extent }, extent);
  basis.binary(out, 'mul', { buffer: y.buffer, extent }, { buffer: complement, extent }, extent);
}
