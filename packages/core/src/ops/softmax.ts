import type { Basis, Rows } from '../backend.js';
import type { LinearOperator, OutOption } from '../linear-operator.js';
import { type Mask, type MaskInput, parameters, selectMasked, withMask } from '../mask.js';
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

/** Options of the softmax family's derivatives: those that the forward pass was called with. */
export interface DerivativeOptions extends OutOption {
  /** The dimension that adds up to 1; negative counts from the last. Default −1. */
  readonly axis?: number | undefined;
  /** T in softmax(x / T), finite and above 0. Default 1. */
  readonly temperature?: number | undefined;
}

/** Options of the softmax family. */
export interface SoftmaxOptions extends DerivativeOptions {
  /** True = keep. Entries masked out get probability 0 and gradient 0, whatever their logit; rows with nothing kept are all 0. */
  readonly mask?: MaskInput | undefined;
}

/** A function of the softmax family with its derivatives. */
export interface Softmax {
  (logits: Tensor, options?: SoftmaxOptions): Tensor;
  /**
   * The Jacobian matrices, `J = (diag(s) − s sᵀ) / T`, one a row: `(n, f) → (n, f, f)`; for another axis the dimensions
   * without it, then `(f, f)`. Every row and column sums to 0: for a gradient use `vjp`, which is O(f).
   *
   * @param probabilities what the forward pass returned
   * @throws ERR_DTYPE, ERR_AXIS, ERR_DISPOSED, ERR_OUT_OF_MEMORY
   * @example
   * const J = softmax.jacobian(softmax(tensor([[1, 2]])));
   * await J.array(); // [[[0.1966, -0.1966], [-0.1966, 0.1966]]]
   */
  jacobian(probabilities: Tensor, options?: DerivativeOptions): Tensor;
  /**
   * The vector-Jacobian product, `Jᵀ g = s ⊙ (g − ⟨s, g⟩) / T` over each row: what backpropagation needs. Same shape and
   * dtype as the operands, O(f) a row.
   *
   * The classic misuse is to sum rows of the Jacobian instead: that is `vjp(s, ones)`, identically 0.
   *
   * @param probabilities what the forward pass returned
   * @param cotangent the upstream gradient ∂L/∂s
   * @throws ERR_DTYPE, ERR_SHAPE, ERR_AXIS, ERR_BACKEND_MISMATCH, ERR_DISPOSED, ERR_OUT_OF_MEMORY
   * @example
   * const s = softmax(tensor([[1, 2]]));
   * await softmax.vjp(s, tensor([[1, 0]])).array(); // [[0.1966, -0.1966]]
   */
  vjp(probabilities: Tensor, cotangent: Tensor, options?: DerivativeOptions): Tensor;
  /** The Jacobian-vector product `J t`, forward mode. J is symmetric, so this is `vjp` by another name. */
  jvp(probabilities: Tensor, tangent: Tensor, options?: DerivativeOptions): Tensor;
  /**
   * The Jacobian as an operator that is never materialised.
   *
   * @example
   * const J = softmax.linearize(s);
   * J.vjp(g); J.jvp(t); J.diagonal(); // each O(f) a row
   */
  linearize(probabilities: Tensor, options?: Omit<DerivativeOptions, 'out'>): LinearOperator;
}

/**
 * Softmax along an axis, `s_i = exp(x_i / T) / Σ_k exp(x_k / T)`, computed shifted by the row's maximum.
 *
 * Shape and dtype of the result are those of the logits. As in SciPy and PyTorch, −Infinity has probability 0, and a row with
 * NaN, with +Infinity, or with nothing but −Infinity is NaN.
 *
 * @param logits floats of any shape with at least one dimension
 * @throws ERR_DTYPE, ERR_AXIS, ERR_SHAPE (mask, out), ERR_VALUE (temperature), ERR_DISPOSED, ERR_OUT_OF_MEMORY
 * @example
 * await softmax(tensor([[1, 2, 3]])).array(); // [[0.0900, 0.2447, 0.6652]]
 * await softmax(tensor([[1, 2, 3]]), { temperature: 0.5, mask: [true, true, false] }).array(); // [[0.1192, 0.8808, 0]]
 */
export const softmax: Softmax = /* @__PURE__ */ softmaxFunction('softmax', 1);

/** softmax (sign 1) or softmin (sign −1), which is softmax at the negative temperature. */
export function softmaxFunction(name: string, sign: 1 | -1): Softmax {
  const temperatureOf = (operation: string, options: DerivativeOptions) =>
    sign * checkTemperature(operation, options.temperature ?? 1);

  const forward = (logits: Tensor, options: SoftmaxOptions = {}): Tensor => {
    checkOptions(name, options, optionNames.softmax);
    const x = operand(name, 'logits', logits);
    const { rows } = layout(name, x, options.axis ?? -1);
    const temperature = temperatureOf(name, options);
    return withMask(name, options.mask, x, rows, (mask) =>
      compute(name, x, x.shape, options.out, [x.buffer], (out) =>
        softmaxInto(name, out, x, x.buffer, rows, temperature, mask),
      ),
    );
  };

  const jacobian = (probabilities: Tensor, options: DerivativeOptions = {}): Tensor => {
    const operation = `${name}.jacobian`;
    checkOptions(operation, options, optionNames.softmax);
    const s = operand(operation, 'probabilities', probabilities);
    const { axis, rows } = layout(operation, s, options.axis ?? -1);
    const temperature = temperatureOf(operation, options);
    const shape = [...withoutAxis(s.shape, axis), rows.classes, rows.classes];
    return compute(operation, s, shape, options.out, [s.buffer], (out) => {
      if (temperature === 1) {
        s.backend.jacobian(out, s.buffer, rows);
        return;
      }
      if (fused(s.backend, 'softmaxJacobian', out, s.buffer, rows, temperature)) return;
      composed(operation, 'softmaxJacobian', s, (basis, scratch) => {
        const size = rows.outer * rows.inner * rows.classes * rows.classes;
        const unscaled = scratch(size);
        s.backend.jacobian(unscaled, s.buffer, rows);
        basis.binary(out, 'div', { buffer: unscaled, extent: [1, 1, size] }, temperature, [1, 1, size]);
      });
    });
  };

  const product = (
    operation: string,
    argument: string,
    probabilities: Tensor,
    vector: Tensor,
    options: DerivativeOptions,
  ) => {
    checkOptions(operation, options, optionNames.softmax);
    const s = operand(operation, 'probabilities', probabilities);
    const g = operandLike(operation, argument, vector, s);
    const { rows } = layout(operation, s, options.axis ?? -1);
    const temperature = temperatureOf(operation, options);
    return compute(operation, s, s.shape, options.out, [s.buffer, g.buffer], (out) => {
      if (temperature === 1) {
        s.backend.vjp(out, s.buffer, g.buffer, rows);
        return;
      }
      if (fused(s.backend, 'softmaxVjp', out, s.buffer, g.buffer, rows, temperature)) return;
      composed(operation, 'softmaxVjp', s, (basis, scratch) => {
        const unscaled = scratch(s.size);
        s.backend.vjp(unscaled, s.buffer, g.buffer, rows);
        basis.binary(out, 'div', { buffer: unscaled, extent: [1, 1, s.size] }, temperature, [1, 1, s.size]);
      });
    });
  };

  const vjp = (probabilities: Tensor, cotangent: Tensor, options: DerivativeOptions = {}): Tensor =>
    product(`${name}.vjp`, 'cotangent', probabilities, cotangent, options);

  const jvp = (probabilities: Tensor, tangent: Tensor, options: DerivativeOptions = {}): Tensor =>
    product(`${name}.jvp`, 'tangent', probabilities, tangent, options);

  const diagonal = (probabilities: Tensor, options: DerivativeOptions): Tensor => {
    const operation = `${name}.linearize.diagonal`;
    const s = operand(operation, 'probabilities', probabilities);
    const temperature = temperatureOf(operation, options);
    return compute(operation, s, s.shape, options.out, [s.buffer], (out) =>
      composed(operation, null, s, (basis, scratch) => {
        const extent = [1, 1, s.size] as const;
        const complement = scratch(s.size);
        basis.binary(complement, 'sub', 1, { buffer: s.buffer, extent }, extent);
        if (temperature === 1) {
          basis.binary(out, 'mul', { buffer: s.buffer, extent }, { buffer: complement, extent }, extent);
        } else {
          const unscaled = scratch(s.size);
          basis.binary(unscaled, 'mul', { buffer: s.buffer, extent }, { buffer: complement, extent }, extent);
          basis.binary(out, 'div', { buffer: unscaled, extent }, temperature, extent);
        }
      }),
    );
  };

  const linearize = (probabilities: Tensor, options: Omit<DerivativeOptions, 'out'> = {}): LinearOperator => {
    const operation = `${name}.linearize`;
    checkOptions(operation, options, optionNames.softmaxOperator);
    const s = operand(operation, 'probabilities', probabilities);
    layout(operation, s, options.axis ?? -1);
    temperatureOf(operation, options);
    return {
      inputShape: s.shape,
      outputShape: s.shape,
      vjp: (cotangent, more) => vjp(s, cotangent, { ...options, out: outOf(operation, more) }),
      jvp: (tangent, more) => jvp(s, tangent, { ...options, out: outOf(operation, more) }),
      diagonal: (more) => diagonal(s, { ...options, out: outOf(operation, more) }),
      toDense: (more) => jacobian(s, { ...options, out: outOf(operation, more) }),
    };
  };

  return Object.assign(forward, { jacobian, vjp, jvp, linearize });
}

/** softmax of logits/temperature over the kept entries, by the required kernel, a fused one, or a composition. */
export function softmaxInto(
  operation: string,
  out: unknown,
  like: FloatTensor,
  logits: unknown,
  rows: Rows,
  temperature: number,
  mask: Mask | null,
): void {
  const { backend } = like;
  if (temperature === 1 && mask === null) {
    backend.softmax(out, logits, rows);
    return;
  }
  if (fused(backend, 'softmax', out, logits, rows, parameters(temperature, mask))) return;
  composed(operation, 'softmax', like, (basis, scratch) => {
    const size = rows.outer * rows.classes * rows.inner;
    const tempered = temperedLogits(basis, scratch, logits, rows, temperature, mask);
    if (mask === null) {
      backend.softmax(out, tempered, rows);
      return;
    }
    const unmasked = scratch(size);
    backend.softmax(unmasked, tempered, rows);
    // A row with nothing kept is NaN by now, and 0 by definition.
    selectMasked(basis, out, mask, unmasked, 0, rows);
  });
}

/** `x / T` where the mask keeps, −Infinity elsewhere; the logits themselves where there is neither. */
export function temperedLogits(
  basis: Basis<unknown>,
  scratch: Scratch,
  logits: unknown,
  rows: Rows,
  temperature: number,
  mask: Mask | null,
): unknown {
  const size = rows.outer * rows.classes * rows.inner;
  const extent = [1, 1, size] as const;
  let tempered = logits;
  if (temperature !== 1) {
    tempered = scratch(size);
    basis.binary(tempered, 'div', { buffer: logits, extent }, temperature, extent);
  }
  if (mask !== null) {
    const kept = scratch(size);
    selectMasked(basis, kept, mask, tempered, Number.NEGATIVE_INFINITY, rows);
    tempered = kept;
  }
  return tempered;
}
