import { type FloatDType, hostArray } from '../tensor/dtype.js';
import { keeps } from '../tensor/mask.js';
import { broadcast, Graph, isValue, operandOf, sameExtent, size, type Term, type Value } from './graph.js';
import type { Basis, BinaryOp, Extent, ReduceOp, UnaryOp } from './interface.js';

/** Divisors between 2^±this need no splitting: the divisor and its reciprocal are far from the ends of the range. */
export const ordinaryExponent = { float16: 8, float32: 64, float64: 512 } as const satisfies Record<FloatDType, number>;

/**
 * The elementary operations of expressions, each by one call of the backend's basis.
 *
 * Operands broadcast: a value with one number per row (a sum, a maximum) can be combined with one that has a number per entry.
 *
 * @example
 * const z = m.sub(x, m.max(x)); // logSoftmax
 * m.assign(out, m.sub(z, m.log(m.sum(m.exp(z)))));
 */
export abstract class Algebra<B> extends Graph<B> {
  /** The backend's basis. @throws ERR_UNSUPPORTED if it has none */
  protected abstract basis(): Basis<B>;

  neg(x: Value<B>): Value<B> {
    return this.#unary('neg', x);
  }

  exp(x: Value<B>): Value<B> {
    return this.#unary('exp', x);
  }

  log(x: Value<B>): Value<B> {
    return this.#unary('log', x);
  }

  abs(x: Value<B>): Value<B> {
    return this.larger(x, this.neg(x));
  }

  add(a: Term<B>, b: Term<B>): Value<B> {
    return this.#binary('add', a, b);
  }

  sub(a: Term<B>, b: Term<B>): Value<B> {
    return this.#binary('sub', a, b);
  }

  mul(a: Term<B>, b: Term<B>): Value<B> {
    return this.#binary('mul', a, b);
  }

  /** `a / b`; a itself for the constant 1. A constant is split into several divisors if the dtype cannot represent it or its reciprocal. */
  div(a: Value<B>, b: Term<B>): Value<B> {
    if (b === 1) return a;
    if (typeof b !== 'number') return this.#binary('div', a, b);
    return factorsOf(b, this.dtype).reduce<Value<B>>((quotient, factor) => this.#binary('div', quotient, factor), a);
  }

  /** `a · 2^exponent`, exact unless it leaves the range. Unlike quotients, products are rounded correctly on every device. */
  timesPower(a: Value<B>, exponent: number): Value<B> {
    return factorsOf(2 ** exponent, this.dtype).reduce<Value<B>>(
      (product, factor) => this.#binary('mul', product, factor),
      a,
    );
  }

  /** The larger of two, element by element. */
  larger(a: Term<B>, b: Term<B>): Value<B> {
    return this.#binary('max', a, b);
  }

  /** The smaller of two, element by element. */
  smaller(a: Term<B>, b: Term<B>): Value<B> {
    return this.#binary('min', a, b);
  }

  /** `condition > 0 ? a : b`, element by element. */
  select(condition: Value<B>, a: Term<B>, b: Term<B>): Value<B> {
    const extent = broadcast([condition, a, b]);
    return this.computed(extent, [condition, a, b].filter(isValue), (out, buffers) => {
      const next = buffers.values();
      const operand = (term: Term<B>) => operandOf(term, next);
      this.basis().select(out, operand(condition), operand(a), operand(b), extent);
    });
  }

  /** The sum of each row. */
  sum(x: Value<B>): Value<B> {
    return this.#reduce('sum', x);
  }

  /** The maximum of each row. */
  max(x: Value<B>): Value<B> {
    return this.#reduce('max', x);
  }

  /** x where the mask keeps an entry, `otherwise` elsewhere; x itself without a mask. */
  keep(x: Value<B>, otherwise: number): Value<B> {
    const mask = this.context.mask;
    if (mask === null) return x;
    const { outer, classes, inner } = this.rows;
    const block = mask.outer * classes * inner;
    const extent: Extent = [outer / mask.outer, 1, block];
    return this.computed(x.extent, [x], (out, [buffer]) => {
      const condition = { buffer: mask.buffer, extent: [1, 1, block] } as const;
      this.basis().select(out, condition, { buffer, extent }, otherwise, extent);
    });
  }

  /** The rows one after the other in (outer, inner) order, each as the column of a matrix: extent (rows, classes, 1). */
  columns(x: Value<B>): Value<B> {
    const { outer, classes, inner } = this.rows;
    const extent: Extent = [outer * inner, classes, 1];
    if (inner === 1) return { extent, node: x.node };
    return this.computed(extent, [x], (out, [buffer]) => this.basis().transpose(out, buffer, this.rows));
  }

  /** The transpose of `columns`: extent (rows, 1, classes). */
  transposed({ extent: [count, classes], node }: Value<B>): Value<B> {
    return { extent: [count, 1, classes], node };
  }

  /** The identity matrix, extent (1, classes, classes). */
  identity(): Value<B> {
    const { classes } = this.rows;
    const identity = hostArray(classes * classes, this.dtype);
    for (let k = 0; k < classes; k++) identity[k * (classes + 1)] = 1;
    return this.host(identity, [1, classes, classes]);
  }

  /** Matrices whose masked rows and columns are set to 0; the matrices themselves without a mask. */
  keepMatrices(matrices: Value<B>): Value<B> {
    const { mask } = this.context;
    if (mask === null) return matrices;
    const { outer, classes, inner } = this.rows;
    const keep = hostArray(outer * classes * inner, 'bool');
    for (let o = 0, n = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        for (let c = 0; c < classes; c++) keep[n++] = keeps(mask, this.rows, o, c, i) ? 1 : 0;
      }
    }
    const kept = this.host(keep, [outer * inner, classes, 1], 'bool');
    return this.select(this.transposed(kept), this.select(kept, matrices, 0), 0);
  }

  #unary(op: UnaryOp, x: Value<B>): Value<B> {
    return this.computed(x.extent, [x], (out, [buffer]) => this.basis().unary(out, op, buffer, x.node.length), {
      rounds: !isExact.has(op),
    });
  }

  #binary(op: BinaryOp, a: Term<B>, b: Term<B>): Value<B> {
    const extent = broadcast([a, b]);
    const write = (out: B, buffers: readonly B[]) => {
      const next = buffers.values();
      // Operands of one extent need no broadcasting: they are as good as flat.
      const isFlat = [a, b].every((term) => typeof term === 'number' || sameExtent(term.extent, extent));
      const as: Extent | undefined = isFlat ? [1, 1, size(extent)] : undefined;
      this.basis().binary(out, op, operandOf(a, next, as), operandOf(b, next, as), as ?? extent);
    };
    return this.computed(extent, [a, b].filter(isValue), write, { rounds: !isExact.has(op) });
  }

  #reduce(op: ReduceOp, x: Value<B>): Value<B> {
    const { rows } = this;
    const write = (out: B, [buffer]: readonly [B]) => this.basis().reduce(out, op, buffer, rows);
    return this.computed([rows.outer, 1, rows.inner], [x], write, { rounds: !isExact.has(op) });
  }
}

/** The operations whose result is one of their operands or its opposite. */
const isExact: ReadonlySet<UnaryOp | BinaryOp | ReduceOp> = new Set(['neg', 'max', 'min']);

/** Factors of a divisor. Dividing by them one after the other overflows or underflows only if the final quotient does. */
function factorsOf(divisor: number, dtype: FloatDType): readonly number[] {
  const most = ordinaryExponent[dtype];
  const factors: number[] = [];
  let rest = divisor;
  // Five factors exceed the whole range of the dtype, so that further ones would not change the quotient.
  while (factors.length < 5 && !(Math.abs(rest) >= 2 ** -most && Math.abs(rest) <= 2 ** most)) {
    const factor = Math.abs(rest) > 1 ? 2 ** most : 2 ** -most;
    factors.push(factor);
    rest /= factor;
  }
  return [...factors, Math.sign(rest) * Math.min(2 ** most, Math.max(2 ** -most, Math.abs(rest)))];
}
