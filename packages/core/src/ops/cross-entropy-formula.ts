import { ordinaryExponent } from '../backend/algebra.js';
import type { Value } from '../backend/graph.js';
import { allocate } from '../backend/limits.js';
import { complement, dominates, finiteOr, mostExponent, quotientOf, signed } from '../backend/softmax-terms.js';
import { hostArray, largestFinite } from '../tensor/dtype.js';
import { sizesOf } from './class-weights.js';
import type { TargetCall } from './cross-entropy-call.js';
import type { Expressions } from './definition.js';
import { basisOf, composed, isBeyondKernels } from './evaluate.js';
import { logSoftmaxDefinition } from './log-softmax.js';
import { logSumExpDefinition } from './log-sum-exp.js';
import { fill } from './result.js';
import { softmaxValue } from './softmax.js';
import { type Totals, targetTotals, targetWeights } from './target-weights.js';

/** Buffers for the loss (one number per row) and the gradient; either may be null. */
interface Written {
  readonly loss: unknown;
  readonly gradient: unknown;
}

/** Writes row losses and gradient into buffers, with the kernel or composed. */
export function writeLossAndGradient(call: TargetCall, out: Written): void {
  const { backend, x, rows } = call;
  const kernel = isBeyondKernels(call) ? undefined : backend.kernels?.crossEntropy;
  if (kernel && kernel(out, x.buffer, rows, call) !== false) return;
  composed(call, (m) => {
    const terms = formula(m, call);
    const results: [unknown, Value<unknown>][] = [];
    if (out.loss !== null) results.push([out.loss, terms.loss()]);
    if (out.gradient !== null) results.push([out.gradient, terms.gradient()]);
    m.assignAll(results);
  });
}

/**
 * Σ q (max − x) / size over each row, with the maximum of x and target weights q. It is finite whenever the result is representable, even if
 * (max − x) / size is not. A logit that is −Infinity or masked adds nothing if its q is 0.
 */
function expectedGap<B>(m: Expressions<B>, q: Value<B>, x: Value<B>, size: number): Value<B> {
  // At temperatures this small, halving would lose digits of subnormal numbers and would not prevent an overflow.
  const unit = size < 2 ** -ordinaryExponent[m.dtype] ? 1 : 0.5;
  const scaled = signed(m, unit === 1 ? x : m.mul(x, unit));
  const gap = m.keep(m.sub(m.max(scaled), scaled), Number.POSITIVE_INFINITY);
  const largest = largestFinite(m.dtype);
  // Avoids 0 · Infinity = NaN; a NaN in q stays NaN.
  const finite = m.select(m.abs(q), gap, m.smaller(gap, largest));
  if (size === 1) return m.div(m.sum(m.mul(q, finite)), unit);
  // A product with q before the division may leave the range; it comes first only where the quotient overflows.
  const quotient = m.div(finite, size * unit);
  const quotientOfProduct = m.div(m.mul(q, finite), size * unit);
  return m.sum(m.select(m.sub(largest, quotient), m.mul(q, quotient), quotientOfProduct));
}

/**
 * With y = logSoftmax(x/T), p = softmax(x/T) and the target weights q: `loss = −scale Σ q y = scale (Σ q (max − x/T) − max y Σ q)` and
 * `gradient = scale/T (p Σ q − q)`. For a p above ½ that would cancel; it is computed as `p Σ_others q − q Σ_others p` instead.
 */
function formula<B>(m: Expressions<B>, call: TargetCall) {
  const q = targetWeights(m, call);
  const x = whereCounted(m, call, m.entries(call.x.buffer as B));
  const y = m.of(logSoftmaxDefinition.value, x);
  // Σ q (max − x/T) and the logarithm are separate terms, because y may overflow even if q y does not. The logarithm is clamped to a finite
  // value for rows that are masked entirely.
  const logarithm = () => m.smaller(m.neg(m.max(y)), largestFinite(m.dtype));
  return {
    loss: () => {
      const { temperature, scale } = call;
      // Weights that are so small were scaled to about 1: the sum without the scale may leave the range.
      const isSmall = scale < 2 ** -mostExponent;
      const gap = expectedGap(m, q, x, isSmall ? temperature / scale : temperature);
      const rest = m.mul(logarithm(), m.sum(q));
      return isSmall ? m.add(gap, m.mul(rest, scale)) : m.mul(m.add(gap, rest), scale);
    },
    gradient: () => {
      // Not exp(y): by the rounding of y alone it is off by up to half an ULP times |y|.
      const p = m.of(softmaxValue, x);
      const top = dominates(m, p);
      const difference = (weights: Value<B>) => {
        const total = m.select(top, m.sum(m.select(top, 0, weights)), m.sum(weights));
        const own = m.select(top, m.mul(weights, complement(m, p)), weights);
        return m.sub(m.mul(p, total), own);
      };
      if (call.temperature === 1) return m.mul(difference(q), call.scale);
      // One quotient, because scale alone may be beyond the range of the dtype.
      return quotientOf(m, difference, q, call.temperature / call.scale);
    },
  };
}

/** The values with ignored rows set to 0, so that their contents have no influence, not even NaN. */
function whereCounted<B>(m: Expressions<B>, { rows, target, ignoreIndex }: TargetCall, x: Value<B>): Value<B> {
  if (target.kind !== 'indices' || target.counted === target.host.length) return x;
  const counts = hostArray(target.host.length, 'bool').map((_, row) => (target.host[row] === ignoreIndex ? 0 : 1));
  return m.select(m.host(counts, [rows.outer, 1, rows.inner], 'bool'), x, 0);
}

/** Lets `write` compute one number per row and reduces them into `out`, which is `ofNothing` if there are no rows to reduce. */
export function reduceRows(
  call: TargetCall,
  out: unknown,
  ofNothing: number,
  write: (rowValues: unknown) => void,
): void {
  const { x, rows, reduction, undefinedMean } = call;
  const count = rows.outer * rows.inner;
  if (reduction === 'none') {
    if (rows.classes > 0) write(out);
    else fill(x, out, count, 0);
    return;
  }
  // A mean whose weights add up to 0 changes by 0, and by NaN where a logit is, as in the gradient, whose scale is 0.
  if (x.size === 0 || (undefinedMean && ofNothing !== 0)) {
    fill(x, out, 1, ofNothing);
    return;
  }
  if (count === 1) {
    write(out);
    return;
  }
  const { backend, dtype } = call;
  // The sum over rows takes a basis, whatever kernel computes their values. Without one, nothing is written.
  const basis = basisOf(call, null);
  const rowValues = allocate(backend, count, dtype);
  try {
    write(rowValues);
    basis.reduce(out, 'sum', rowValues, { outer: 1, classes: count, inner: 1 });
  } finally {
    backend.free(rowValues);
  }
}

/** The mean over no rows is 0/0, the sum 0. */
export function lossOfNothing({ undefinedMean }: TargetCall): number {
  return undefinedMean ? Number.NaN : 0;
}

/** A number for each loss, as a value of an expression: one, or one for each row. */
export function ofLoss<B>(m: Expressions<B>, { reduction }: TargetCall, buffer: B): Value<B> {
  return reduction === 'none' ? m.byRow(buffer) : m.given(buffer, [1, 1, 1]);
}

/** The gradient as a value of an expression. */
function gradientOf<B>(m: Expressions<B>, call: TargetCall): Value<B> {
  const { outer, classes, inner } = m.rows;
  return m.computed([outer, classes, inner], [], (out) => writeLossAndGradient(call, { loss: null, gradient: out }));
}

/**
 * The gradient times a direction, entry by entry or summed over each row, as a function of the direction; entry by entry it is 0 where masked or
 * ignored. The gradient may leave the dtype's range even if the product does not. So its factor is multiplied by a power of 2, which then divides the
 * product: a small factor always, a large one only where the product is not finite otherwise, because a row whose weight is smaller would lose digits.
 */
export function gradientTimes<B>(
  m: Expressions<B>,
  call: TargetCall,
  result: 'entries' | 'rows',
): (direction: Value<B>) => Value<B> {
  const { scale, temperature, weightHost } = call;
  const { least, most } = weightHost === null ? { least: 1, most: 1 } : sizesOf(weightHost);
  // One class has the weight of the whole row. If weights are further apart, no one power of 2 suits all rows.
  const isOneClass = call.target.kind === 'indices' && call.labelSmoothing === 0;
  const totals = isOneClass && most / least > 2 ** mostExponent ? targetTotals(m, call) : null;
  if (totals?.powers) return weightedByRow(m, call, result, totals.factor, totals.powers);
  const logarithm = Math.log2(most) + Math.log2(scale) - Math.log2(Math.abs(temperature));
  // Not finite if scale or all weights are 0.
  const exponent = Number.isFinite(logarithm) ? Math.round(logarithm) : 0;
  const finished = (product: Value<B>) =>
    result === 'rows' ? m.sum(product) : m.keep(whereCounted(m, call, product), 0);
  /** With a factor of 2^`to`, as a function of 2^`by` times the direction. */
  const scaled = (to: number, by: number) => {
    const unit = 2 ** Math.max(-1070, Math.min(1000, to - exponent));
    const share = 2 ** by;
    const gradient = gradientOf(m, { ...call, scale: scale * unit });
    return (direction: Value<B>) =>
      m.div(m.div(finished(m.mul(gradient, by === 0 ? direction : m.mul(direction, share))), unit), share);
  };
  // So that a product with the largest direction is in the range.
  const ways = [scaled(exponent < -mostExponent ? -8 : exponent, 0)];
  if (exponent > mostExponent) {
    const top = Math.round(Math.log2(largestFinite(m.dtype))) - 8;
    if (exponent > top) ways.push(scaled(top, 0));
    // Terms of a sum may overflow and cancel.
    if (result === 'rows') ways.push(scaled(top / 2, -top / 2));
  }
  return (direction) => ways.map((way) => way(direction)).reduce((product, next) => finiteOr(m, product, next));
}

/** `gradientTimes` of class indices without smoothing, whose weights multiply whole rows: the gradient without weights, and the weight of each row as in `curvatureAlong`. */
function weightedByRow<B>(
  m: Expressions<B>,
  call: TargetCall,
  result: 'entries' | 'rows',
  factor: Value<B>,
  { first, second, isLarge }: NonNullable<Totals<B>['powers']>,
): (direction: Value<B>) => Value<B> {
  const plain = gradientTimes(m, { ...call, weight: null, weightHost: null, scale: 1 }, result);
  const weighted = (v: Value<B>) => (result === 'rows' ? m.mul(plain(v), factor) : plain(m.mul(factor, v)));
  return (direction) => {
    const early = weighted(m.mul(m.mul(direction, first), second));
    const late = m.mul(m.mul(weighted(direction), first), second);
    const small = finiteOr(m, late, early);
    return isLarge === null ? small : m.select(isLarge, finiteOr(m, early, late), small);
  };
}

/**
 * The change of each row's loss along a tangent t, `⟨gradient, t⟩`. The gradient's rows add up to 0, whatever the target: the mean ⟨p, t⟩ is subtracted from
 * t, so that the gradient's rounding errors are multiplied by differences of tangents. The sum of these products is within three times the smallest that
 * any constant leaves, because half of the gradient's terms `p Σ q` and q is that of p.
 */
export function changeAlong<B>(m: Expressions<B>, call: TargetCall, tangent: Value<B>): Value<B> {
  const counted = (v: Value<B>) => whereCounted(m, call, v);
  const t = counted(m.keep(tangent, 0));
  const p = m.of(softmaxValue, counted(m.entries(call.x.buffer as B)));
  const along = gradientTimes(m, call, 'rows');
  // The differences of the largest numbers overflow.
  return finiteOr(m, along(m.sub(t, m.sum(m.mul(p, t)))), along(t));
}

/**
 * The change of the vjp along a tangent, `g Σq · p ⊙ (t − ⟨p, t⟩) / T²` times the scale of the reduction. Σq · scale may be far from 1 although the result is
 * not. The power of 2 in it then multiplies the cotangent, the tangent, both by halves, or the result: by a large one a direction may overflow, and by a small
 * one it may lose digits, which shows only if it multiplies the result.
 */
export function curvatureAlong<B>(
  m: Expressions<B>,
  call: TargetCall,
  cotangent: Value<B>,
  tangent: Value<B>,
): Value<B> {
  const counted = (v: Value<B>) => whereCounted(m, call, v);
  const x = counted(m.entries(call.x.buffer as B));
  const t = counted(tangent);
  const { factor, scale, powers } = targetTotals(m, call);
  // A constant is not rounded to the dtype.
  const g = scale === 1 ? cotangent : m.mul(cotangent, scale);
  const times = (v: Value<B>, by: readonly Value<B>[]) => by.reduce((product, power) => m.mul(product, power), v);
  const along = (ofCotangent: readonly Value<B>[], ofTangent: readonly Value<B>[]) =>
    m.of(logSumExpDefinition.hvp, x, m.mul(factor, times(g, ofCotangent)), times(t, ofTangent));
  if (powers === null) return counted(along([], []));
  const { first, second, isLarge } = powers;
  const apart = along([first], [second]);
  const late = times(along([], []), [first, second]);
  const small = finiteOr(m, late, apart);
  if (isLarge === null) return counted(small);
  const early = finiteOr(m, along([first, second], []), along([], [first, second]));
  return counted(m.select(isLarge, finiteOr(m, apart, finiteOr(m, early, late)), small));
}
