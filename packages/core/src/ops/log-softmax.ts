import type { Value } from '../backend/graph.js';
import type { Like, MatricesOf } from '../tensor/typed.js';
import type { DirectionLike, FloatLike } from './arguments.js';
import { define } from './define.js';
import type { Definition, Expressions } from './definition.js';
import type { OperatorOf } from './linear-operator.js';
import { log1p, sumOfOthers } from './log-of-sum.js';
import type { SoftmaxOptions } from './settings.js';
import { softmaxVjp } from './softmax.js';

/** `logSoftmax` with its derivatives, which take its output y. */
export interface LogSoftmax {
  <X extends FloatLike>(logits: X, options?: SoftmaxOptions): Like<X>;
  /**
   * The Jacobian matrices, `J_rc = (δ_rc − exp(y_c)) / T`, one for each row: `(n, f) → (n, f, f)`; for another axis the dimensions without
   * it, then `(f, f)`. Not symmetric: its rows sum to 0, its columns do not. For a gradient use `vjp`, which is O(f).
   *
   * @param logProbabilities the result of the forward pass, which remembers axis, temperature and mask. Other log-probabilities use the
   *   options given here; the exponentials of each row must add up to 1 as accurately as they are known
   * @throws as `softmax.jacobian`
   * @example
   * const y = logSoftmax(tensor([[1, 2]]));
   * await logSoftmax.jacobian(y).array(); // [[[0.7311, -0.7311], [-0.2689, 0.2689]]]
   */
  jacobian<X extends FloatLike>(logProbabilities: X, options?: SoftmaxOptions): MatricesOf<X>;
  /**
   * The vector-Jacobian product, `Jᵀ g = (g − exp(y) Σ g) / T` over each row: what backpropagation needs. Same shape and dtype as the
   * operands, O(f) a row. Masked entries are constant and have gradient 0.
   *
   * @param logProbabilities as for `jacobian`
   * @param cotangent the upstream gradient ∂L/∂y
   * @throws as `softmax.vjp`
   * @example
   * const y = logSoftmax(tensor([[1, 2]]));
   * await logSoftmax.vjp(y, tensor([[1, 0]])).array(); // [[0.7311, -0.7311]]
   */
  vjp<X extends FloatLike>(logProbabilities: X, cotangent: DirectionLike, options?: SoftmaxOptions): Like<X>;
  /**
   * The Jacobian-vector product, `J t = (t − ⟨exp(y), t⟩) / T` over each row, forward mode: the change of the log-probabilities along a
   * direction of the logits. Same shape and dtype as the operands, O(f) a row. Masked entries are 0.
   *
   * @param logProbabilities as for `jacobian`
   * @param tangent a direction of the logits
   * @throws as `softmax.vjp`
   * @example
   * const y = logSoftmax(tensor([[1, 2]]));
   * await logSoftmax.jvp(y, tensor([[1, 0]])).array(); // [[0.7311, -0.2689]]
   */
  jvp<X extends FloatLike>(logProbabilities: X, tangent: DirectionLike, options?: SoftmaxOptions): Like<X>;
  /**
   * The second derivative: that of `vjp` along a tangent of the logits, `−Σg · p ⊙ (t − ⟨p, t⟩) / T²` over each row with p = exp(y).
   * It depends on the cotangent only through its sum. Same shape and dtype as the operands, O(f) per row; masked entries are 0.
   *
   * @throws as `softmax.vjp`
   * @example
   * const y = logSoftmax(tensor([[1, 2]]));
   * await logSoftmax.hvp(y, tensor([[1, 0]]), tensor([[1, 0]])).array(); // [[-0.1966, 0.1966]]
   */
  hvp<X extends FloatLike>(
    logProbabilities: X,
    cotangent: DirectionLike,
    tangent: DirectionLike,
    options?: SoftmaxOptions,
  ): Like<X>;
  /**
   * logSoftmax at these logits with its Jacobian as an operator that is never materialised: `vjp`, `jvp` and `diagonal` take O(f) a row, and
   * `toDense` gives the matrices.
   *
   * @throws as `softmax`
   * @example
   * const { value, jvp } = logSoftmax.linearize(tensor([[1, 2]]));
   * await value.array(); // [[-1.3133, -0.3133]]
   * await jvp([[1, 0]]).array(); // [[0.7311, -0.2689]]
   */
  linearize<X extends FloatLike>(logits: X, options?: Omit<SoftmaxOptions, 'out'>): OperatorOf<X>;
}

/**
 * `1 − p` of log-probabilities y, whose exponentials are p. A p above ½ is the largest of its row, and `1 − p = −expm1(y)` has the digits of y; the sum of
 * the other exponentials would have their errors, an ULP of each y. With z = −y / 2 it is `2 z / (z + z coth z)`, and z coth z the continued fraction
 * `1 + z² / (3 + z² / (5 + …))`, which ends where the next term is below half an ULP.
 */
function complementOf<B>(m: Expressions<B>, y: Value<B>, p = m.exp(y)): Value<B> {
  const twice = m.sub(0, m.max(y));
  const z = m.mul(twice, 0.5);
  const square = m.mul(z, z);
  const last = m.dtype === 'float64' ? 13 : 7;
  let fraction = m.add(square, last);
  for (let k = last - 2; k > 0; k -= 2) fraction = m.add(m.div(square, fraction), k);
  return m.select(m.dominates(p), m.div(twice, m.add(fraction, z)), m.sub(1, p));
}

export const logSoftmaxDefinition = {
  name: 'logSoftmax',
  over: 'rows',
  output: 'logProbabilities',
  value: {
    kernel: {
      name: 'logSoftmax',
      call: ({ kernels }, call, out, operands) =>
        kernels?.logSoftmax ? kernels.logSoftmax(out, operands[0], call.rows, call) : false,
    },
    isOfQuotient: true,
    formula: (m, x) => {
      const tempered = m.tempered(x);
      const z = m.sub(tempered, m.max(tempered));
      return m.keep(m.sub(z, log1p(m, sumOfOthers(m, z))), Number.NEGATIVE_INFINITY);
    },
  },
  vjp: {
    kernel: {
      name: 'logSoftmaxVjp',
      call: ({ kernels }, call, out, operands) =>
        kernels?.logSoftmaxVjp ? kernels.logSoftmaxVjp(out, operands[0], operands[1], call.rows, call) : false,
    },
    formula: (m, y, g) => {
      const p = m.exp(y);
      const top = m.dominates(p);
      const complement = complementOf(m, y, p);
      const product = (v: typeof g) => {
        // For a probability above ½, v − p Σ v cancels: there it is v (1 − p) − p Σ_others v.
        const ofTop = m.sub(m.mul(v, complement), m.mul(p, m.sum(m.select(top, 0, v))));
        return m.select(top, ofTop, m.sub(v, m.mul(p, m.sum(v))));
      };
      return m.quotientOf(product, g, m.temperature);
    },
  },
  jvp: {
    kernel: {
      name: 'logSoftmaxJvp',
      call: ({ kernels }, call, out, operands) =>
        kernels?.logSoftmaxJvp ? kernels.logSoftmaxJvp(out, operands[0], operands[1], call.rows, call) : false,
    },
    formula: (m, y, t) => {
      const p = m.exp(y);
      // Any constant may be subtracted from t. With the entry of a probability above ½ nothing cancels in a nearly one-hot row. The mean is subtracted
      // twice because the first one, as rounded, is as far off as a large constant that all entries have in common; of what remains it is small.
      const product = (v: typeof t) => {
        const moved = m.sub(v, m.sum(m.select(m.dominates(p), v, 0)));
        const centred = m.sub(moved, m.sum(m.mul(p, moved)));
        return m.sub(centred, m.sum(m.mul(p, centred)));
      };
      return m.quotientOf(product, t, m.temperature);
    },
  },
  hvp: {
    kernel: {
      name: 'logSoftmaxHvp',
      call: ({ kernels }, call, out, operands) =>
        kernels?.logSoftmaxHvp
          ? kernels.logSoftmaxHvp(out, operands[0], operands[1], operands[2], call.rows, call)
          : false,
    },
    formula: (m, y, g, t) => {
      const p = m.exp(y);
      return m.productOverSquare((a, b) => m.mul(m.plain(softmaxVjp, p, a), b), m.withoutOffset(p, t), m.neg(m.sum(g)));
    },
  },
  jacobian: {
    result: 'matrices',
    kernel: {
      name: 'logSoftmaxJacobian',
      call: ({ kernels }, call, out, operands) =>
        kernels?.logSoftmaxJacobian ? kernels.logSoftmaxJacobian(out, operands[0], call.rows, call) : false,
    },
    formula: (m, y) => {
      const p = m.exp(y);
      const diagonal = m.transposed(m.columns(complementOf(m, y, p)));
      const beside = m.transposed(m.columns(m.sub(0, p)));
      return m.div(m.select(m.identity(), diagonal, beside), m.temperature);
    },
    keep: (m, matrices) => m.keepMatrixRows(matrices),
  },
  diagonal: {
    formula: (m, y) => m.div(complementOf(m, y), m.temperature),
  },
} as const satisfies Definition;

/**
 * The logarithm of softmax along an axis, `y_i = x_i / T − log Σ_k exp(x_k / T)`, right also where the probability underflows.
 *
 * Shape and dtype are those of the logits. −Infinity and masked entries have log-probability −Infinity; rows with NaN, with
 * +Infinity, or with only −Infinity are NaN; entirely masked rows are −Infinity.
 *
 * @throws as `softmax`
 * @example
 * await logSoftmax(tensor([[1, 2, 3]])).array(); // [[-2.4076, -1.4076, -0.4076]]
 * await logSoftmax(tensor([[0, 1000]])).array(); // [[-1000, 0]]
 */
export const logSoftmax: LogSoftmax = /* @__PURE__ */ define<LogSoftmax>(logSoftmaxDefinition);
