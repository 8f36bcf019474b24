import type { Value } from '../backend/graph.js';
import {
  centred,
  complement,
  jacobianOfSmallTemperature,
  mostExponent,
  productOverSquare,
  quotientOf,
  tempered,
  withoutOffset,
} from '../backend/softmax-terms.js';
import type { Like, MatricesOf } from '../tensor/typed.js';
import type { DirectionLike, FloatLike } from './arguments.js';
import { define } from './define.js';
import type { Definition, Expressions, Member } from './definition.js';
import type { OperatorOf } from './linear-operator.js';
import type { SoftmaxOptions } from './settings.js';

/** A function of the softmax family with its derivatives. */
export interface Softmax {
  <X extends FloatLike>(logits: X, options?: SoftmaxOptions): Like<X>;
  /**
   * The Jacobian matrices, `J = (diag(s) − s sᵀ) / T`, one for each row: `(n, f) → (n, f, f)`; for another axis the dimensions
   * without it, then `(f, f)`. Every row and column sums to 0: for a gradient use `vjp`, which is O(f).
   *
   * @param probabilities the result of the forward pass, which remembers axis, temperature and mask. Other probabilities use the
   *   options given here
   * @throws ERR_DTYPE, ERR_AXIS, ERR_DISPOSED, ERR_OUT_OF_MEMORY; ERR_VALUE for options that contradict those of the forward pass
   * @example
   * const J = softmax.jacobian(softmax(tensor([[1, 2]])));
   * await J.array(); // [[[0.1966, -0.1966], [-0.1966, 0.1966]]]
   */
  jacobian<X extends FloatLike>(probabilities: X, options?: SoftmaxOptions): MatricesOf<X>;
  /**
   * The vector-Jacobian product, `Jᵀ g = s ⊙ (g − ⟨s, g⟩) / T` over each row: what backpropagation needs. Same shape and
   * dtype as the operands, O(f) a row. Masked entries are 0, whatever the cotangent is there.
   *
   * The classic misuse is to sum rows of the Jacobian instead: that is `vjp(s, ones)`, identically 0.
   *
   * @param probabilities the result of the forward pass, which remembers axis, temperature and mask. Other probabilities use the
   *   options given here. Each row must add up to 1 as accurately as its entries are known: backends use Σ s = 1 to keep digits, and if
   *   it does not hold, their results differ from the formula, and from each other, by up to `|1 − Σ s| Σ|g|` times s / |T|
   * @param cotangent the upstream gradient ∂L/∂s
   * @throws ERR_DTYPE, ERR_SHAPE, ERR_AXIS, ERR_BACKEND_MISMATCH, ERR_DISPOSED, ERR_OUT_OF_MEMORY; ERR_VALUE for options that
   *   contradict those of the forward pass
   * @example
   * const s = softmax(tensor([[1, 2]]));
   * await softmax.vjp(s, tensor([[1, 0]])).array(); // [[0.1966, -0.1966]]
   */
  vjp<X extends FloatLike>(probabilities: X, cotangent: DirectionLike, options?: SoftmaxOptions): Like<X>;
  /**
   * The Jacobian-vector product `J t`, forward mode: the change of the probabilities along a direction of the logits. J is symmetric, so this
   * is `vjp` by another name.
   *
   * @param probabilities as for `vjp`
   * @param tangent a direction of the logits, in the shape and dtype of the probabilities
   * @throws as `vjp`
   * @example
   * const s = softmax(tensor([[1, 2]]));
   * await softmax.jvp(s, tensor([[1, 0]])).array(); // [[0.1966, -0.1966]]
   */
  jvp<X extends FloatLike>(probabilities: X, tangent: DirectionLike, options?: SoftmaxOptions): Like<X>;
  /**
   * The second derivative: that of `vjp` along a tangent of the logits, which is the Hessian of `⟨g, softmax(x / T)⟩` times t,
   * `s ⊙ (a ⊙ b − ⟨s, a ⊙ b⟩) / T²` over each row with `a = g − ⟨s, g⟩`, `b = t − ⟨s, t⟩`. In other words, with the jvp
   * `d = s ⊙ b / T`: `(d ⊙ a − s ⟨d, g⟩) / T`. Same shape and dtype as the operands, O(f) a row. Symmetric in g and t; masked
   * entries are 0, whatever g and t are there.
   *
   * @param probabilities as for `vjp`
   * @param cotangent the upstream gradient ∂L/∂s, which is held constant. The curvature of L itself adds `vjp(s, H_L jvp(s, t))`
   * @param tangent a direction of the logits
   * @throws as `vjp`
   * @example
   * const s = softmax(tensor([[1, 2]]));
   * await softmax.hvp(s, tensor([[1, 0]]), tensor([[1, 0]])).array(); // [[0.0909, -0.0909]]
   */
  hvp<X extends FloatLike>(
    probabilities: X,
    cotangent: DirectionLike,
    tangent: DirectionLike,
    options?: SoftmaxOptions,
  ): Like<X>;
  /**
   * The vjp of `vjp` with respect to the probabilities, for an autodiff that calls `vjp` inside a double backward:
   * `(h ⊙ (g − ⟨s, g⟩) − g ⟨s, h⟩) / T` over each row, h the gradient upstream of `vjp(s, g)`. Same shape and dtype as the operands,
   * O(f) a row; masked entries are 0. With respect to the cotangent it is `vjp(s, h)`, since the Jacobian is symmetric. Passed on to
   * the logits, it is the second derivative: `vjp(s, doubleBackward(s, g, h))` is `hvp(s, g, h)`, which is more accurate if
   * you only need that. PyTorch's `softmax_double_backward` (derivatives.yaml).
   *
   * @param probabilities as for `vjp`
   * @param cotangent the cotangent g that `vjp` was given
   * @param upstream the gradient with respect to the result of `vjp`
   * @throws as `vjp`
   * @example
   * const s = softmax(tensor([[1, 2]]));
   * await softmax.doubleBackward(s, tensor([[1, 0]]), tensor([[1, 0]])).array(); // [[0.4621, 0]]
   */
  doubleBackward<X extends FloatLike>(
    probabilities: X,
    cotangent: DirectionLike,
    upstream: DirectionLike,
    options?: SoftmaxOptions,
  ): Like<X>;
  /**
   * Softmax at these logits with its Jacobian as an operator that is never materialised: `vjp`, `jvp` and `diagonal` take O(f) a row, and
   * `toDense` gives the matrices.
   *
   * @throws as `softmax`
   * @example
   * const { value, vjp, diagonal } = softmax.linearize(tensor([[1, 2]]));
   * await value.array(); // [[0.2689, 0.7311]]
   * await vjp([[1, 0]]).array(); // [[0.1966, -0.1966]]
   * await diagonal().array(); // [[0.1966, 0.1966]]
   */
  linearize<X extends FloatLike>(logits: X, options?: Omit<SoftmaxOptions, 'out'>): OperatorOf<X>;
}

export const softmaxValue: Member = {
  kernel: {
    name: 'softmax',
    call: (backend, call, out, operands) => backend.softmax(out, operands[0], call.rows, call),
  },
  isOfQuotient: true,
  // An entirely masked row is NaN before `keep`, and 0 by definition.
  formula: (m, x) => m.keep(m.plain(softmaxValue, tempered(m, x)), 0),
};

/** Also the jvp, because the Jacobian is symmetric. */
export const softmaxVjp: Member = {
  kernel: {
    name: 'vjp',
    call: (backend, call, out, operands) => backend.vjp(out, operands[0], operands[1], call.rows, call),
  },
  masked: {
    call: ({ kernels }, call, out, operands) =>
      kernels?.maskedVjp ? kernels.maskedVjp(out, operands[0], operands[1], call.rows, call) : false,
  },
  formula: (m, s, g) => quotientOf(m, (v) => m.plain(softmaxVjp, s, v), g, m.temperature),
};

/** `factor · p ⊙ (t − ⟨p, t⟩) / T²`, the factor one number a row: a multiple of the Hessian of log-sum-exp, times t. */
export function curvature<B>(m: Expressions<B>, p: Value<B>, t: Value<B>, factor: Value<B>): Value<B> {
  const product = (v: Value<B>, by: Value<B>) => m.mul(m.plain(softmaxVjp, p, v), by);
  return productOverSquare(m, product, withoutOffset(m, p, t), factor);
}

const jacobian: Member = {
  result: 'matrices',
  kernel: {
    name: 'jacobian',
    call: (backend, call, out, operands) => backend.jacobian(out, operands[0], call.rows, call),
  },
  formula: (m, s) =>
    Math.abs(m.temperature) < 2 ** -mostExponent
      ? jacobianOfSmallTemperature(m, s)
      : m.div(m.plain(jacobian, s), m.temperature),
};

/** softmax (sign 1) or softmin (sign −1), which is softmax at the negative temperature. */
export const softmaxDefinition = (name: 'softmax' | 'softmin', sign: 1 | -1) =>
  ({
    name,
    over: 'rows',
    sign,
    output: 'probabilities',
    value: softmaxValue,
    vjp: softmaxVjp,
    jvp: softmaxVjp,
    hvp: {
      kernel: {
        name: 'softmaxHvp',
        call: ({ kernels }, call, out, operands) =>
          kernels?.softmaxHvp ? kernels.softmaxHvp(out, operands[0], operands[1], operands[2], call.rows, call) : false,
      },
      // The third cumulant of s with g and t: vjp of the product of both, centred.
      formula: (m, s, g, t) =>
        productOverSquare(m, (a, b) => m.plain(softmaxVjp, s, m.mul(a, b)), centred(m, s, g), centred(m, s, t)),
    },
    doubleBackward: {
      formula: (m, s, g, h) => m.div(m.sub(m.mul(h, centred(m, s, g)), m.mul(g, m.sum(m.mul(s, h)))), m.temperature),
    },
    jacobian,
    diagonal: {
      formula: (m, s) => m.div(m.mul(s, complement(m, s)), m.temperature),
    },
  }) as const satisfies Definition;

/**
 * Softmax along an axis, `s_i = exp(x_i / T) / Σ_k exp(x_k / T)`, computed shifted by the row's maximum.
 *
 * Shape and dtype of the result are those of the logits; it remembers axis, temperature and mask for its derivatives. As in SciPy
 * and PyTorch, −Infinity has probability 0, and a row with NaN, with +Infinity, or with only −Infinity is NaN.
 *
 * @param logits floats of any shape with at least one dimension
 * @throws ERR_DTYPE, ERR_AXIS, ERR_SHAPE (mask, out), ERR_VALUE (temperature), ERR_DISPOSED, ERR_OUT_OF_MEMORY
 * @example
 * await softmax(tensor([[1, 2, 3]])).array(); // [[0.0900, 0.2447, 0.6652]]
 * await softmax([[1, 2, 3]], { temperature: 0.5, mask: [true, true, false] }).array(); // [[0.1192, 0.8808, 0]]
 */
export const softmax: Softmax = /* @__PURE__ */ define<Softmax>(/* @__PURE__ */ softmaxDefinition('softmax', 1));
