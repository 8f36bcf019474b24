import type { Rows } from '../backend.js';
import { describe, stated } from '../describe.js';
import { type HostArray, hostArray } from '../dtype.js';
import { SoftgradError } from '../errors.js';
import type { OutOption } from '../linear-operator.js';
import { keptOf, withMask } from '../mask.js';
import { checkTemperature, composed, compute, type FloatTensor, fused, layout, operand, operandLike } from '../op.js';
import { checkOptions, optionNames } from '../options.js';
import { type Shape, withoutAxis } from '../shape.js';
import { allocate, type Tensor } from '../tensor.js';
import { type ComposedCrossEntropy, composeCrossEntropy } from './cross-entropy-composed.js';
import { type CrossEntropyTarget, meanDivisor, withTarget } from './cross-entropy-target.js';
import type { SoftmaxOptions } from './softmax.js';

/** Options of cross-entropy, named and defined as PyTorch's. */
export interface CrossEntropyOptions extends Omit<SoftmaxOptions, 'out'> {
  /** ε in [0, 1]: the target becomes (1 − ε) target + ε/K over the K classes (those that the mask keeps). Default 0. */
  readonly labelSmoothing?: number | undefined;
  /** One weight a class, finite. Default 1 for all. */
  readonly weight?: readonly number[] | Float32Array | Float64Array | undefined;
  /** Rows with this class index have loss and gradient 0 and do not count in the mean. Default −100. */
  readonly ignoreIndex?: number | undefined;
  /** 'mean' (over rows; with class indices weighted by the target's weight), 'sum', or 'none' (one loss a row). Default 'mean'. */
  readonly reduction?: 'mean' | 'sum' | 'none' | undefined;
}

/** What `crossEntropy` gives: the loss, and its derivative in the shape of the logits. */
export interface CrossEntropyResult {
  readonly loss: Tensor;
  readonly gradient: Tensor;
}

export interface CrossEntropy {
  (
    logits: Tensor,
    target: CrossEntropyTarget,
    options?: CrossEntropyOptions & { readonly out?: Partial<CrossEntropyResult> | undefined },
  ): CrossEntropyResult;
  /** The loss alone. */
  loss(logits: Tensor, target: CrossEntropyTarget, options?: CrossEntropyOptions & OutOption): Tensor;
  /** The gradient alone: `∂ loss / ∂ logits`; for reduction 'none', of the sum of the losses. */
  gradient(logits: Tensor, target: CrossEntropyTarget, options?: CrossEntropyOptions & OutOption): Tensor;
  /** The gradient times the upstream gradient of the loss, which has the loss's shape. */
  vjp(logits: Tensor, target: CrossEntropyTarget, cotangent: Tensor, options?: CrossEntropyOptions & OutOption): Tensor;
  /** The change of the loss along a direction of the logits, in the loss's shape. */
  jvp(logits: Tensor, target: CrossEntropyTarget, tangent: Tensor, options?: CrossEntropyOptions & OutOption): Tensor;
}

const name = 'crossEntropy';
const scalar: Shape = Object.freeze([]);

/** The operands of a call, checked. */
interface Call {
  readonly x: FloatTensor;
  readonly rows: Rows;
  readonly reduced: Shape;
  readonly reduction: 'mean' | 'sum' | 'none';
  readonly lossShape: Shape;
  readonly parameters: ComposedCrossEntropy;
  /** The mean over no rows is 0/0. */
  readonly undefinedMean: boolean;
}

function withCall<T>(
  operation: string,
  logits: Tensor,
  target: CrossEntropyTarget,
  options: CrossEntropyOptions,
  body: (call: Call) => T,
): T {
  checkOptions(operation, options, optionNames.crossEntropy);
  const x = operand(operation, 'logits', logits);
  const { axis, rows } = layout(operation, x, options.axis ?? -1);
  const reduced = withoutAxis(x.shape, axis);
  const temperature = checkTemperature(operation, options.temperature ?? 1);
  const { labelSmoothing = 0, ignoreIndex = -100, reduction = 'mean' } = options;
  if (typeof labelSmoothing !== 'number' || !(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw new SoftgradError('ERR_VALUE', `${operation}: ${stated('labelSmoothing', labelSmoothing)}; expected 0 to 1`);
  }
  if (!Number.isInteger(ignoreIndex)) {
    throw new SoftgradError('ERR_VALUE', `${operation}: ${stated('ignoreIndex', ignoreIndex)}; expected an integer`);
  }
  if (reduction !== 'mean' && reduction !== 'sum' && reduction !== 'none') {
    throw new SoftgradError('ERR_VALUE', `${operation}: reduction '${reduction}'; expected 'mean', 'sum' or 'none'`);
  }
  const weightHost = readWeight(operation, options.weight, rows.classes, x);
  return withMask(operation, options.mask, x, rows, (mask) =>
    withTarget(operation, target, x, reduced, rows, { ignoreIndex, mask }, (laid) => {
      const divisor = reduction === 'mean' ? meanDivisor(laid, weightHost, ignoreIndex, rows) : 1;
      const weight = weightHost && allocate(x.backend, rows.classes, x.dtype);
      try {
        if (weightHost) x.backend.write(weight, weightHost);
        return body({
          x,
          rows,
          reduced,
          reduction,
          lossShape: reduction === 'none' ? reduced : scalar,
          undefinedMean: divisor === 0,
          parameters: {
            temperature,
            mask,
            target: laid,
            weight,
            labelSmoothing,
            ignoreIndex,
            scale: divisor === 0 ? 0 : 1 / divisor,
          },
        });
      } finally {
        if (weightHost) x.backend.free(weight);
      }
    }),
  );
}

function readWeight(
  operation: string,
  weight: CrossEntropyOptions['weight'],
  classes: number,
  x: FloatTensor,
): HostArray | null {
  if (weight === undefined) return null;
  if (!Array.isArray(weight) && !ArrayBuffer.isView(weight)) {
    throw new SoftgradError(
      'ERR_DTYPE',
      `${operation}: weight is ${describe(weight)}; expected an array of ${classes} numbers, one a class`,
    );
  }
  if (weight.length !== classes) {
    throw new SoftgradError('ERR_SHAPE', `${operation}: weight has ${weight.length} entries for ${classes} classes`);
  }
  const own = hostArray(classes, x.dtype);
  for (let c = 0; c < classes; c++) {
    own[c] = weight[c];
    if (!Number.isFinite(own[c])) {
      throw new SoftgradError('ERR_VALUE', `${operation}: weight[${c}] is ${weight[c]}; expected a finite number`);
    }
  }
  return own;
}

/** Row losses and gradient into buffers, either of which may be null. */
function into(call: Call, out: { readonly loss: unknown; readonly gradient: unknown }): void {
  const { x, rows, parameters } = call;
  const { mask, target } = parameters;
  const forKernel = { ...parameters, mask: mask && { buffer: mask.buffer, outer: mask.outer } };
  if (fused(x.backend, 'crossEntropy', out, x.buffer, rows, { ...forKernel, target })) return;
  composed(name, 'crossEntropy', x, (basis, scratch) => composeCrossEntropy(basis, scratch, out, x, rows, parameters));
}

/** Has `write` make one number a row and reduces them into `out`; where there is nothing to reduce it is `ofNothing`. */
function reduceRows(
  operation: string,
  call: Call,
  out: unknown,
  ofNothing: number,
  write: (rowLosses: unknown) => void,
): void {
  const { x, rows, reduction, undefinedMean } = call;
  const count = rows.outer * rows.inner;
  if (reduction === 'none') {
    if (rows.classes > 0) {
      write(out);
      return;
    }
    x.backend.write(out, hostArray(count, x.dtype));
    return;
  }
  if (count === 0 || rows.classes === 0 || undefinedMean) {
    x.backend.write(out, hostArray(1, x.dtype).fill(ofNothing));
    return;
  }
  composed(operation, null, x, (basis, scratch) => {
    const losses = scratch(count);
    write(losses);
    basis.reduce(out, 'sum', losses, { outer: 1, classes: count, inner: 1 });
  });
}

/** The mean over no rows is 0/0, the sum 0. */
function lossOfNothing({ undefinedMean }: Call): number {
  return undefinedMean ? Number.NaN : 0;
}

function both(
  logits: Tensor,
  target: CrossEntropyTarget,
  options: CrossEntropyOptions & { readonly out?: Partial<CrossEntropyResult> | undefined } = {},
): CrossEntropyResult {
  const { out } = checkOptions(name, options, optionNames.crossEntropy);
  if (out !== undefined) checkOptions(`${name}: out`, out, optionNames.crossEntropyOut);
  if (out?.loss !== undefined && out.loss === out.gradient) {
    throw new SoftgradError('ERR_VALUE', `${name}: out.loss and out.gradient are one tensor; expected two`);
  }
  return withCall(name, logits, target, options, (call) => {
    const { x, lossShape } = call;
    const inputs = [x.buffer, call.parameters.target.buffer];
    let loss: Tensor | undefined;
    const gradient = compute(name, x, x.shape, out?.gradient, inputs, (gradientBuffer) => {
      loss = compute(name, x, lossShape, out?.loss, inputs, (lossBuffer) =>
        reduceRows(name, call, lossBuffer, lossOfNothing(call), (rowLosses) =>
          into(call, { loss: rowLosses, gradient: gradientBuffer }),
        ),
      );
      if (call.undefinedMean) into(call, { loss: null, gradient: gradientBuffer });
    });
    loss ??= compute(name, x, lossShape, out?.loss, inputs, (lossBuffer) =>
      reduceRows(name, call, lossBuffer, lossOfNothing(call), () => {}),
    );
    return { loss, gradient };
  });
}

function loss(logits: Tensor, target: CrossEntropyTarget, options: CrossEntropyOptions & OutOption = {}): Tensor {
  const operation = `${name}.loss`;
  return withCall(operation, logits, target, options, (call) =>
    compute(operation, call.x, call.lossShape, options.out, [call.x.buffer, call.parameters.target.buffer], (out) =>
      reduceRows(operation, call, out, lossOfNothing(call), (rowLosses) =>
        into(call, { loss: rowLosses, gradient: null }),
      ),
    ),
  );
}

function gradient(logits: Tensor, target: CrossEntropyTarget, options: CrossEntropyOptions & OutOption = {}): Tensor {
  const operation = `${name}.gradient`;
  return withCall(operation, logits, target, options, (call) =>
    compute(operation, call.x, call.x.shape, options.out, [call.x.buffer, call.parameters.target.buffer], (out) =>
      into(call, { loss: null, gradient: out }),
    ),
  );
}

function vjp(
  logits: Tensor,
  target: CrossEntropyTarget,
  cotangent: Tensor,
  options: CrossEntropyOptions & OutOption = {},
): Tensor {
  const operation = `${name}.vjp`;
  return withCall(operation, logits, target, options, (call) => {
    const { x, rows, lossShape } = call;
    const g = operandLike(operation, 'cotangent', cotangent, x, lossShape);
    return compute(operation, x, x.shape, options.out, [x.buffer, g.buffer], (out) =>
      composed(operation, 'crossEntropy', x, (basis, scratch) => {
        const full = [rows.outer, rows.classes, rows.inner] as const;
        const slope = scratch(x.size);
        into(call, { loss: null, gradient: slope });
        const extent = call.reduction === 'none' ? ([rows.outer, 1, rows.inner] as const) : ([1, 1, 1] as const);
        basis.binary(out, 'mul', { buffer: slope, extent: full }, { buffer: g.buffer, extent }, full);
      }),
    );
  });
}

function jvp(
  logits: Tensor,
  target: CrossEntropyTarget,
  tangent: Tensor,
  options: CrossEntropyOptions & OutOption = {},
): Tensor {
  const operation = `${name}.jvp`;
  return withCall(operation, logits, target, options, (call) => {
    const { x, rows, lossShape } = call;
    const t = operandLike(operation, 'tangent', tangent, x);
    return compute(operation, x, lossShape, options.out, [x.buffer, t.buffer], (out) =>
      reduceRows(operation, call, out, 0, (rowChanges) =>
        composed(operation, 'crossEntropy', x, (basis, scratch) => {
          const extent = [1, 1, x.size] as const;
          const slope = scratch(x.size);
          const product = scratch(x.size);
          into(call, { loss: null, gradient: slope });
          basis.binary(product, 'mul', { buffer: slope, extent }, { buffer: t.buffer, extent }, extent);
          basis.reduce(rowChanges, 'sum', keptOf(basis, scratch, product, call.parameters.mask, rows), rows);
        }),
      ),
    );
  });
}

/**
 * Cross-entropy between softmax(logits / T) and a target, with its gradient, in one pass:
 * `loss_n = −Σ_c q_nc log p_nc` and `∂loss_n/∂x = (p Σ q − q) / T`, which does not vanish where softmax saturates.
 *
 * `target` is class indices (shape of the logits without the axis: an int32 tensor or plain integers) or probabilities (shape
 * of the logits). Label smoothing, class weights, ignoreIndex and reduction mean what they mean in
 * `torch.nn.functional.cross_entropy`. The loss is a scalar tensor, or one number a row for reduction 'none'. For the mean over
 * rows that are all ignored the loss is NaN and the gradient 0.
 *
 * @throws ERR_SHAPE, ERR_DTYPE, ERR_AXIS, ERR_BACKEND_MISMATCH, ERR_DISPOSED, ERR_OUT_OF_MEMORY; ERR_VALUE for a class index
 *   that is no class or that the mask takes out, and for options outside their domain
 * @example
 * const { loss, gradient } = crossEntropy(tensor([[1, 2, 3]]), [2]);
 * await loss.array(); // 0.4076
 * await gradient.array(); // [[0.0900, 0.2447, -0.3348]]
 */
export const crossEntropy: CrossEntropy = /* @__PURE__ */ Object.assign(both, { loss, gradient, vjp, jvp });
