import type { Basis } from '../backend.js';
import { identityMatrix } from '../identity-matrix.js';
import type { LinearOperator, OutOption } from '../linear-operator.js';
import { composed, compute, type FloatTensor, layout, operand, operandLike, type Scratch } from '../op.js';
import { checkOptions, optionNames, outOf } from '../options.js';
import { withoutAxis } from '../shape.js';
import type { Tensor } from '../tensor.js';

export interface AxisOption extends OutOption {
  /** The dimension along which the matrices are laid out; negative counts from the last. Default −1. */
  readonly axis?: number | undefined;
}

/** An elementwise function with its derivatives, which take its output y. Its Jacobian is diagonal: the vjp is the jvp. */
export interface Elementwise {
  (x: Tensor, options?: OutOption): Tensor;
  /** `diag(f′)` of each row along the axis: `(n, f) → (n, f, f)`. */
  jacobian(y: Tensor, options?: AxisOption): Tensor;
  /** `g ⊙ f′`, elementwise. */
  vjp(y: Tensor, cotangent: Tensor, options?: OutOption): Tensor;
  /** `t ⊙ f′`, elementwise. */
  jvp(y: Tensor, tangent: Tensor, options?: OutOption): Tensor;
  linearize(y: Tensor, options?: Omit<AxisOption, 'out'>): LinearOperator;
}

/** What an elementwise function does on buffers. */
export interface ElementwiseKernels {
  readonly name: string;
  forward(out: unknown, x: FloatTensor): void;
  product(operation: string, out: unknown, y: FloatTensor, vector: unknown): void;
  /** f′ from y, by a basis. */
  slope(basis: Basis<unknown>, scratch: Scratch, out: unknown, y: FloatTensor): void;
}

/** An elementwise function out of its kernels. */
export function elementwise({ name, forward, product, slope }: ElementwiseKernels): Elementwise {
  const apply = (input: Tensor, options: OutOption = {}): Tensor => {
    checkOptions(name, options, optionNames.elementwise);
    const x = operand(name, 'x', input);
    return compute(name, x, x.shape, options.out, [x.buffer], (out) => forward(out, x));
  };

  const multiply = (
    member: 'vjp' | 'jvp',
    argument: string,
    output: Tensor,
    vector: Tensor,
    options: OutOption,
  ): Tensor => {
    const operation = `${name}.${member}`;
    checkOptions(operation, options, optionNames.elementwise);
    const y = operand(operation, 'y', output);
    const v = operandLike(operation, argument, vector, y);
    return compute(operation, y, y.shape, options.out, [y.buffer, v.buffer], (out) =>
      product(operation, out, y, v.buffer),
    );
  };

  const vjp = (y: Tensor, cotangent: Tensor, options: OutOption = {}): Tensor =>
    multiply('vjp', 'cotangent', y, cotangent, options);

  const jvp = (y: Tensor, tangent: Tensor, options: OutOption = {}): Tensor =>
    multiply('jvp', 'tangent', y, tangent, options);

  const diagonal = (output: Tensor, options: OutOption): Tensor => {
    const operation = `${name}.linearize.diagonal`;
    const y = operand(operation, 'y', output);
    return compute(operation, y, y.shape, options.out, [y.buffer], (out) =>
      composed(operation, null, y, (basis, scratch) => slope(basis, scratch, out, y)),
    );
  };

  const jacobian = (output: Tensor, options: AxisOption = {}): Tensor => {
    const operation = `${name}.jacobian`;
    checkOptions(operation, options, optionNames.elementwise);
    const y = operand(operation, 'y', output);
    const { axis, rows } = layout(operation, y, options.axis ?? -1);
    const { classes } = rows;
    return compute(operation, y, [...withoutAxis(y.shape, axis), classes, classes], options.out, [y.buffer], (out) =>
      composed(operation, null, y, (basis, scratch) => {
        const count = rows.outer * rows.inner;
        const full = [count, classes, classes] as const;
        const slopes = scratch(y.size);
        slope(basis, scratch, slopes, y);
        let rowMajor = slopes;
        if (rows.inner > 1) {
          rowMajor = scratch(y.size);
          basis.transpose(rowMajor, slopes, rows);
        }
        const identity = scratch(classes * classes);
        y.backend.write(identity, identityMatrix(classes, y.dtype));
        const delta = { buffer: identity, extent: [1, classes, classes] } as const;
        basis.select(out, delta, { buffer: rowMajor, extent: [count, 1, classes] }, 0, full);
      }),
    );
  };

  const linearize = (output: Tensor, options: Omit<AxisOption, 'out'> = {}): LinearOperator => {
    const operation = `${name}.linearize`;
    checkOptions(operation, options, optionNames.elementwiseOperator);
    const y = operand(operation, 'y', output);
    if (options.axis !== undefined) layout(operation, y, options.axis);
    return {
      inputShape: y.shape,
      outputShape: y.shape,
      vjp: (cotangent, operatorOptions) => vjp(y, cotangent, operatorOptions),
      jvp: (tangent, operatorOptions) => jvp(y, tangent, operatorOptions),
      diagonal: (more) => diagonal(y, { out: outOf(operation, more) }),
      toDense: (more) => jacobian(y, { ...options, out: outOf(operation, more) }),
    };
  };

  return Object.assign(apply, { jacobian, vjp, jvp, linearize });
}
