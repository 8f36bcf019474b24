import type { DType, FloatDType, HostArray } from '../tensor/dtype.js';
import type { Mask } from '../tensor/mask.js';
import { allocate } from '../tensor/tensor.js';
import type { Backend, Extent, Operand, Rows } from './interface.js';

/** An operand of an expression: a value, which is computed when it is needed, or a constant. */
export type Term<B> = Value<B> | number;

/** A value of an expression and its dimensions. */
export interface Value<B> {
  readonly extent: Extent;
  readonly node: Node<B>;
}

/** How the elements of a value are computed. */
interface Node<B> {
  readonly length: number;
  readonly dtype: DType;
  readonly operands: readonly Node<B>[];
  /** Enqueues the computation of the elements; null for given buffers. */
  readonly write: ((out: B, operands: readonly B[]) => void) | null;
  /** The buffer of the elements; null until they are computed. */
  buffer: B | null;
  /** The number of values that still have to be computed from this one. */
  uses: number;
  /** Whether it, or what it was computed from, is a result that arithmetic rounded. */
  readonly isRounded: boolean;
}

/** Options of `computed`. */
interface ComputedOptions {
  /** Default: that of the expressions. */
  readonly dtype?: DType;
  /** Whether its elements are rounded. Those of a kernel are results, as exact as the kernel gives them. Default false. */
  readonly rounds?: boolean;
}

/** The buffers of operands, one for each. */
type Buffers<B, V extends readonly Value<B>[]> = { readonly [K in keyof V]: B };

/** What expressions are evaluated with. */
export interface AlgebraContext<B> {
  readonly backend: Backend<B>;
  readonly rows: Rows;
  readonly dtype: FloatDType;
  readonly temperature: number;
  readonly mask: Mask<B> | null;
}

/**
 * Expressions as a graph of values. Nothing is enqueued until `assign`, which writes a value into a buffer. Intermediate values are kept in
 * buffers that are freed as soon as no other value needs them.
 */
export abstract class Graph<B> {
  readonly rows: Rows;
  readonly dtype: FloatDType;
  protected readonly context: AlgebraContext<B>;
  readonly #made = new Set<B>();

  constructor(context: AlgebraContext<B>) {
    this.context = context;
    this.rows = context.rows;
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
    const node = {
      length: size(extent),
      dtype: this.dtype,
      operands: [],
      write: null,
      buffer,
      uses: 0,
      isRounded: false,
    };
    return { extent, node };
  }

  /** Numbers from the host. */
  host(data: HostArray, extent: Extent, dtype: DType = this.dtype): Value<B> {
    return this.computed(extent, [], (out) => this.context.backend.write(out, data), { dtype });
  }

  /** A value that `write` computes, with the basis or a kernel. */
  computed<const V extends readonly Value<B>[]>(
    extent: Extent,
    operands: V,
    write: (out: B, operands: Buffers<B, V>) => void,
    { dtype = this.dtype, rounds = false }: ComputedOptions = {},
  ): Value<B> {
    const nodes = operands.map(({ node }) => node);
    for (const node of nodes) node.uses++;
    const length = size(extent);
    // `#buffers` returns one buffer for each operand.
    const writes = write as Node<B>['write'];
    const isRounded = rounds || nodes.some((node) => node.isRounded);
    return { extent, node: { length, dtype, operands: nodes, write: writes, buffer: null, uses: 0, isRounded } };
  }

  /** Computes a value into a buffer. The buffer may be an operand of the expression, because the operands are not read afterwards. */
  assign(out: B, value: Value<B>): void {
    this.assignAll([[out, value]]);
  }

  /** The same for several values. If there is not enough memory, none is written. */
  assignAll(results: readonly (readonly [out: B, value: Value<B>])[]): void {
    const operands = results.map(([, { node }]) => this.#buffers(node));
    for (const [k, [out, { node }]] of results.entries()) {
      // Only operands are not written, and a formula never returns one of them.
      const write = node.write as NonNullable<Node<B>['write']>;
      write(out, operands[k] as readonly B[]);
      this.#release(node);
    }
  }

  /** Frees the buffers of expressions that were not assigned or that failed. */
  end(): void {
    for (const buffer of this.#made) this.context.backend.free(buffer);
    this.#made.clear();
  }

  /** The buffers of a node's operands, which are computed first if necessary. */
  #buffers({ operands }: Node<B>): readonly B[] {
    return operands.map((operand) => {
      if (operand.buffer !== null || operand.write === null) return operand.buffer as B;
      const buffers = this.#buffers(operand);
      const use = operand.isRounded ? 'intermediate' : undefined;
      const buffer = allocate(this.context.backend, operand.length, operand.dtype, use);
      this.#made.add(buffer);
      operand.write(buffer, buffers);
      operand.buffer = buffer;
      this.#release(operand);
      return buffer;
    });
  }

  /** Called after a node was computed: its operands have one use less, and unused ones are freed. */
  #release({ operands }: Node<B>): void {
    for (const operand of operands) {
      operand.uses--;
      if (operand.uses > 0 || operand.buffer === null || !this.#made.delete(operand.buffer)) continue;
      this.context.backend.free(operand.buffer);
      operand.buffer = null;
    }
  }
}

export function isValue<B>(term: Term<B>): term is Value<B> {
  return typeof term !== 'number';
}

export function operandOf<B>(term: Term<B>, next: Iterator<B>, extent?: Extent): Operand<B> {
  if (typeof term === 'number') return term;
  return { buffer: next.next().value, extent: extent ?? term.extent };
}

export function broadcast<B>(terms: readonly Term<B>[]): Extent {
  const dimension = (k: 0 | 1 | 2) =>
    terms.reduce<number>((most, term) => (typeof term === 'number' ? most : Math.max(most, term.extent[k])), 1);
  return [dimension(0), dimension(1), dimension(2)];
}

export function sameExtent(a: Extent, b: Extent): boolean {
  return a[0] === b[0] && a[1] === b[1] && a[2] === b[2];
}

export function size([outer, classes, inner]: Extent): number {
  return outer * classes * inner;
}
