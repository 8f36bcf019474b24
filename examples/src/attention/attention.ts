import { type Backend, softmax, tensor } from 'softgrad';
import { entry } from '../entry.js';

/** Row-major matrices of one head: n positions of width d. */
export interface Sizes {
  readonly positions: number;
  readonly width: number;
}

export interface Inputs {
  readonly queries: Float64Array;
  readonly keys: Float64Array;
  readonly values: Float64Array;
}

/** What the backward pass needs of the forward pass. */
export interface Attention {
  readonly output: Float64Array;
  readonly probabilities: Float64Array;
}

/** True where position t may look at position u: u ≤ t. */
export function causalMask({ positions }: Sizes): boolean[][] {
  return Array.from({ length: positions }, (_, t) => Array.from({ length: positions }, (_, u) => u <= t));
}

/**
 * Causal scaled dot-product attention, `softmax(Q Kᵀ / √d + mask) V` (Vaswani et al., "Attention Is All You Need", 2017,
 * section 3.2.1): the softmax with its mask on a backend, the matrix products in plain loops.
 */
export async function attend({ queries, keys, values }: Inputs, sizes: Sizes, backend: Backend): Promise<Attention> {
  const { positions: n, width: d } = sizes;
  const scores = productWithTransposed(queries, keys, n, d, n).map((score) => score / Math.sqrt(d));
  using logits = tensor(scores, { shape: [n, n], dtype: 'float64', backend });
  using s = softmax(logits, { mask: causalMask(sizes) });
  const probabilities = Float64Array.from(await s.data());
  return { output: product(probabilities, values, n, n, d), probabilities };
}

/** The gradients of Q, K and V from that of the output. Masked probabilities are 0, so their gradient is too. */
export async function attendBackward(
  { queries, keys, values }: Inputs,
  { probabilities }: Attention,
  upstream: Float64Array,
  { positions: n, width: d }: Sizes,
  backend: Backend,
): Promise<Inputs> {
  const on = { shape: [n, n], dtype: 'float64', backend } as const;
  using s = tensor(probabilities, on);
  using g = tensor(productWithTransposed(upstream, values, n, d, n), on);
  using throughSoftmax = softmax.vjp(s, g);
  const scores = Float64Array.from(await throughSoftmax.data(), (slope) => slope / Math.sqrt(d));
  return {
    queries: product(scores, keys, n, n, d),
    keys: transposedProduct(scores, queries, n, n, d),
    values: transposedProduct(probabilities, upstream, n, n, d),
  };
}

/** a b, a is n × k, b is k × m. */
function product(a: Float64Array, b: Float64Array, n: number, k: number, m: number): Float64Array {
  return matrix(n, m, k, (r, c, i) => entry(a, r * k + i) * entry(b, i * m + c));
}

/** a bᵀ, a is n × k, b is m × k. */
function productWithTransposed(a: Float64Array, b: Float64Array, n: number, k: number, m: number): Float64Array {
  return matrix(n, m, k, (r, c, i) => entry(a, r * k + i) * entry(b, c * k + i));
}

/** aᵀ b, a is k × n, b is k × m. */
function transposedProduct(a: Float64Array, b: Float64Array, k: number, n: number, m: number): Float64Array {
  return matrix(n, m, k, (r, c, i) => entry(a, i * n + r) * entry(b, i * m + c));
}

function matrix(n: number, m: number, k: number, term: (r: number, c: number, i: number) => number): Float64Array {
  return Float64Array.from({ length: n * m }, (_, at) => {
    let sum = 0;
    for (let i = 0; i < k; i++) sum += term(Math.floor(at / m), at % m, i);
    return sum;
  });
}
