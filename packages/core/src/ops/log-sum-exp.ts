import type { Basis, Rows } from '../backend.js';
import { hostArray, largestFinite } from '../dtype.js';
import type { LinearOperator } from '../linear-operator.js';
import { keptOf, type Mask, parameters, withMask } from '../mask.js';
import {
  checkTemperature,
  composed,
  compute,
  type FloatTensor,
  fused,
  layout,
  operand,
  operandLike,
  type Scratch,
} from '../op.js';
import { checkOptions, optionNames, outOf } from '../options.js';
import { withoutAxis } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { type SoftmaxOptions, softmaxInto, temperedLogits } from './softmax.js';

/** `logSumExp` with its derivatives, which take the logits: its gradient is softmax(x / T) / T. */
export interface LogSumExp {
  (logits: Tensor, options?: SoftmaxOptions): Tensor;
  /** `∂ logSumExp / ∂x = softmax(x / T) / T`, in the shape of the logits. */
  gradient(logits: Tensor, options?: SoftmaxOptions): Tensor;
  /** `softmax(x / T) · g / T`, the cotangent in the shape of the result (the logits' without the axis). */
  vjp(logits: Tensor, cotangent: Tensor, options?: SoftmaxOptions): Tensor;
  /** `⟨softmax(x / T), t⟩ / T` over each row, the tangent in the shape of the logits. */
  jvp(logits: Tensor, tangent: Tensor, options?: SoftmaxOptions): Tensor;
  /** The Jacobian as an operator. Each row of it has one non-zero block, so `toDense` and `diagonal` give the gradient. */
  linearize(logits: Tensor, options?: Omit<SoftmaxOptions, 'out'>): LinearOperator;
}

const name = 'logSumExp';

function forward(logits: Tensor, options: SoftmaxOptions = {}): Tensor {
  checkOptions(name, options, optionNames.softmax);
  const x = operand(name, 'logits', logits);
  const { axis, rows } = layout(name, x, options.axis ?? -1);
  const temperature = checkTemperature(name, options.temperature ?? 1);
  return withMask(name, options.mask, x, rows, (mask) =>
    compute(name, x, withoutAxis(x.shape, axis), options.out, [x.buffer], (out) => {
      if (rows.classes === 0) {
        const result = hostArray(rows.outer * rows.inner, x.dtype);
        x.backend.write(out, result.fill(Number.NEGATIVE_INFINITY));
        return;
      }
      if (fused(x.backend, 'logSumExp', out, x.buffer, rows, parameters(temperature, mask))) return;
      composed(name, 'logSumExp', x, (basis, scratch) => {
        const tempered = temperedLogits(basis, scratch, x.buffer, rows, temperature, mask);
        logSumExpInto(basis, scratch, out, tempered, rows, largestFinite(x.dtype));
      });
    }),
  );
}

/** `log Σ exp z` from a basis. The shift is kept finite, so that ±Infinity and rows of −Infinity come out as in SciPy. */
function logSumExpInto(
  basis: Basis<unknown>,
  scratch: Scratch,
  out: unknown,
  z: unknown,
  rows: Rows,
  largest: number,
): void {
  const count = rows.outer * rows.inner;
  const flat = [1, 1, count] as const;
  const full = [rows.outer, rows.classes, rows.inner] as const;
  const reduced = [rows.outer, 1, rows.inner] as const;
  const maximum = scratch(count);
  const floored = scratch(count);
  const shift = scratch(count);
  basis.reduce(maximum, 'max', z, rows);
  basis.binary(floored, 'max', { buffer: maximum, extent: flat }, -largest, flat);
  basis.binary(shift, 'min', { buffer: floored, extent: flat }, largest, flat);
  const shifted = scratch(full[0] * full[1] * full[2]);
  const exponentials = scratch(full[0] * full[1] * full[2]);
  basis.binary(shifted, 'sub', { buffer: z, extent: full }, { buffer: shift, extent: reduced }, full);
  basis.unary(exponentials, 'exp', shifted, full[0] * full[1] * full[2]);
  const sum = scratch(count);
  const logarithm = scratch(count);
  basis.reduce(sum, 'sum', exponentials, rows);
  basis.unary(logarithm, 'log', sum, count);
  basis.binary(out, 'add', { buffer: logarithm, extent: flat }, { buffer: shift, extent: flat }, flat);
}

/** The gradient, softmax(x / T) / T, into `out`. */
function gradientInto(
  operation: string,
  out: unknown,
  x: FloatTensor,
  rows: Rows,
  temperature: number,
  mask: Mask | null,
): void {
  if (temperature === 1) {
    softmaxInto(operation, out, x, x.buffer, rows, 1, mask);
    return;
  }
  composed(operation, 'softmax', x, (basis, scratch) => {
    const probabilities = scratch(x.size);
    const extent = [1, 1, x.size] as const;
    softmaxInto(operation, probabilities, x, x.buffer, rows, temperature, mask);
    basis.binary(out, 'div', { buffer: probabilities, extent }, temperature, extent);
  });
}

function gradient(logits: Tensor, options: SoftmaxOptions = {}): Tensor {
  const operation = `${name}.gradient`;
  checkOptions(operation, options, optionNames.softmax);
  const x = operand(operation, 'logits', logits);
  const { rows } = layout(operation, x, options.axis ?? -1);
  const temperature = checkTemperature(operation, options.temperature ?? 1);
  return withMask(operation, options.mask, x, rows, (mask) =>
    compute(operation, x, x.shape, options.out, [x.buffer], (out) =>
      gradientInto(operation, out, x, rows, temperature, mask),
    ),
  );
}

function vjp(logits: Tensor, cotangent: Tensor, options: SoftmaxOptions = {}): Tensor {
  const operation = `${name}.vjp`;
  checkOptions(operation, options, optionNames.softmax);
  const x = operand(operation, 'logits', logits);
  const { axis, rows } = layout(operation, x, options.axis ?? -1);
  const g = operandLike(operation, 'cotangent', cotangent, x, withoutAxis(x.shape, axis));
  const temperature = checkTemperature(operation, options.temperature ?? 1);
  return withMask(operation, options.mask, x, rows, (mask) =>
    compute(operation, x, x.shape, options.out, [x.buffer, g.buffer], (out) =>
      composed(operation, null, x, (basis, scratch) => {
        const full = [rows.outer, rows.classes, rows.inner] as const;
        const slope = scratch(x.size);
        gradientInto(operation, slope, x, rows, temperature, mask);
        const upstream = { buffer: g.buffer, extent: [rows.outer, 1, rows.inner] } as const;
        basis.binary(out, 'mul', { buffer: slope, extent: full }, upstream, full);
      }),
    ),
  );
}

function jvp(logits: Tensor, tangent: Tensor, options: SoftmaxOptions = {}): Tensor {
  const operation = `${name}.jvp`;
  checkOptions(operation, options, optionNames.softmax);
  const x = operand(operation, 'logits', logits);
  const { axis, rows } = layout(operation, x, options.axis ?? -1);
  const t = operandLike(operation, 'tangent', tangent, x);
  const temperature = checkTemperature(operation, options.temperature ?? 1);
  return withMask(operation, options.mask, x, rows, (mask) =>
    compute(operation, x, withoutAxis(x.shape, axis), options.out, [x.buffer, t.buffer], (out) => {
      if (rows.classes === 0) {
        x.backend.write(out, hostArray(rows.outer * rows.inner, x.dtype));
        return;
      }
      composed(operation, null, x, (basis, scratch) => {
        const extent = [1, 1, x.size] as const;
        const slope = scratch(x.size);
        const product = scratch(x.size);
        gradientInto(operation, slope, x, rows, temperature, mask);
        basis.binary(product, 'mul', { buffer: slope, extent }, { buffer: t.buffer, extent }, extent);
        basis.reduce(out, 'sum', keptOf(basis, scratch, product, mask, rows), rows);
      });
    }),
  );
}

function linearize(logits: Tensor, options: Omit<SoftmaxOptions, 'out'> = {}): LinearOperator {
  const operation = `${name}.linearize`;
  checkOptions(operation, options, optionNames.softmaxOperator);
  const x = operand(operation, 'logits', logits);
  const { axis } = layout(operation, x, options.axis ?? -1);
  checkTemperature(operation, options.temperature ?? 1);
  return {
    inputShape: x.shape,
    outputShape: withoutAxis(x.shape, axis),
    vjp: (cotangent, more) => vjp(x, cotangent, { ...options, out: outOf(operation, more) }),
    jvp: (tangent, more) => jvp(x, tangent, { ...options, out: outOf(operation, more) }),
    diagonal: (more) => gradient(x, { ...options, out: outOf(operation, more) }),
    toDense: (more) => gradient(x, { ...options, out: outOf(operation, more) }),
  };
}

/**
 * The logarithm of a sum of exponentials along an axis, `log Σ_k exp(x_k / T)`, computed shifted by the row's maximum.
 *
 * The result has the logits' dtype and their shape without the axis. As in SciPy, a row of nothing but −Infinity (or with
 * nothing kept, or empty) gives −Infinity, +Infinity gives +Infinity, NaN gives NaN.
 *
 * @throws as `softmax`
 * @example
 * await logSumExp(tensor([[1, 2, 3], [1000, 1000, 1000]])).array(); // [3.4076, 1001.0986]
 */
export const logSumExp: LogSumExp = /* @__PURE__ */ Object.assign(forward, { gradient, vjp, jvp, linearize });
