// The terms that the functions of the softmax family share, over the rows of their operand. They are written with the operations of an algebra, called m:
// how core composes a function from a backend's basis.

import { largestFinite } from '../tensor/dtype.js';
import { type Algebra, ordinaryExponent } from './algebra.js';
import type { Value } from './graph.js';

/** Products with numbers up to 2^±this leave the range only near its ends. */
export const mostExponent = 32;

/** log2 of a divisor's size. */
const exponentOf = (divisor: number): number => Math.log2(Math.abs(divisor));

/** a where it is finite, b elsewhere. */
export function finiteOr<B>(m: Algebra<B>, a: Value<B>, b: Value<B>): Value<B> {
  // a − a is 0 or NaN.
  return m.select(m.add(m.sub(a, a), 1), a, b);
}

/**
 * `product(a, b) / T²`, the product linear in both. At a small T both are divided first, because products of small directions underflow even
 * if the result does not; at a large T only where the product overflows. Elsewhere T² is one divisor, which takes one rounding less than T twice.
 */
export function productOverSquare<B>(
  m: Algebra<B>,
  product: (a: Value<B>, b: Value<B>) => Value<B>,
  a: Value<B>,
  b: Value<B>,
): Value<B> {
  const over = (v: Value<B>) => m.div(v, m.temperature);
  const exponent = exponentOf(m.temperature);
  if (Math.abs(exponent) <= mostExponent) return m.div(product(a, b), m.temperature ** 2);
  const late = () => over(over(product(a, b)));
  const early = product(over(a), over(b));
  return exponent < 0 ? finiteOr(m, early, late()) : finiteOr(m, late(), early);
}

/**
 * `product(v) / divisor`, the product linear in v. Products are divided late, unless that may leave the range: a small divisor divides v, because a
 * product with a small probability would lose digits that the division does not restore; a large one does where the product overflows. What v is
 * divided by is a power of 2, the rest divides the product: a quotient that is rounded would take the digits of differences beside a constant that
 * the entries of v have in common.
 */
export function quotientOf<B>(
  m: Algebra<B>,
  product: (v: Value<B>) => Value<B>,
  v: Value<B>,
  divisor: number,
): Value<B> {
  const late = () => m.div(product(v), divisor);
  const exponent = exponentOf(divisor);
  if (Math.abs(exponent) <= mostExponent) return late();
  const by = (power: number) => m.div(product(m.div(v, power)), divisor / power);
  if (exponent > 0) return finiteOr(m, late(), by(2 ** Math.min(Math.floor(exponent), 1023)));
  const early = by(2 ** Math.ceil(exponent));
  if (1 / Math.abs(divisor) <= largestFinite(m.dtype)) return finiteOr(m, early, late());
  // Where v over so small a divisor overflows, v itself may still be so small that the product loses digits.
  return finiteOr(m, early, finiteOr(m, by(2 ** Math.round(exponent / 2)), late()));
}

/**
 * Logits and a temperature near 1 with the quotients `(x − c) / T`, and the quotient of c, which is a constant of each row (null if it is 0 in all of
 * them). A kernel gives all digits of their exponentials; a quotient that is rounded here would not: half an ULP of 100 is 50 ULP of its exponential.
 *
 * x and T are multiplied by the same power of 2, which changes no digit: what underflows at a large T is far smaller than T. At a small T a row's
 * maximum may overflow, and is subtracted first where it is above 2^ordinaryExponent T. Logits that have a probability above 0 there are
 * equal to it, or in float16 within a factor of 2 of it, so that the difference is exact.
 */
export function nearOne<B>(
  m: Algebra<B>,
  x: Value<B>,
): {
  readonly logits: Value<B>;
  readonly temperature: number;
  readonly constant: Value<B> | null;
} {
  const size = Math.abs(m.temperature);
  // Rounded up: at a temperature up to 1, logits overflow only if their quotients do.
  const exponent = Math.max(-1023, Math.min(1023, Math.ceil(Math.log2(size))));
  const temperature = m.temperature / 2 ** exponent;
  const near = (v: Value<B>) => m.timesPower(v, -exponent);
  if (size > 1) return { logits: near(x), temperature, constant: null };
  const kept = signed(m, x);
  const maximum = finite(m, m.max(kept));
  const isLarge = m.sub(m.abs(maximum), size * 2 ** ordinaryExponent[m.dtype]);
  const subtracted = m.select(isLarge, maximum, 0);
  return {
    logits: near(m.sub(kept, subtracted)),
    temperature: Math.abs(temperature),
    constant: m.div(near(subtracted), Math.abs(temperature)),
  };
}

/**
 * The logits for a plain softmax: `x / T` where the mask keeps an entry, −Infinity elsewhere. Where T is not ±1 it is `(x − max) / T` instead,
 * because rounding x / T loses the difference of two logits: a constant does not change softmax and log-softmax.
 */
export function tempered<B>(m: Algebra<B>, x: Value<B>): Value<B> {
  if (Math.abs(m.temperature) === 1) return m.keep(m.div(x, m.temperature), Number.NEGATIVE_INFINITY);
  const kept = signed(m, x);
  return quotient(m, kept, m.max(kept));
}

/** `(x − maximum) / |T|`. If |T| > 1, both are halved first, because the quotient may be finite even if the difference overflows. */
export function quotient<B>(m: Algebra<B>, x: Value<B>, maximum: Value<B>): Value<B> {
  const size = Math.abs(m.temperature);
  if (size <= 1) return m.div(m.sub(x, maximum), size);
  return m.div(m.sub(m.mul(x, 0.5), m.mul(maximum, 0.5)), size / 2);
}

/** x times the sign of the temperature where the mask keeps an entry, −Infinity elsewhere. */
export function signed<B>(m: Algebra<B>, x: Value<B>): Value<B> {
  return m.keep(m.temperature < 0 ? m.neg(x) : x, Number.NEGATIVE_INFINITY);
}

/** x within the finite numbers: ±Infinity is the largest of them. */
export function finite<B>(m: Algebra<B>, x: Value<B>): Value<B> {
  const largest = largestFinite(m.dtype);
  return m.smaller(m.larger(x, -largest), largest);
}

/** Above 0 for a probability above ½. The bound is a little higher, because two that are near ½ may both be above it by their errors: a row has at most one. */
export function dominates<B>(m: Algebra<B>, p: Value<B>): Value<B> {
  return m.sub(p, 0.5 + 2 ** -10);
}

/** `1 − p` of a row's probabilities. For a p above ½ it is the sum of the others, because the subtraction would cancel. */
export function complement<B>(m: Algebra<B>, p: Value<B>): Value<B> {
  const top = dominates(m, p);
  return m.select(top, m.sum(m.select(top, 0, p)), m.sub(1, p));
}

/**
 * The Jacobian of softmax at a small temperature, from probabilities over √T, whose products lose digits only if the result does. A probability of 1 over it
 * is finite, because an infinite product with 0 would be NaN.
 */
export function jacobianOfSmallTemperature<B>(m: Algebra<B>, s: Value<B>): Value<B> {
  const least = 1 - Math.ceil(exponentOf(largestFinite(m.dtype)));
  const root = 2 ** Math.max(least, Math.ceil(exponentOf(m.temperature) / 2));
  const over = (p: Value<B>) => m.columns(m.div(p, root));
  const column = over(s);
  const beside = m.neg(m.mul(column, m.transposed(column)));
  const diagonal = m.mul(column, over(complement(m, s)));
  return m.div(m.select(m.identity(), diagonal, m.add(beside, 0)), m.temperature / root / root);
}

/**
 * A direction v with a constant subtracted from its rows, which does not change derivatives of softmax, and its mean: `v − v*` and
 * `⟨p, v − v*⟩`, where v* is v at the largest probability (the largest such entry if there are several), if that probability is above ½
 * or this mean smaller than ⟨p, v⟩; otherwise v and `⟨p, v⟩`. v* keeps the digits of a nearly one-hot row, whose terms are of size |v| and
 * results of size 1 − p, and of rows that have a large constant in common. But if only v* is not 0, and its probability is small, subtracting it
 * takes the digits of all others. The choice is within three times the rounding error of the better one, because |v*| is at most the sum of
 * both means.
 */
function moved<B>(m: Algebra<B>, p: Value<B>, v: Value<B>): { readonly entries: Value<B>; readonly mean: Value<B> } {
  const largest = m.max(p);
  const atLargest = m.max(m.select(m.sub(largest, p), -largestFinite(m.dtype), v));
  const moved = m.sub(v, atLargest);
  const ofMoved = m.sum(m.mul(p, moved));
  const mean = m.sum(m.mul(p, v));
  const isMoved = m.larger(dominates(m, largest), m.sub(m.abs(mean), m.abs(ofMoved)));
  return { entries: m.select(isMoved, moved, v), mean: m.select(isMoved, ofMoved, mean) };
}

/** v without a constant that its entries have in common: it does not change derivatives of softmax, but costs digits of the differences. */
export function withoutOffset<B>(m: Algebra<B>, p: Value<B>, v: Value<B>): Value<B> {
  return moved(m, p, v).entries;
}

/** `v − ⟨p, v⟩` over each row. */
export function centred<B>(m: Algebra<B>, p: Value<B>, v: Value<B>): Value<B> {
  const { entries, mean } = moved(m, p, v);
  return m.sub(entries, mean);
}
