import { SoftgradError } from '../errors.js';
import { type DType, type FloatDType, type HostArray, hostArray, largestFinite } from '../tensor/dtype.js';
import { keeps, type Mask } from '../tensor/mask.js';
import { allocate } from '../tensor/tensor.js';
import type { Backend, Basis, BinaryOp, Extent, Operand, Rows, UnaryOp } from './interface.js';

/** A value of an expression: elements that are computed when they are needed, or a constant. */
export type Term<B> = Value<B> | number;

/** Elements of an expression, `extent` of them. */
export interface Value<B> {
  readonly extent: Extent;
  readonly node: Node<B>;
}

/** How elements come about. */
interface Node<B> {
  readonly length: number;
  readonly dtype: DType;
  readonly operands: readonly Node<B>[];
  /** Enqueues what writes the elements; null for those that were given. */
  readonly write: ((out: B, operands: readonly B[]) => void) | null;
  /** Where the elements are, once they are anywhere. */
  buffer: B | null;
  /** How many values are computed from this one and have not been yet. */
  uses: number;
}

/** The buffers of operands, one for each. */
type Buffers<B, V extends readonly Value<B>[]> = { readonly [K in keyof V]: B };

/** What expressions are over. */
export interface AlgebraContext<B> {
  readonly backend: Backend<B>;
  /** The backend's basis. @throws ERR_UNSUPPORTED where there is none */
  basis(): Basis<B>;
  readonly rows: Rows;
  readonly dtype: FloatDType;
  readonly temperature: number;
  readonly mask: Mask<B> | null;
}

/** Terms of the series of artanh(z) / z for z ≤ 1/5: the first one left out is below half an ULP. */
const artanhTerms = { float16: 3, float32: 5, float64: 11 } as const satisfies Record<FloatDType, number>;

/** Exponents of 2 between which a constant is divided by as it is: its reciprocal and a product with it are normal numbers. */
const ordinaryExponent = { float16: 8, float32: 64, float64: 512 } as const satisfies Record<FloatDType, number>;

/** Parameters of a plain call. */
export const plain = Object.freeze({ temperature: 1, mask: null });

/**
 * Expressions over the rows of an operand: how core composes an operation from a backend's basis. A method gives the value of one
 * operation; nothing is enqueued until `assign`, which writes a value into a buffer. What is computed in between lives in
 * buffers that are freed as soon as nothing needs them any more.
 *
 * Operands broadcast: a value of one number a row (a sum, a maximum) goes with one of a number an entry.
 *
 * @example
 * const z = m.sub(x, m.max(x)); // logSoftmax
 * m.assign(out, m.sub(z, m.log(m.sum(m.exp(z)))));
 */
export class Algebra<B> {
  readonly rows: Rows;
  /** What the logits are divided by. */
  readonly temperature: number;
  readonly dtype: FloatDType;
  readonly #context: AlgebraContext<B>;
  readonly #made = new Set<B>();

  constructor(context: AlgebraContext<B>) {
    this.#context = context;
    this.rows = context.rows;
    this.temperature = context.temperature;
    this.dtype = context.dtype;
  }

  /** One number for each entry of the rows. */
  entries(buffer: B): Value<B> {
    const { outer, classes, inner } = this.rows;
    return this.given(buffer, [outer, classes, inner]);
  }

  /** One number for each row. */
  byRow(buffer: B): Value<B> {
    return this.given(buffer, [this.rows.outer, 1, this.rows.inner]);
  }

  given(buffer: B, extent: Extent): Value<B> {
    const node = { length: size(extent), dtype: this.dtype, operands: [], write: null, buffer, uses: 0 };
    return { extent, node };
  }

  /** Numbers from the host. */
  host(data: HostArray, extent: Extent, dtype: DType = this.dtype): Value<B> {
    return this.#value(extent, [], (out) => this.#context.backend.write(out, data), dtype);
  }

  /** What a kernel writes, or whatever else `write` enqueues. */
  computed<const V extends readonly Value<B>[]>(
    extent: Extent,
    operands: V,
    write: (out: B, operands: Buffers<B, V>) => void,
  ): Value<B> {
    return this.#value(extent, operands, write, this.dtype);
  }

  neg(x: Value<B>): Value<B> {
    return this.#unary('neg', x);
  }

  exp(x: Value<B>): Value<B> {
    return this.#unary('exp', x);
  }

  log(x: Value<B>): Value<B> {
    return this.#unary('log', x);
  }

  /**
   * `log(1 + x)` for x ≥ 0, and −Infinity for −1. A backend's log has an absolute error near 1 (in WGSL 2⁻²¹), and 1 + x drops the digits
   * of a small x: up to ½ it is `2 artanh(x / (2 + x))` by its series `2 z (1 + z²/3 + z⁴/5 + …)`, whose z is at most 1/5.
   */
  log1p(x: Value<B>): Value<B> {
    const z = this.div(x, this.add(x, 2));
    const square = this.mul(z, z);
    const last = 2 * artanhTerms[this.dtype] - 1;
    let series = this.mul(square, 1 / last);
    for (let k = last - 2; k > 1; k -= 2) series = this.mul(square, this.add(series, 1 / k));
    const twice = this.add(z, z);
    const isSmall = this.mul(x, this.sub(0.5, x));
    return this.select(isSmall, this.add(twice, this.mul(twice, series)), this.log(this.add(x, 1)));
  }

  /**
   * Σ exp(x) − 1 over each row of logits from which the row's maximum is taken off: the exponentials of all entries but one that is 0.
   * The sum itself would drop the digits of small ones. An entry of +Infinity makes it +Infinity, a NaN makes it NaN.
   */
  sumOfOthers(x: Value<B>): Value<B> {
    const isLargest = this.add(x, this.dtype === 'float16' ? 2 ** -14 : 2 ** -100);
    const largest = this.sum(this.select(isLargest, 1, 0));
    return this.add(this.sum(this.select(isLargest, x, this.exp(x))), this.sub(largest, 1));
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

  /** `a / b`; a itself for the constant 1. A constant that the dtype cannot hold, or whose reciprocal it cannot, is divided by in steps. */
  div(a: Value<B>, b: Term<B>): Value<B> {
    if (b === 1) return a;
    if (typeof b !== 'number') return this.#binary('div', a, b);
    return factorsOf(b, this.dtype).reduce<Value<B>>((quotient, factor) => this.#binary('div', quotient, factor), a);
  }

  /** `a / T²`. T² itself may be too large or too small to be held. */
  overSquare(a: Value<B>): Value<B> {
    return this.div(this.div(a, this.temperature), this.temperature);
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
    return this.#value(extent, [condition, a, b].filter(isValue), (out, buffers) => {
      const next = buffers.values();
      const operand = (term: Term<B>) => operandOf(term, next);
      this.#context.basis().select(out, operand(condition), operand(a), operand(b), extent);
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

  /** The sum of all elements. */
  total(x: Value<B>): Value<B> {
    const rows = { outer: 1, classes: x.node.length, inner: 1 };
    return this.#value([1, 1, 1], [x], (out, [buffer]) => this.#context.basis().reduce(out, 'sum', buffer, rows));
  }

  /** x where the mask keeps, `otherwise` elsewhere; x itself without a mask. */
  keep(x: Value<B>, otherwise: number): Value<B> {
    const mask = this.#context.mask;
    if (mask === null) return x;
    const { outer, classes, inner } = this.rows;
    const block = mask.outer * classes * inner;
    const extent: Extent = [outer / mask.outer, 1, block];
    return this.#value(x.extent, [x], (out, [buffer]) => {
      const condition = { buffer: mask.buffer, extent: [1, 1, block] } as const;
      this.#context.basis().select(out, condition, { buffer, extent }, otherwise, extent);
    });
  }

  /** The rows one after the other in (outer, inner) order, each as the column of a matrix: extent (rows, classes, 1). */
  columns(x: Value<B>): Value<B> {
    const { outer, classes, inner } = this.rows;
    const extent: Extent = [outer * inner, classes, 1];
    if (inner === 1) return { extent, node: x.node };
    return this.computed(extent, [x], (out, [buffer]) => this.#context.basis().transpose(out, buffer, this.rows));
  }

  /** The transposed of `columns`: extent (rows, 1, classes). */
  transposed({ extent: [count, classes], node }: Value<B>): Value<B> {
    return { extent: [count, 1, classes], node };
  }

  /** One row a matrix. */
  identity(): Value<B> {
    const { classes } = this.rows;
    const identity = hostArray(classes * classes, this.dtype);
    for (let k = 0; k < classes; k++) identity[k * (classes + 1)] = 1;
    return this.host(identity, [1, classes, classes]);
  }

  /** Matrices with what the mask takes out of their rows set to 0; the matrices themselves without a mask. */
  keepMatrixRows(matrices: Value<B>): Value<B> {
    const kept = this.#keptColumns();
    return kept === null ? matrices : this.select(kept, matrices, 0);
  }

  /** The same for rows and columns. */
  keepMatrices(matrices: Value<B>): Value<B> {
    const kept = this.#keptColumns();
    return kept === null ? matrices : this.select(this.transposed(kept), this.select(kept, matrices, 0), 0);
  }

  /** The mask in the form of `columns`. */
  #keptColumns(): Value<B> | null {
    const { mask } = this.#context;
    if (mask === null) return null;
    const { outer, classes, inner } = this.rows;
    const keep = hostArray(outer * classes * inner, 'bool');
    for (let o = 0, n = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        for (let c = 0; c < classes; c++) keep[n++] = keeps(mask, this.rows, o, c, i) ? 1 : 0;
      }
    }
    return this.host(keep, [outer * inner, classes, 1], 'bool');
  }

  /**
   * The logits of a plain softmax: `x / T` where the mask keeps, −Infinity elsewhere. Where x / T may overflow, or T is so large that
   * x / T loses the difference of two logits, it is `(x − max) / T`: softmax and log-softmax do not change by a constant.
   */
  tempered(x: Value<B>): Value<B> {
    if (!this.#shiftsFirst) return this.keep(this.div(x, this.temperature), Number.NEGATIVE_INFINITY);
    const kept = this.#signed(x);
    return this.#quotient(kept, this.max(kept));
  }

  /**
   * The row's maximum of `x / T` over what the mask keeps, and `x / T` less it. The maximum is kept finite, so that +Infinity and rows of
   * nothing but −Infinity come out of a log-sum-exp as in SciPy.
   */
  shifted(x: Value<B>): { readonly maximum: Value<B>; readonly difference: Value<B> } {
    if (!this.#shiftsFirst) {
      const tempered = this.tempered(x);
      const maximum = this.#finite(this.max(tempered));
      return { maximum, difference: this.sub(tempered, maximum) };
    }
    const kept = this.#signed(x);
    const maximum = this.#finite(this.max(kept));
    return { maximum: this.div(maximum, Math.abs(this.temperature)), difference: this.#quotient(kept, maximum) };
  }

  /**
   * Σ q (max − x / T) over each row, max that of x / T, q as large as a target's weights: finite where it can be held, even if x / T − max
   * cannot. A logit of −Infinity, or one masked out, adds nothing where q is 0.
   */
  expectedGap(q: Value<B>, x: Value<B>): Value<B> {
    const size = Math.abs(this.temperature);
    // Beyond the ordinary temperatures halves would lose digits of subnormal numbers, and prevent no overflow.
    const unit = size < 2 ** -ordinaryExponent[this.dtype] ? 1 : 0.5;
    const scaled = this.#signed(unit === 1 ? x : this.mul(x, unit));
    const gap = this.keep(this.sub(this.max(scaled), scaled), Number.POSITIVE_INFINITY);
    // 0 · Infinity would be NaN; a NaN in q stays one.
    const finite = this.select(this.mul(q, q), gap, this.smaller(gap, largestFinite(this.dtype)));
    return this.div(this.sum(this.mul(q, finite)), size * unit);
  }

  /** `(x − maximum) / |T|`, by way of halves where T is so large that the quotient may be finite though the difference is not. */
  #quotient(x: Value<B>, maximum: Value<B>): Value<B> {
    const size = Math.abs(this.temperature);
    if (size < 1) return this.div(this.sub(x, maximum), size);
    return this.div(this.sub(this.mul(x, 0.5), this.mul(maximum, 0.5)), size / 2);
  }

  get #shiftsFirst(): boolean {
    const size = Math.abs(this.temperature);
    return size < 1 || size > 2 ** ordinaryExponent[this.dtype];
  }

  /** x with the sign of the temperature where the mask keeps, −Infinity elsewhere. */
  #signed(x: Value<B>): Value<B> {
    return this.keep(this.temperature < 0 ? this.neg(x) : x, Number.NEGATIVE_INFINITY);
  }

  #finite(x: Value<B>): Value<B> {
    const largest = largestFinite(this.dtype);
    return this.smaller(this.larger(x, -largest), largest);
  }

  /** The plain softmax, which every backend has. */
  softmax(x: Value<B>): Value<B> {
    return this.computed(x.extent, [x], (out, [logits]) =>
      this.#required('softmax', this.#context.backend.softmax(out, logits, this.rows, plain)),
    );
  }

  /** Above 0 for a probability above ½, of which a row has one at most. */
  dominates(p: Value<B>): Value<B> {
    return this.sub(p, 0.5);
  }

  /** `1 − p` of a row's probabilities: for one above ½ the sum of the others, because the difference would cancel. */
  complement(p: Value<B>): Value<B> {
    const top = this.dominates(p);
    return this.select(top, this.sum(this.select(top, 0, p)), this.sub(1, p));
  }

  /** The plain Jacobian of softmax, extent (rows, classes, classes). */
  jacobian(s: Value<B>): Value<B> {
    const { outer, classes, inner } = this.rows;
    return this.computed([outer * inner, classes, classes], [s], (out, [probabilities]) =>
      this.#required('jacobian', this.#context.backend.jacobian(out, probabilities, this.rows, plain)),
    );
  }

  /** The plain vjp of softmax. */
  vjp(s: Value<B>, g: Value<B>): Value<B> {
    return this.computed(s.extent, [s, g], (out, [probabilities, cotangent]) =>
      this.#required('vjp', this.#context.backend.vjp(out, probabilities, cotangent, this.rows, plain)),
    );
  }

  /**
   * v less its entry at the largest probability of the row (the largest of them where several are). Derivatives of softmax do not change
   * by it, and in a nearly one-hot row they lose their digits without it: their terms are of size |v|, they themselves of size 1 − p.
   */
  fromLargest(p: Value<B>, v: Value<B>): Value<B> {
    return this.sub(v, this.max(this.select(this.sub(this.max(p), p), -largestFinite(this.dtype), v)));
  }

  /** `v − ⟨p, v⟩` over each row. */
  centred(p: Value<B>, v: Value<B>): Value<B> {
    const moved = this.fromLargest(p, v);
    return this.sub(moved, this.sum(this.mul(p, moved)));
  }

  #required(kernel: string, result: void | false): void {
    if (result !== false) return;
    const { backend } = this.#context;
    throw new SoftgradError('ERR_UNSUPPORTED', `${backend.name} declines ${kernel} at temperature 1 without a mask`);
  }

  /** Computes a value into a buffer, which may be one that the expression was given: nothing reads it afterwards. */
  assign(out: B, { node }: Value<B>): void {
    if (node.write === null) throw new Error('an expression that is one of its operands can’t be assigned');
    node.write(out, this.#buffers(node));
    this.#release(node);
  }

  /** Frees what is left of expressions that were made and not assigned, or that failed. */
  end(): void {
    for (const buffer of this.#made) this.#context.backend.free(buffer);
    this.#made.clear();
  }

  #unary(op: UnaryOp, x: Value<B>): Value<B> {
    return this.#value(x.extent, [x], (out, [buffer]) => this.#context.basis().unary(out, op, buffer, x.node.length));
  }

  #binary(op: BinaryOp, a: Term<B>, b: Term<B>): Value<B> {
    const extent = broadcast([a, b]);
    return this.#value(extent, [a, b].filter(isValue), (out, buffers) => {
      const next = buffers.values();
      // Operands of one extent need no broadcasting: they are as good as flat.
      const isFlat = [a, b].every((term) => typeof term === 'number' || sameExtent(term.extent, extent));
      const as: Extent | undefined = isFlat ? [1, 1, size(extent)] : undefined;
      this.#context.basis().binary(out, op, operandOf(a, next, as), operandOf(b, next, as), as ?? extent);
    });
  }

  #reduce(op: 'sum' | 'max', x: Value<B>): Value<B> {
    const { rows } = this;
    return this.#value([rows.outer, 1, rows.inner], [x], (out, [buffer]) =>
      this.#context.basis().reduce(out, op, buffer, rows),
    );
  }

  #value<const V extends readonly Value<B>[]>(
    extent: Extent,
    operands: V,
    write: (out: B, operands: Buffers<B, V>) => void,
    dtype: DType = this.dtype,
  ): Value<B> {
    const nodes = operands.map(({ node }) => node);
    for (const node of nodes) node.uses++;
    const length = size(extent);
    // `#buffers` gives as many as there are operands.
    const writes = write as Node<B>['write'];
    return { extent, node: { length, dtype, operands: nodes, write: writes, buffer: null, uses: 0 } };
  }

  /** The buffers of a node's operands, computed where they have not been. */
  #buffers({ operands }: Node<B>): readonly B[] {
    return operands.map((operand) => {
      if (operand.buffer !== null || operand.write === null) return operand.buffer as B;
      const buffers = this.#buffers(operand);
      const buffer = allocate(this.#context.backend, operand.length, operand.dtype);
      this.#made.add(buffer);
      operand.write(buffer, buffers);
      operand.buffer = buffer;
      this.#release(operand);
      return buffer;
    });
  }

  /** A node is computed: its operands have one use less. */
  #release({ operands }: Node<B>): void {
    for (const operand of operands) {
      operand.uses--;
      if (operand.uses > 0 || operand.buffer === null || !this.#made.delete(operand.buffer)) continue;
      this.#context.backend.free(operand.buffer);
      operand.buffer = null;
    }
  }
}

/** Factors of a divisor that a dtype can divide by one after the other without leaving its range before the quotient does. */
function factorsOf(divisor: number, dtype: FloatDType): readonly number[] {
  const most = ordinaryExponent[dtype];
  const factors: number[] = [];
  let rest = divisor;
  // A power of 2 that no quotient of two numbers of the dtype gets back from is as good as any beyond it.
  while (factors.length < 5 && !(Math.abs(rest) >= 2 ** -most && Math.abs(rest) <= 2 ** most)) {
    const factor = Math.abs(rest) > 1 ? 2 ** most : 2 ** -most;
    factors.push(factor);
    rest /= factor;
  }
  return [...factors, Math.sign(rest) * Math.min(2 ** most, Math.max(2 ** -most, Math.abs(rest)))];
}

function isValue<B>(term: Term<B>): term is Value<B> {
  return typeof term !== 'number';
}

function operandOf<B>(term: Term<B>, next: Iterator<B>, extent?: Extent): Operand<B> {
  if (typeof term === 'number') return term;
  return { buffer: next.next().value, extent: extent ?? term.extent };
}

function broadcast<B>(terms: readonly Term<B>[]): Extent {
  const dimension = (k: 0 | 1 | 2) =>
    terms.reduce<number>((most, term) => (typeof term === 'number' ? most : Math.max(most, term.extent[k])), 1);
  return [dimension(0), dimension(1), dimension(2)];
}

function sameExtent(a: Extent, b: Extent): boolean {
  return a[0] === b[0] && a[1] === b[1] && a[2] === b[2];
}

function size([outer, classes, inner]: Extent): number {
  return outer * classes * inner;
}
