import { functionName } from '../copies.js';
import { SoftgradError } from '../errors.js';
import { checkMembers, namesOf } from '../options.js';
import { operandLike } from '../tensor/operands.js';
import type { Tensor, TensorOfFloats } from '../tensor/tensor.js';
import type { Like, LikeOfRank, RowsOf } from '../tensor/typed.js';
import type { DirectionLike, FloatLike, TensorLike } from './arguments.js';
import { name, type TargetCall, withCall } from './cross-entropy-call.js';
import {
  changeAlong,
  curvatureAlong,
  gradientTimes,
  lossOfNothing,
  ofLoss,
  reduceRows,
  writeLossAndGradient,
} from './cross-entropy-formula.js';
import type { CrossEntropyOptions, Outputs } from './cross-entropy-options.js';
import type { CrossEntropyTarget } from './cross-entropy-target.js';
import { directionsOf } from './definition.js';
import { composed } from './evaluate.js';
import { compute } from './result.js';
import type { OutOption } from './settings.js';

/** The result of `crossEntropy`: the loss, and its derivative in the shape of the logits. */
export interface CrossEntropyResult<X = Tensor, O = CrossEntropyOptions> {
  readonly loss: LossOf<X, O>;
  readonly gradient: Like<X>;
}

/** Tensors to write the results into. */
type OutTensors = Readonly<Partial<Record<keyof CrossEntropyResult, TensorOfFloats>>>;

/** A scalar, or one number per row for reduction 'none'; of any rank if the type of the reduction is not known. */
type LossOf<X, O> = 'reduction' extends keyof O
  ? O['reduction'] extends 'none'
    ? RowsOf<X>
    : O['reduction'] extends 'mean' | 'sum'
      ? LikeOfRank<X, 0>
      : LikeOfRank<X, number>
  : LikeOfRank<X, 0>;

export interface CrossEntropy {
  <X extends FloatLike, const O extends Outputs<OutTensors> = Record<never, never>>(
    logits: X,
    target: CrossEntropyTarget,
    options?: O,
  ): CrossEntropyResult<X, O>;
  /**
   * The loss alone: a scalar for reduction 'mean' and 'sum', one number a row (the logits' shape without the axis) for 'none'.
   *
   * @throws as `crossEntropy`
   * @example
   * await crossEntropy.loss(tensor([[1, 2, 3]]), [2]).array(); // 0.4076
   */
  loss<X extends FloatLike, const O extends CrossEntropyOptions & OutOption = Record<never, never>>(
    logits: X,
    target: CrossEntropyTarget,
    options?: O,
  ): LossOf<X, O>;
  /**
   * The gradient alone, `∂ loss / ∂x = (p Σ q − q) / T` divided as the reduction says; for reduction 'none', of the sum of the losses. In the
   * shape and dtype of the logits, O(f) a row. Rows that are ignored and entries that are masked are 0.
   *
   * @throws as `crossEntropy`
   * @example
   * await crossEntropy.gradient(tensor([[1, 2, 3]]), [2]).array(); // [[0.0900, 0.2447, -0.3348]]
   */
  gradient<X extends FloatLike>(
    logits: X,
    target: CrossEntropyTarget,
    options?: CrossEntropyOptions & OutOption,
  ): Like<X>;
  /**
   * The vector-Jacobian product: the gradient times the upstream gradient of the loss, for a loss that is only a part of another one. In the
   * shape and dtype of the logits.
   *
   * @param cotangent the upstream gradient of the loss, in its shape: one number for 'mean' and 'sum', one for each row for 'none'
   * @throws as `crossEntropy`
   * @example
   * await crossEntropy.vjp(tensor([[1, 2, 3]]), [2], 0.5).array(); // [[0.0450, 0.1224, -0.1674]]
   */
  vjp<X extends FloatLike>(
    logits: X,
    target: CrossEntropyTarget,
    cotangent: DirectionLike,
    options?: CrossEntropyOptions & OutOption,
  ): Like<X>;
  /**
   * The Jacobian-vector product: the change of the loss along a direction of the logits, in the loss's shape.
   *
   * @param tangent a direction of the logits, in their shape
   * @throws as `crossEntropy`
   * @example
   * await crossEntropy.jvp(tensor([[1, 2, 3]]), [2], tensor([[0, 0, 1]])).array(); // -0.3348
   */
  jvp<X extends FloatLike, const O extends CrossEntropyOptions & OutOption = Record<never, never>>(
    logits: X,
    target: CrossEntropyTarget,
    tangent: DirectionLike,
    options?: O,
  ): LossOf<X, O>;
  /**
   * The second derivative: that of `vjp` along a tangent of the logits, `g Σ_c q_nc · p ⊙ (t − ⟨p, t⟩) / T²` over each row with
   * p = softmax(x / T), divided as the reduction says. Same shape and dtype as the logits, O(f) a row, no matrix is made. Rows that are
   * ignored and entries that are masked are 0.
   *
   * With cotangent 1 it is the Hessian of the loss times t. Only Σ q depends on the target (it is 1 without weights), so the Hessian is the
   * Fisher information of softmax regression, and the generalised Gauss–Newton matrix of a network with logits x(w) is Jᵀ H J: push a
   * direction of w through the network's jvp, call this, pull the result back by its vjp.
   *
   * @param cotangent the upstream gradient of the loss, in its shape: one number for 'mean' and 'sum', one for each row for 'none'
   * @param tangent a direction of the logits
   * @throws as `crossEntropy`
   * @example
   * await crossEntropy.hvp(tensor([[1, 2, 3]]), [2], 1, tensor([[1, 0, 0]])).array(); // [[0.0819, -0.0220, -0.0599]]
   */
  hvp<X extends FloatLike>(
    logits: X,
    target: CrossEntropyTarget,
    cotangent: DirectionLike,
    tangent: DirectionLike,
    options?: CrossEntropyOptions & OutOption,
  ): Like<X>;
}

const outNames = /* @__PURE__ */ namesOf<CrossEntropyResult>({ loss: true, gradient: true });

function both(
  logits: TensorLike,
  target: CrossEntropyTarget,
  options: Outputs<OutTensors> = {},
): Readonly<Record<keyof CrossEntropyResult, Tensor>> {
  return withCall(name, logits, [], target, options, (call) => {
    const { x, lossShape } = call;
    const { out } = options;
    if (out !== undefined) checkMembers(`${name}: out`, ' is', out, outNames);
    if (out?.loss !== undefined && out.loss === out.gradient) {
      throw new SoftgradError('ERR_VALUE', `${name}: out.loss and out.gradient are one tensor; expected two`);
    }
    const inputs = [x.buffer, call.target.buffer];
    const lossBy = (fill: (buffer: unknown) => void) =>
      compute(name, x, lossShape, out?.loss, inputs, fill, 'out.loss');
    const gradientBy = (fill: (buffer: unknown) => void) =>
      compute(name, x, x.shape, out?.gradient, inputs, fill, 'out.gradient');
    const reduceInto = (buffer: unknown, write: (rowLosses: unknown) => void) =>
      reduceRows(call, buffer, lossOfNothing(call), write);
    if (x.size === 0) {
      const gradient = gradientBy(() => {});
      try {
        return { loss: lossBy((buffer) => reduceInto(buffer, () => {})), gradient };
      } catch (error) {
        if (gradient !== out?.gradient) gradient.dispose();
        throw error;
      }
    }
    let gradient: Tensor | undefined;
    // There is memory for both before one of them is written.
    const loss = lossBy((lossBuffer) => {
      gradient = gradientBy((gradientBuffer) => {
        if (call.undefinedMean) writeLossAndGradient(call, { loss: null, gradient: gradientBuffer });
        reduceInto(lossBuffer, (rowLosses) =>
          writeLossAndGradient(call, { loss: rowLosses, gradient: gradientBuffer }),
        );
      });
    });
    return { loss, gradient: gradient as Tensor };
  });
}

/** A function with one result, which `write` computes from the buffers of its directions. */
function define(
  member: 'loss' | 'gradient' | 'vjp' | 'jvp' | 'hvp',
  write: (call: TargetCall, out: unknown, ...directions: readonly unknown[]) => void,
) {
  const operation = `${name}.${member}`;
  const directions = member === 'loss' ? [] : directionsOf[member];
  return (logits: TensorLike, target: CrossEntropyTarget, ...rest: readonly unknown[]): Tensor => {
    const { [directions.length]: options = {} } = rest as readonly (CrossEntropyOptions & OutOption)[];
    const given = directions.map((_, k) => rest[k]);
    return withCall(operation, logits, given, target, options, (call, read) => {
      const { x, lossShape } = call;
      const buffers = directions.map((direction, k) => {
        const expected = direction === 'cotangent' ? lossShape : x.shape;
        return operandLike(operation, direction, read(direction, given[k]), x, expected).buffer;
      });
      const inputs = [x.buffer, call.target.buffer, ...buffers];
      const shape = member === 'loss' || member === 'jvp' ? lossShape : x.shape;
      return compute(operation, x, shape, options.out, inputs, (out) => write(call, out, ...buffers));
    });
  };
}

const loss = /* @__PURE__ */ define('loss', (call, out) =>
  reduceRows(call, out, lossOfNothing(call), (rowLosses) =>
    writeLossAndGradient(call, { loss: rowLosses, gradient: null }),
  ),
);

const gradient = /* @__PURE__ */ define('gradient', (call, out) =>
  writeLossAndGradient(call, { loss: null, gradient: out }),
);

const vjp = /* @__PURE__ */ define('vjp', (call, out, cotangent) =>
  composed(call, (m) => m.assign(out, gradientTimes(m, call, 'entries')(ofLoss(m, call, cotangent)))),
);

const jvp = /* @__PURE__ */ define('jvp', (call, out, tangent) =>
  reduceRows(call, out, 0, (rowChanges) =>
    composed(call, (m) => m.assign(rowChanges, changeAlong(m, call, m.entries(tangent)))),
  ),
);

// The loss is Σ q logSumExp(x / T) − ⟨q, x / T⟩, and the second term is linear.
const hvp = /* @__PURE__ */ define('hvp', (call, out, cotangent, tangent) =>
  composed(call, (m) => m.assign(out, curvatureAlong(m, call, ofLoss(m, call, cotangent), m.entries(tangent)))),
);

/**
 * Cross-entropy between softmax(logits / T) and a target, with its gradient, in one pass:
 * `loss_n = −Σ_c q_nc log p_nc` and `∂loss_n/∂x = (p Σ q − q) / T`, which does not vanish where softmax saturates.
 *
 * Here `q_nc = α_c ((1 − ε) d_nc + ε/K)`, d the target, ε the label smoothing and α the class weights. K is the number of classes that the
 * mask keeps in the row, and q is 0 for the others: a row with masked classes has the loss of the row without them.
 *
 * The classes are along `axis`, by default the last one. In PyTorch they are along dim 1: for its logits of (N, C, d1, …) pass `{ axis: 1 }`.
 *
 * `target` is class indices (shape of the logits without the axis: an int32 tensor or plain integers) or probabilities (shape
 * of the logits), which are used as they are, as in PyTorch: that they add up to 1 and are neither negative nor NaN is not checked. Label smoothing, class weights, ignoreIndex and reduction mean what they mean in
 * `torch.nn.functional.cross_entropy`. The loss is a scalar tensor, or one number a row for reduction 'none'. For the mean over
 * rows that are all ignored or of weight 0 the loss is NaN and the gradient 0; where weights cancel, both are NaN or ±Infinity.
 *
 * @throws ERR_SHAPE, ERR_DTYPE, ERR_AXIS, ERR_BACKEND_MISMATCH, ERR_DISPOSED, ERR_OUT_OF_MEMORY; ERR_VALUE for a class index
 *   out of range or of a masked class, for options outside their domain, for a result of softmax in place of the logits, and for one of logSoftmax as the target
 * @example
 * const { loss, gradient } = crossEntropy(tensor([[1, 2, 3]]), [2]);
 * await loss.array(); // 0.4076
 * await gradient.array(); // [[0.0900, 0.2447, -0.3348]]
 * @example
 * const options = { labelSmoothing: 0.2, mask: [[true, true, true, false]] };
 * await crossEntropy.loss([[1, 2, 3, 4]], [2], options).array(); // 0.6076, as of [[1, 2, 3]] without the mask
 */
export const crossEntropy = /* @__PURE__ */ Object.assign(both, {
  [functionName]: 'crossEntropy',
  loss,
  gradient,
  vjp,
  jvp,
  hvp,
}) as CrossEntropy;
