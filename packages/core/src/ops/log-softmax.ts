import type { Basis, Rows } from '../backend.js';
import { hostArray } from '../dtype.js';
import { identityMatrix } from '../identity-matrix.js';
import type { LinearOperator } from '../linear-operator.js';
import { type Mask, parameters, selectMasked, withMask } from '../mask.js';
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
import { type SoftmaxOptions, temperedLogits } from './softmax.js';

/** `logSoftmax` with its derivatives, which take its output y. Pass the mask that the forward pass had, if any. */
export interface LogSoftmax {
  (logits: Tensor, options?: SoftmaxOptions): Tensor;
  /** `J_rc = (δ_rc − exp(y_c)) / T`, one matrix a row: `(n, f) → (n, f, f)`. Not symmetric; its rows sum to 0, its columns don't. */
  jacobian(logProbabilities: Tensor, options?: SoftmaxOptions): Tensor;
  /** `Jᵀ g = (g − exp(y) Σ g) / T` over each row. */
  vjp(logProbabilities: Tensor, cotangent: Tensor, options?: SoftmaxOptions): Tensor;
  /** `J t = (t − ⟨exp(y), t⟩) / T` over each row. */
  jvp(logProbabilities: Tensor, tangent: Tensor, options?: SoftmaxOptions): Tensor;
  linearize(logProbabilities: Tensor, options?: Omit<SoftmaxOptions, 'out'>): LinearOperator;
}

const name = 'logSoftmax';

function forward(logits: Tensor, options: SoftmaxOptions = {}): Tensor {
  checkOptions(name, options, optionNames.softmax);
  const x = operand(name, 'logits', logits);
  const { rows } = layout(name, x, options.axis ?? -1);
  const temperature = checkTemperature(name, options.temperature ?? 1);
  return withMask(name, options.mask, x, rows, (mask) =>
    compute(name, x, x.shape, options.out, [x.buffer], (out) => logSoftmaxInto(name, out, x, rows, temperature, mask)),
  );
}

/** log-softmax of logits/temperature over the kept entries, fused or composed. */
export function logSoftmaxInto(
  operation: string,
  out: unknown,
  x: FloatTensor,
  rows: Rows,
  temperature: number,
  mask: Mask | null,
): void {
  if (fused(x.backend, 'logSoftmax', out, x.buffer, rows, parameters(temperature, mask))) return;
  composed(operation, 'logSoftmax', x, (basis, scratch) => {
    const z = temperedLogits(basis, scratch, x.buffer, rows, temperature, mask);
    if (mask === null) {
      fromTempered(basis, scratch, out, z, rows);
      return;
    }
    const unmasked = scratch(x.size);
    fromTempered(basis, scratch, unmasked, z, rows);
    // A row with nothing kept is NaN by now, and −Infinity by definition.
    selectMasked(basis, out, mask, unmasked, Number.NEGATIVE_INFINITY, rows);
  });
}

function fromTempered(basis: Basis<unknown>, scratch: Scratch, out: unknown, z: unknown, rows: Rows): void {
  const count = rows.outer * rows.inner;
  const size = count * rows.classes;
  const full = [rows.outer, rows.classes, rows.inner] as const;
  const reduced = [rows.outer, 1, rows.inner] as const;
  const maximum = scratch(count);
  const shifted = scratch(size);
  const exponentials = scratch(size);
  const sum = scratch(count);
  const logarithm = scratch(count);
  basis.reduce(maximum, 'max', z, rows);
  basis.binary(shifted, 'sub', { buffer: z, extent: full }, { buffer: maximum, extent: reduced }, full);
  basis.unary(exponentials, 'exp', shifted, size);
  basis.reduce(sum, 'sum', exponentials, rows);
  basis.unary(logarithm, 'log', sum, count);
  basis.binary(out, 'sub', { buffer: shifted, extent: full }, { buffer: logarithm, extent: reduced }, full);
}

function vjp(logProbabilities: Tensor, cotangent: Tensor, options: SoftmaxOptions = {}): Tensor {
  const operation = `${name}.vjp`;
  checkOptions(operation, options, optionNames.softmax);
  const y = operand(operation, 'logProbabilities', logProbabilities);
  const g = operandLike(operation, 'cotangent', cotangent, y);
  const { rows } = layout(operation, y, options.axis ?? -1);
  const temperature = checkTemperature(operation, options.temperature ?? 1);
  return withMask(operation, options.mask, y, rows, (mask) =>
    compute(operation, y, y.shape, options.out, [y.buffer, g.buffer], (out) => {
      if (mask === null) {
        vjpInto(operation, out, y, g.buffer, rows, temperature);
        return;
      }
      composed(operation, null, y, (basis, scratch) => {
        // What is masked is constant: the loss's slope along it goes nowhere.
        const kept = scratch(y.size);
        selectMasked(basis, kept, mask, g.buffer, 0, rows);
        vjpInto(operation, out, y, kept, rows, temperature);
      });
    }),
  );
}

function vjpInto(
  operation: string,
  out: unknown,
  y: FloatTensor,
  cotangent: unknown,
  rows: Rows,
  temperature: number,
): void {
  if (fused(y.backend, 'logSoftmaxVjp', out, y.buffer, cotangent, rows, temperature)) return;
  composed(operation, 'logSoftmaxVjp', y, (basis, scratch) => {
    const full = [rows.outer, rows.classes, rows.inner] as const;
    const total = scratch(rows.outer * rows.inner);
    const probabilities = scratch(y.size);
    const taken = scratch(y.size);
    const difference = scratch(y.size);
    basis.reduce(total, 'sum', cotangent, rows);
    basis.unary(probabilities, 'exp', y.buffer, y.size);
    const totals = { buffer: total, extent: [rows.outer, 1, rows.inner] } as const;
    basis.binary(taken, 'mul', { buffer: probabilities, extent: full }, totals, full);
    basis.binary(difference, 'sub', { buffer: cotangent, extent: full }, { buffer: taken, extent: full }, full);
    basis.binary(out, 'div', { buffer: difference, extent: full }, temperature, full);
  });
}

function jvp(logProbabilities: Tensor, tangent: Tensor, options: SoftmaxOptions = {}): Tensor {
  const operation = `${name}.jvp`;
  checkOptions(operation, options, optionNames.softmax);
  const y = operand(operation, 'logProbabilities', logProbabilities);
  const t = operandLike(operation, 'tangent', tangent, y);
  const { rows } = layout(operation, y, options.axis ?? -1);
  const temperature = checkTemperature(operation, options.temperature ?? 1);
  return withMask(operation, options.mask, y, rows, (mask) =>
    compute(operation, y, y.shape, options.out, [y.buffer, t.buffer], (out) => {
      if (mask === null) {
        jvpInto(operation, out, y, t.buffer, rows, temperature);
        return;
      }
      composed(operation, null, y, (basis, scratch) => {
        const kept = scratch(y.size);
        const product = scratch(y.size);
        selectMasked(basis, kept, mask, t.buffer, 0, rows);
        jvpInto(operation, product, y, kept, rows, temperature);
        selectMasked(basis, out, mask, product, 0, rows);
      });
    }),
  );
}

function jvpInto(
  operation: string,
  out: unknown,
  y: FloatTensor,
  tangent: unknown,
  rows: Rows,
  temperature: number,
): void {
  if (fused(y.backend, 'logSoftmaxJvp', out, y.buffer, tangent, rows, temperature)) return;
  composed(operation, 'logSoftmaxJvp', y, (basis, scratch) => {
    const full = [rows.outer, rows.classes, rows.inner] as const;
    const probabilities = scratch(y.size);
    const product = scratch(y.size);
    const mean = scratch(rows.outer * rows.inner);
    const difference = scratch(y.size);
    basis.unary(probabilities, 'exp', y.buffer, y.size);
    basis.binary(product, 'mul', { buffer: probabilities, extent: full }, { buffer: tangent, extent: full }, full);
    basis.reduce(mean, 'sum', product, rows);
    const means = { buffer: mean, extent: [rows.outer, 1, rows.inner] } as const;
    basis.binary(difference, 'sub', { buffer: tangent, extent: full }, means, full);
    basis.binary(out, 'div', { buffer: difference, extent: full }, temperature, full);
  });
}

function jacobian(logProbabilities: Tensor, options: SoftmaxOptions = {}): Tensor {
  const operation = `${name}.jacobian`;
  checkOptions(operation, options, optionNames.softmax);
  const y = operand(operation, 'logProbabilities', logProbabilities);
  const { axis, rows } = layout(operation, y, options.axis ?? -1);
  const temperature = checkTemperature(operation, options.temperature ?? 1);
  const shape = [...withoutAxis(y.shape, axis), rows.classes, rows.classes];
  return withMask(operation, options.mask, y, rows, (mask) =>
    compute(operation, y, shape, options.out, [y.buffer], (out) => {
      if (mask === null) {
        jacobianInto(operation, out, y, rows, temperature);
        return;
      }
      composed(operation, null, y, (basis, scratch) => {
        const count = rows.outer * rows.inner;
        const full = [count, rows.classes, rows.classes] as const;
        const unmasked = scratch(y.size * rows.classes);
        jacobianInto(operation, unmasked, y, rows, temperature);
        // A masked output is constant: its row of the matrix is 0.
        const keep = scratch(y.size, 'bool');
        y.backend.write(keep, rowMajorMask(mask, rows));
        const condition = { buffer: keep, extent: [count, rows.classes, 1] } as const;
        basis.select(out, condition, { buffer: unmasked, extent: full }, 0, full);
      });
    }),
  );
}

function jacobianInto(operation: string, out: unknown, y: FloatTensor, rows: Rows, temperature: number): void {
  if (fused(y.backend, 'logSoftmaxJacobian', out, y.buffer, rows, temperature)) return;
  composed(operation, 'logSoftmaxJacobian', y, (basis, scratch) => {
    const { classes } = rows;
    const count = rows.outer * rows.inner;
    const full = [count, classes, classes] as const;
    const probabilities = scratch(y.size);
    basis.unary(probabilities, 'exp', y.buffer, y.size);
    let rowMajor = probabilities;
    if (rows.inner > 1) {
      rowMajor = scratch(y.size);
      basis.transpose(rowMajor, probabilities, rows);
    }
    const identity = scratch(classes * classes);
    y.backend.write(identity, identityMatrix(classes, y.dtype));
    const unscaled = scratch(count * classes * classes);
    const delta = { buffer: identity, extent: [1, classes, classes] } as const;
    basis.binary(unscaled, 'sub', delta, { buffer: rowMajor, extent: [count, 1, classes] }, full);
    basis.binary(out, 'div', { buffer: unscaled, extent: full }, temperature, full);
  });
}

/** The mask of every row, rows in (outer, inner) order and classes last. */
function rowMajorMask(mask: Mask, rows: Rows) {
  const { outer, classes, inner } = rows;
  const block = classes * inner;
  const keep = hostArray(outer * block, 'bool');
  for (let o = 0, n = 0; o < outer; o++) {
    const start = (o % mask.outer) * block;
    for (let i = 0; i < inner; i++) {
      for (let c = 0; c < classes; c++) keep[n++] = mask.host[start + c * inner + i];
    }
  }
  return keep;
}

function diagonal(logProbabilities: Tensor, options: SoftmaxOptions): Tensor {
  const operation = `${name}.linearize.diagonal`;
  const y = operand(operation, 'logProbabilities', logProbabilities);
  const { rows } = layout(operation, y, options.axis ?? -1);
  const temperature = options.temperature ?? 1;
  return withMask(operation, options.mask, y, rows, (mask) =>
    compute(operation, y, y.shape, options.out, [y.buffer], (out) =>
      composed(operation, null, y, (basis, scratch) => {
        const extent = [1, 1, y.size] as const;
        const probabilities = scratch(y.size);
        const complement = scratch(y.size);
        basis.unary(probabilities, 'exp', y.buffer, y.size);
        basis.binary(complement, 'sub', 1, { buffer: probabilities, extent }, extent);
        if (mask === null) {
          basis.binary(out, 'div', { buffer: complement, extent }, temperature, extent);
          return;
        }
        const scaled = scratch(y.size);
        basis.binary(scaled, 'div', { buffer: complement, extent }, temperature, extent);
        selectMasked(basis, out, mask, scaled, 0, rows);
      }),
    ),
  );
}

function linearize(logProbabilities: Tensor, options: Omit<SoftmaxOptions, 'out'> = {}): LinearOperator {
  const operation = `${name}.linearize`;
  checkOptions(operation, options, optionNames.softmaxOperator);
  const y = operand(operation, 'logProbabilities', logProbabilities);
  layout(operation, y, options.axis ?? -1);
  checkTemperature(operation, options.temperature ?? 1);
  return {
    inputShape: y.shape,
    outputShape: y.shape,
    vjp: (cotangent, more) => vjp(y, cotangent, { ...options, out: outOf(operation, more) }),
    jvp: (tangent, more) => jvp(y, tangent, { ...options, out: outOf(operation, more) }),
    diagonal: (more) => diagonal(y, { ...options, out: outOf(operation, more) }),
    toDense: (more) => jacobian(y, { ...options, out: outOf(operation, more) }),
  };
}

/**
 * The logarithm of softmax along an axis, `y_i = x_i / T − log Σ_k exp(x_k / T)`, right also where the probability underflows.
 *
 * Shape and dtype are those of the logits. −Infinity (and what is masked) has log-probability −Infinity; rows with NaN, with
 * +Infinity, or with nothing but −Infinity are NaN; rows with nothing kept are −Infinity.
 *
 * @throws as `softmax`
 * @example
 * await logSoftmax(tensor([[1, 2, 3]])).array(); // [[-2.4076, -1.4076, -0.4076]]
 * await logSoftmax(tensor([[0, 1000]])).array(); // [[-1000, 0]]
 */
export const logSoftmax: LogSoftmax = /* @__PURE__ */ Object.assign(forward, { jacobian, vjp, jvp, linearize });
