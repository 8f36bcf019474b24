import { type Backend, softmax, type Tensor, tensor } from 'softgrad';
import { entry } from '../entry.js';

/** Row-major arrays of (heads, positions, width). */
export interface Sizes {
  readonly heads: number;
  readonly positions: number;
  readonly width: number;
}

export interface Inputs {
  readonly queries: Float64Array;
  readonly keys: Float64Array;
  readonly values: Float64Array;
}

/** What the backward pass needs of the forward pass. */
export interface Attention extends Disposable {
  readonly output: Float64Array;
  /** (heads, positions, positions). The tensor that softmax returned, which remembers its mask. */
  readonly probabilities: Tensor<'float64'>;
}

/** True where position t may look at position u: u ≤ t. It broadcasts to all heads. */
export function causalMask({ positions }: Pick<Sizes, 'positions'>): boolean[][] {
  return Array.from({ length: positions }, (_, t) => Array.from({ length: positions }, (_, u) => u <= t));
}

/**
 * Causal scaled dot-product attention, `softmax(Q Kᵀ / √d + mask) V` for each head (Vaswani et al., "Attention Is All You Need", 2017,
 * section 3.2): one softmax with its mask for all heads, on a backend, and the matrix products in plain loops.
 */
export async function attend({ queries, keys, values }: Inputs, sizes: Sizes, backend: Backend): Promise<Attention> {
  const { heads, positions: n, width: d } = sizes;
  const scores = productWithTransposed(heads, queries, keys, n, d, n).map((score) => score / Math.sqrt(d));
  using logits = tensor(scores, { shape: [heads, n, n], backend });
  const probabilities = softmax(logits, { mask: causalMask(sizes) });
  const output = product(heads, await probabilities.data(), values, n, n, d);
  return { output, probabilities, [Symbol.dispose]: () => probabilities.dispose() };
}

/** The gradients of Q, K and V from that of the output. The vjp uses the mask of the forward pass: masked scores have gradient 0. */
export async function attendBackward(
  { queries, keys, values }: Inputs,
  { probabilities: s }: Attention,
  upstream: Float64Array,
  { heads, positions: n, width: d }: Sizes,
): Promise<Inputs> {
  using g = tensor(productWithTransposed(heads, upstream, values, n, d, n), { shape: s.shape, backend: s.backend });
  using throughSoftmax = softmax.vjp(s, g);
  const scores = (await throughSoftmax.data()).map((slope) => slope / Math.sqrt(d));
  return {
    queries: product(heads, scores, keys, n, n, d),
    keys: transposedProduct(heads, scores, queries, n, n, d),
    values: transposedProduct(heads, await s.data(), upstream, n, n, d),
  };
}

/** a b of each head, a is n × k, b is k × m. */
function product(heads: number, a: Float64Array, b: Float64Array, n: number, k: number, m: number): Float64Array {
  return matrices(heads, n, m, k, (h, r, c, i) => entry(a, (h * n + r) * k + i) * entry(b, (h * k + i) * m + c));
}

/** a bᵀ of each head, a is n × k, b is m × k. */
function productWithTransposed(
  heads: number,
  a: Float64Array,
  b: Float64Array,
  n: number,
  k: number,
  m: number,
): Float64Array {
  return matrices(heads, n, m, k, (h, r, c, i) => entry(a, (h * n + r) * k + i) * entry(b, (h * m + c) * k + i));
}

/** aᵀ b of each head, a is k × n, b is k × m. */
function transposedProduct(
  heads: number,
  a: Float64Array,
  b: Float64Array,
  k: number,
  n: number,
  m: number,
): Float64Array {
  return matrices(heads, n, m, k, (h, r, c, i) => entry(a, (h * k + i) * n + r) * entry(b, (h * k + i) * m + c));
}

function matrices(
  heads: number,
  n: number,
  m: number,
  k: number,
  term: (head: number, row: number, column: number, i: number) => number,
): Float64Array {
  return Float64Array.from({ length: heads * n * m }, (_, at) => {
    const [head, row] = [Math.floor(at / (n * m)), Math.floor(at / m) % n];
    let sum = 0;
    for (let i = 0; i < k; i++) sum += term(head, row, at % m, i);
    return sum;
  });
}
