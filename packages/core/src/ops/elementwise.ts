import type { Value } from '../backend/graph.js';
import type { Like, MatricesOf } from '../tensor/typed.js';
import type { DirectionLike, FloatLike } from './arguments.js';
import type { Definition, Expressions, Member } from './definition.js';
import type { OperatorOf } from './linear-operator.js';
import type { AxisOption, OutOption } from './settings.js';

/** An elementwise function with its derivatives, which take its output y. Its Jacobian is diagonal: the vjp is the jvp. */
export interface Elementwise {
  <X extends FloatLike>(x: X, options?: OutOption): Like<X>;
  /**
   * The Jacobian matrices, `diag(f′)` of each row along the axis: `(n, f) → (n, f, f)`; for another axis the dimensions without it, then
   * `(f, f)`. For a gradient use `vjp`, which is O(f).
   *
   * @throws ERR_DTYPE, ERR_AXIS, ERR_VALUE, ERR_DISPOSED, ERR_OUT_OF_MEMORY
   * @example
   * await relu.jacobian(relu(tensor([-1, 2]))).array(); // [[0, 0], [0, 1]]
   */
  jacobian<X extends FloatLike>(y: X, options?: AxisOption): MatricesOf<X>;
  /**
   * The vector-Jacobian product, `g ⊙ f′`, elementwise, in the shape and dtype of the operands.
   *
   * @param y the output of the forward pass
   * @param cotangent the upstream gradient ∂L/∂y
   * @throws ERR_DTYPE, ERR_SHAPE, ERR_VALUE, ERR_BACKEND_MISMATCH, ERR_DISPOSED, ERR_OUT_OF_MEMORY
   * @example
   * await sigmoid.vjp(sigmoid(tensor([0, 2])), tensor([1, 1])).array(); // [0.2500, 0.1050]
   */
  vjp<X extends FloatLike>(y: X, cotangent: DirectionLike, options?: OutOption): Like<X>;
  /**
   * The Jacobian-vector product, `t ⊙ f′`, elementwise: the Jacobian is symmetric, so this is `vjp` by another name.
   *
   * @param y the output of the forward pass
   * @param tangent a direction of x
   * @throws as `vjp`
   * @example
   * await sigmoid.jvp(sigmoid(tensor([0, 2])), tensor([1, 1])).array(); // [0.2500, 0.1050]
   */
  jvp<X extends FloatLike>(y: X, tangent: DirectionLike, options?: OutOption): Like<X>;
  /**
   * The function at x with its Jacobian as an operator: `vjp`, `jvp` and `diagonal` are elementwise, and `toDense` gives the matrices of
   * `jacobian`.
   *
   * @throws as `jacobian`
   * @example
   * const { value, diagonal } = sigmoid.linearize(tensor([0, 2]));
   * await value.array(); // [0.5000, 0.8808]
   * await diagonal().array(); // [0.2500, 0.1050]
   */
  linearize<X extends FloatLike>(x: X, options?: Omit<AxisOption, 'out'>): OperatorOf<X>;
}

/** The mathematics of an elementwise function. */
interface Entries {
  readonly name: 'sigmoid' | 'relu';
  /** Its derivatives are the same at the input as at the output. */
  readonly alsoOfInput?: true;
  readonly value: Member;
  /** f′ from y. */
  slope<B>(m: Expressions<B>, y: Value<B>): Value<B>;
  /** g f′ from y and g. */
  readonly product: Member;
}

/** The definition of an elementwise function. */
export function elementwise({ name, alsoOfInput, value, slope, product }: Entries) {
  return {
    name,
    over: 'entries',
    output: 'y',
    ...(alsoOfInput && { alsoOfInput }),
    value,
    vjp: product,
    jvp: product,
    jacobian: {
      result: 'matrices',
      formula: (m, y) => m.select(m.identity(), m.transposed(m.columns(slope(m, y))), 0),
    },
    diagonal: { formula: slope },
  } as const satisfies Definition;
}
