import type { Value } from '../backend/graph.js';
import { largestFinite } from '../tensor/dtype.js';
import type { Like, RowsOf } from '../tensor/typed.js';
import type { DirectionLike, FloatLike } from './arguments.js';
import { define } from './define.js';
import type { Definition, Expressions } from './definition.js';
import type { RowOperatorOf } from './linear-operator.js';
import { log1p, sumOfOthers } from './log-of-sum.js';
import type { SoftmaxOptions } from './settings.js';
import { softmaxValue, softmaxVjp } from './softmax.js';

/** `logSumExp` with its derivatives, which take the logits: its gradient is softmax(x / T) / T. */
export interface LogSumExp {
  <X extends FloatLike>(logits: X, options?: SoftmaxOptions): RowsOf<X>;
  /**
   * `∂ logSumExp / ∂x = softmax(x / T) / T`, in the shape and dtype of the logits: the only row of the Jacobian for each row of logits. Masked
   * entries are 0.
   *
   * @throws as `softmax`
   * @example
   * await logSumExp.gradient(tensor([[1, 2]])).array(); // [[0.2689, 0.7311]]
   */
  gradient<X extends FloatLike>(logits: X, options?: SoftmaxOptions): Like<X>;
  /**
   * The vector-Jacobian product, `g · softmax(x / T) / T` over each row, in the shape and dtype of the logits. Masked entries are 0, and so is
   * an entirely masked row, whatever its cotangent.
   *
   * @param cotangent the upstream gradient, in the shape of the result: the logits' without the axis
   * @throws as `softmax.vjp`
   * @example
   * await logSumExp.vjp(tensor([[1, 2]]), tensor([2])).array(); // [[0.5379, 1.4621]]
   */
  vjp<X extends FloatLike>(logits: X, cotangent: DirectionLike, options?: SoftmaxOptions): Like<X>;
  /**
   * The Jacobian-vector product, `⟨softmax(x / T), t⟩ / T` over each row, in the shape of the result: the logits' without the axis.
   *
   * @param tangent a direction of the logits, in their shape; masked entries have no influence
   * @throws as `softmax.vjp`
   * @example
   * await logSumExp.jvp(tensor([[1, 2]]), tensor([[1, 0]])).array(); // [0.2689]
   */
  jvp<X extends FloatLike>(logits: X, tangent: DirectionLike, options?: SoftmaxOptions): RowsOf<X>;
  /**
   * The second derivative: that of `vjp` along a tangent of the logits, `g · p ⊙ (t − ⟨p, t⟩) / T²` over each row with
   * p = softmax(x / T). The cotangent has the shape of the result, the tangent that of the logits; O(f) a row. With cotangent 1 it is
   * the Hessian `(diag(p) − p pᵀ) / T²` times t. Masked entries are 0, whatever t is there.
   *
   * @throws as `softmax.vjp`
   * @example
   * await logSumExp.hvp(tensor([[1, 2]]), tensor([1]), tensor([[1, 0]])).array(); // [[0.1966, -0.1966]]
   */
  hvp<X extends FloatLike>(
    logits: X,
    cotangent: DirectionLike,
    tangent: DirectionLike,
    options?: SoftmaxOptions,
  ): Like<X>;
  /**
   * logSumExp at these logits with its Jacobian as an operator. The Jacobian is not square, so the operator has neither `diagonal` nor
   * `toDense`: `gradient` has its entries.
   *
   * @throws as `softmax`
   * @example
   * const { value, vjp } = logSumExp.linearize(tensor([[1, 2]]));
   * await value.array(); // [2.3133]
   * await vjp([1]).array(); // [[0.2689, 0.7311]]
   */
  linearize<X extends FloatLike>(logits: X, options?: Omit<SoftmaxOptions, 'out'>): RowOperatorOf<X>;
}

/** Below this temperature p / T can be a normal number even if p is subnormal and has lost digits. */
const leastTemperature = 2 ** -10;
/** Probabilities from here on have all their digits; below it they may be subnormal. In float16, in which p / T would overflow, no number is. */
const leastProbability = { float16: 2 ** -120, float32: 2 ** -120, float64: 2 ** -1000 } as const;

const gradient = {
  formula: (m, x) => {
    const p = m.of(softmaxValue, x);
    const plain = m.div(p, m.temperature);
    if (m.temperature >= leastTemperature) return plain;
    // The fourth roots of p over the largest are the probabilities at 4 T over the largest of them: no factor underflows unless p / T does.
    const flat = m.at(4 * m.temperature, softmaxValue, x);
    const root = m.div(flat, m.max(flat));
    const power = 2 ** Math.round(Math.log2(m.temperature) / 2);
    const half = (divisor: number) => m.mul(root, m.div(root, divisor));
    const product = m.mul(m.mul(half(power), half(m.temperature / power)), m.max(p));
    return m.select(m.sub(p, leastProbability[m.dtype]), plain, m.keep(product, 0));
  },
} as const satisfies Definition['value'];

/** `p v / T` with p = softmax(x / T), which leaves the range only if the result does; 0 where masked, even if v is infinite or NaN. */
function productOverTemperature<B>(m: Expressions<B>, x: Value<B>, v: Value<B>): Value<B> {
  const p = m.of(softmaxValue, x);
  const late = m.div(m.mul(p, v), m.temperature);
  if (m.temperature >= 1) return m.keep(late, 0);
  const early = m.mul(m.of(gradient, x), v);
  if (m.temperature >= 1 / largestFinite(m.dtype)) return m.keep(early, 0);
  // Where p / T overflows, p is a normal number and v small, or so large that v / T overflows and p v has all digits.
  return m.keep(m.finiteOr(early, m.finiteOr(m.mul(p, m.div(v, m.temperature)), late)), 0);
}

/**
 * The row's maximum of `x / T` over the entries that the mask keeps, and `x / T` minus this maximum. The maximum is clamped to finite values,
 * so that log-sum-exp gives SciPy's results for +Infinity and for rows of only −Infinity.
 */
function shifted<B>(m: Expressions<B>, x: Value<B>): { readonly maximum: Value<B>; readonly difference: Value<B> } {
  const kept = m.signed(x);
  const maximum = m.finite(m.max(kept));
  return { maximum: m.div(maximum, Math.abs(m.temperature)), difference: m.quotient(kept, maximum) };
}

export const logSumExpDefinition = {
  name: 'logSumExp',
  over: 'rows',
  value: {
    result: 'rows',
    ofNothing: Number.NEGATIVE_INFINITY,
    kernel: {
      name: 'logSumExp',
      call: ({ kernels }, call, out, operands) =>
        kernels?.logSumExp ? kernels.logSumExp(out, operands[0], call.rows, call) : false,
    },
    isOfQuotient: true,
    formula: (m, x) => {
      const { maximum, difference } = shifted(m, x);
      return m.add(log1p(m, sumOfOthers(m, difference)), maximum);
    },
  },
  gradient,
  vjp: {
    cotangent: 'rows',
    // An entirely masked row has gradient 0, whatever its cotangent.
    formula: productOverTemperature,
  },
  jvp: {
    result: 'rows',
    formula: (m, x, t) => {
      const mean = m.sum(m.keep(m.mul(m.of(softmaxValue, x), t), 0));
      const late = m.div(mean, m.temperature);
      if (m.temperature >= leastTemperature) return late;
      // Terms that are divided first keep the digits of small ones; they may overflow and cancel.
      return m.finiteOr(m.sum(productOverTemperature(m, x, t)), late);
    },
  },
  hvp: {
    cotangent: 'rows',
    kernel: {
      name: 'logSumExpHvp',
      call: ({ kernels }, call, out, operands) =>
        kernels?.logSumExpHvp
          ? kernels.logSumExpHvp(out, operands[0], operands[1], operands[2], call.rows, call)
          : false,
    },
    formula: (m, x, g, t) => {
      const p = m.of(softmaxValue, x);
      return m.keep(
        m.productOverSquare((a, b) => m.mul(m.plain(softmaxVjp, p, a), b), m.withoutOffset(p, m.keep(t, 0)), g),
        0,
      );
    },
  },
} as const satisfies Definition;

/**
 * The logarithm of a sum of exponentials along an axis, `log Σ_k exp(x_k / T)`, computed shifted by the row's maximum.
 *
 * The result has the logits' dtype and their shape without the axis. As in SciPy, a row of only −Infinity (or an entirely
 * masked or empty row) gives −Infinity, +Infinity gives +Infinity, NaN gives NaN.
 *
 * @throws as `softmax`
 * @example
 * await logSumExp(tensor([[1, 2, 3], [1000, 1000, 1000]])).array(); // [3.4076, 1001.0986]
 */
export const logSumExp: LogSumExp = /* @__PURE__ */ define<LogSumExp>(logSumExpDefinition);
