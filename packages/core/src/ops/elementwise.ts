import type { Value } from '../backend/graph.js';
import type { Like, MatricesOf } from '../tensor/typed.js';
import type { TensorLike } from './arguments.js';
import type { Definition, Expressions } from './definition.js';
import type { OperatorOf } from './linear-operator.js';
import type { AxisOption, OutOption } from './settings.js';

/** An elementwise function with its derivatives, which take its output y. Its Jacobian is diagonal: the vjp is the jvp. */
export interface Elementwise {
  <X extends TensorLike>(x: X, options?: OutOption): Like<X>;
  /** `diag(f′)` of each row along the axis: `(n, f) → (n, f, f)`. */
  jacobian<X extends TensorLike>(y: X, options?: AxisOption): MatricesOf<X>;
  /** `g ⊙ f′`, elementwise. */
  vjp<X extends TensorLike>(y: X, cotangent: TensorLike, options?: OutOption): Like<X>;
  /** `t ⊙ f′`, elementwise. */
  jvp<X extends TensorLike>(y: X, tangent: TensorLike, options?: OutOption): Like<X>;
  linearize<X extends TensorLike>(x: X, options?: Omit<AxisOption, 'out'>): OperatorOf<X>;
}

/** The mathematics of an elementwise function. */
interface Entries {
  readonly name: 'sigmoid' | 'relu';
  /** Its derivatives are the same at the input as at the output. */
  readonly alsoOfInput?: true;
  value<B>(m: Expressions<B>, x: Value<B>): Value<B>;
  /** f′ from y. */
  slope<B>(m: Expressions<B>, y: Value<B>): Value<B>;
  /** g f′. */
  product<B>(m: Expressions<B>, y: Value<B>, g: Value<B>): Value<B>;
}

/** The definition of an elementwise function. */
export function elementwise({ name, alsoOfInput, value, slope, product }: Entries) {
  const vjp = { kernel: `${name}Vjp`, formula: product } as const;
  return {
    name,
    over: 'entries',
    output: 'y',
    ...(alsoOfInput && { alsoOfInput }),
    value: { kernel: name, formula: value },
    vjp,
    jvp: vjp,
    jacobian: {
      result: 'matrices',
      formula: (m, y) => m.select(m.identity(), m.transposed(m.columns(slope(m, y))), 0),
    },
    diagonal: { formula: slope },
  } as const satisfies Definition;
}
