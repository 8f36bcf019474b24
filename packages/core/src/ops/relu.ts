import { composed, fused } from '../op.js';
import { type Elementwise, elementwise } from './elementwise.js';

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
export const relu: Elementwise = /* @__PURE__ */ elementwise({
  name: 'relu',

  forward(out, x) {
    if (fused(x.backend, 'relu', out, x.buffer, x.size)) return;
    composed('relu', 'relu', x, (basis) => {
      const extent = [1, 1, x.size] as const;
      basis.binary(out, 'max', { buffer: x.buffer, extent }, 0, extent);
    });
  },

  product(operation, out, y, vector) {
    if (fused(y.backend, 'reluVjp', out, y.buffer, vector, y.size)) return;
    composed(operation, 'reluVjp', y, (basis) => {
      const extent = [1, 1, y.size] as const;
      basis.select(out, { buffer: y.buffer, extent }, { buffer: vector, extent }, 0, extent);
    });
  },

  slope(basis, _scratch, out, y) {
    const extent = [1, 1, y.size] as const;
    basis.select(out, { buffer: y.buffer, extent }, 1, 0, extent);
  },
});
