import type { Value } from '../backend/algebra.js';
import type { CrossEntropyParameters } from '../backend/interface.js';
import { SoftgradError } from '../errors.js';
import { checkOptions, namesOf } from '../options.js';
import { describe, stated } from '../tensor/describe.js';
import { type HostArray, hostArray, largestFinite } from '../tensor/dtype.js';
import { withMask } from '../tensor/mask.js';
import { type FloatTensor, operand, operandLike } from '../tensor/operands.js';
import { type Shape, withoutAxis } from '../tensor/shape.js';
import { allocate, isTensor, type Tensor } from '../tensor/tensor.js';
import type { Like, LikeOfRank, RowsOf } from '../tensor/typed.js';
import {
  balancedWeight,
  type CrossEntropyTarget,
  indexTotals,
  type LaidTarget,
  meanDivisor,
  oneHot,
  smoothingShares,
  withTarget,
} from './cross-entropy-target.js';
import {
  type Argument,
  type Call,
  composed,
  compute,
  type Expressions,
  fill,
  isBeyondKernels,
  type SoftmaxOptions,
  softmaxSettings,
  withTensors,
} from './define.js';
import type { OutOption, TensorLike } from './linear-operator.js';
import { logSoftmaxDefinition } from './log-softmax.js';
import { logSumExpDefinition } from './log-sum-exp.js';

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
export interface CrossEntropyResult<X = Tensor, O = CrossEntropyOptions> {
  readonly loss: LossOf<X, O>;
  readonly gradient: Like<X>;
}

/** A scalar, or one number a row for reduction 'none'; of any rank where types do not know which. */
type LossOf<X, O> = 'reduction' extends keyof O
  ? O['reduction'] extends 'none'
    ? RowsOf<X>
    : O['reduction'] extends 'mean' | 'sum'
      ? LikeOfRank<X, 0>
      : LikeOfRank<X, number>
  : LikeOfRank<X, 0>;

export interface CrossEntropy {
  <X extends TensorLike, const O extends Outputs<Partial<CrossEntropyResult>> = Record<never, never>>(
    logits: X,
    target: CrossEntropyTarget,
    options?: O,
  ): CrossEntropyResult<X, O>;
  /** The loss alone. */
  loss<X extends TensorLike, const O extends CrossEntropyOptions & OutOption = Record<never, never>>(
    logits: X,
    target: CrossEntropyTarget,
    options?: O,
  ): LossOf<X, O>;
  /** The gradient alone: `∂ loss / ∂ logits`; for reduction 'none', of the sum of the losses. */
  gradient<X extends TensorLike>(
    logits: X,
    target: CrossEntropyTarget,
    options?: CrossEntropyOptions & OutOption,
  ): Like<X>;
  /** The gradient times the upstream gradient of the loss, which has the loss's shape. */
  vjp<X extends TensorLike>(
    logits: X,
    target: CrossEntropyTarget,
    cotangent: TensorLike,
    options?: CrossEntropyOptions & OutOption,
  ): Like<X>;
  /** The change of the loss along a direction of the logits, in the loss's shape. */
  jvp<X extends TensorLike, const O extends CrossEntropyOptions & OutOption = Record<never, never>>(
    logits: X,
    target: CrossEntropyTarget,
    tangent: TensorLike,
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
   * @param cotangent the upstream gradient of the loss, in its shape: one number for 'mean' and 'sum', one a row for 'none'
   * @param tangent a direction of the logits
   * @throws as `crossEntropy`
   * @example
   * await crossEntropy.hvp(tensor([[1, 2, 3]]), [2], 1, tensor([[1, 0, 0]])).array(); // [[0.0819, -0.0220, -0.0599]]
   */
  hvp<X extends TensorLike>(
    logits: X,
    target: CrossEntropyTarget,
    cotangent: TensorLike,
    tangent: TensorLike,
    options?: CrossEntropyOptions & OutOption,
  ): Like<X>;
}

const name = 'crossEntropy';
const scalar: Shape = Object.freeze([]);

type Outputs<O> = CrossEntropyOptions & { readonly out?: O | undefined };

/** The names of the options that cross-entropy takes. */
export const crossEntropyNames = /* @__PURE__ */ namesOf<Outputs<unknown>>({
  axis: true,
  temperature: true,
  mask: true,
  labelSmoothing: true,
  weight: true,
  ignoreIndex: true,
  reduction: true,
  out: true,
});
const outNames = /* @__PURE__ */ namesOf<CrossEntropyResult>({ loss: true, gradient: true });

/** A call with its target and its own options, checked and on the backend. */
interface TargetCall extends Call, Omit<CrossEntropyParameters<unknown>, 'mask' | 'target' | 'temperature'> {
  readonly x: FloatTensor;
  readonly target: LaidTarget;
  readonly weightHost: HostArray | null;
  readonly reduction: 'mean' | 'sum' | 'none';
  readonly lossShape: Shape;
  /** The mean over no rows is 0/0. */
  readonly undefinedMean: boolean;
}

/** Has `body` make the result of a function of cross-entropy, whose logits and direction may be what `tensor` takes. */
function withCall<T>(
  member: 'loss' | 'gradient' | 'vjp' | 'jvp' | 'hvp' | null,
  logits: TensorLike,
  directions: readonly Argument[],
  target: CrossEntropyTarget,
  options: Outputs<unknown>,
  body: (call: TargetCall, ...directions: readonly Tensor[]) => T,
): T {
  const operation = member === null ? name : `${name}.${member}`;
  checkOptions(operation, options, crossEntropyNames);
  const along = directions.map(([, given]) => given);
  if (isTensor(logits) && along.every(isTensor)) return onTensors(operation, logits, along, target, options, body);
  const like = [options.out, target].find(isTensor);
  return withTensors(operation, ['logits', logits], directions, like, (x, ...tensors) =>
    onTensors(operation, x, tensors, target, options, body),
  );
}

function onTensors<T>(
  operation: string,
  logits: Tensor,
  directions: readonly Tensor[],
  target: CrossEntropyTarget,
  options: Outputs<unknown>,
  body: (call: TargetCall, ...directions: readonly Tensor[]) => T,
): T {
  const x = operand(operation, 'logits', logits);
  const { axis, rows, temperature, mask: laid } = softmaxSettings(operation, x, options, name);
  const { backend, dtype } = x;
  const { labelSmoothing, ignoreIndex, reduction } = checkedOptions(operation, options);
  const reduced = withoutAxis(x.shape, axis);
  const weightGiven = readWeight(operation, options.weight, rows.classes, x);
  return withMask(backend, laid, (mask) =>
    withTarget(operation, target, x, reduced, rows, { ignoreIndex, mask }, (onBackend) => {
      const isMean = reduction === 'mean';
      const weightHost = isMean ? balancedWeight(onBackend, weightGiven, ignoreIndex, dtype) : weightGiven;
      const divisor = isMean ? meanDivisor(onBackend, weightHost, ignoreIndex, rows) : 1;
      const weight = weightHost && allocate(backend, rows.classes, dtype);
      try {
        if (weightHost) backend.write(weight, weightHost);
        const call: TargetCall = {
          operation,
          backend,
          dtype,
          rows,
          temperature,
          mask,
          x,
          target: onBackend,
          weight,
          weightHost,
          labelSmoothing,
          // No class index is −1, and none is beyond int32, which kernels would wrap.
          ignoreIndex: ignoreIndex === (ignoreIndex | 0) ? ignoreIndex : -1,
          scale: divisor === 0 ? 0 : 1 / divisor,
          reduction,
          lossShape: reduction === 'none' ? reduced : scalar,
          undefinedMean: divisor === 0,
        };
        return body(call, ...directions);
      } finally {
        if (weightHost) backend.free(weight);
      }
    }),
  );
}

function checkedOptions(operation: string, options: CrossEntropyOptions) {
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
  return { labelSmoothing, ignoreIndex, reduction };
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
    const value: unknown = weight[c];
    if (typeof value !== 'number') {
      throw new SoftgradError('ERR_DTYPE', `${operation}: weight[${c}] is ${describe(value)}; expected a number`);
    }
    own[c] = value;
    if (!Number.isFinite(own[c])) {
      throw new SoftgradError('ERR_VALUE', `${operation}: weight[${c}] is ${value}; expected a finite number`);
    }
  }
  return own;
}

/** One number a row and an entry each: the loss and the gradient; either may be null. */
interface Written {
  readonly loss: unknown;
  readonly gradient: unknown;
}

/** Row losses and gradient into buffers, by the kernel or composed. */
function into(call: TargetCall, out: Written): void {
  const { backend, x, rows } = call;
  const kernel = isBeyondKernels(call) ? undefined : backend.kernels?.crossEntropy;
  if (kernel && kernel(out, x.buffer, rows, call) !== false) return;
  composed(call, 'crossEntropy', (m) => {
    const { loss, gradient } = formula(m, call);
    const values = [out.loss === null ? null : loss(), out.gradient === null ? null : gradient()] as const;
    if (values[0] !== null) m.assign(out.loss, values[0]);
    if (values[1] !== null) m.assign(out.gradient, values[1]);
  });
}

/**
 * With y = logSoftmax(x/T), p = exp(y) and the target weights q: `loss = −scale Σ q y = scale (Σ q (max − x/T) − max y Σ q)` and
 * `gradient = scale/T (p Σ q − q)`. For a p above ½ that would cancel, and is computed as `p Σ_others q − q Σ_others p`.
 */
function formula<B>(m: Expressions<B>, call: TargetCall) {
  const q = targetWeights(m, call);
  const x = whereCounted(m, call, m.entries(call.x.buffer as B));
  const y = m.of(logSoftmaxDefinition.value, x);
  // Σ q (max − x/T) and the logarithm apart: y itself may overflow where q y does not. Kept finite for rows that are masked altogether.
  const logarithm = () => m.smaller(m.neg(m.max(y)), largestFinite(m.dtype));
  return {
    loss: () => m.mul(m.add(m.expectedGap(q, x), m.mul(logarithm(), m.sum(q))), call.scale),
    gradient: () => {
      const p = m.exp(y);
      const top = m.dominates(p);
      const total = m.select(top, m.sum(m.select(top, 0, q)), m.sum(q));
      const own = m.select(top, m.mul(q, m.complement(p)), q);
      return m.div(m.mul(m.sub(m.mul(p, total), own), call.scale), call.temperature);
    },
  };
}

/** Values, 0 throughout in ignored rows: what is in those has no influence, NaN or not. */
function whereCounted<B>(m: Expressions<B>, { rows, target, ignoreIndex }: TargetCall, x: Value<B>): Value<B> {
  if (target.kind !== 'indices' || !target.host.includes(ignoreIndex)) return x;
  const counts = hostArray(target.host.length, 'bool');
  for (let row = 0; row < counts.length; row++) counts[row] = target.host[row] === ignoreIndex ? 0 : 1;
  return m.select(m.host(counts, [rows.outer, 1, rows.inner], 'bool'), x, 0);
}

/** The target weights q: one-hot or given probabilities, smoothed, weighted by class, 0 where masked or ignored. */
function targetWeights<B>(m: Expressions<B>, call: TargetCall): Value<B> {
  const { target, labelSmoothing, weight, rows } = call;
  let q =
    target.kind === 'probabilities'
      ? m.entries(target.buffer as B)
      : m.host(oneHot(target.host, rows, call.ignoreIndex, m.dtype), [rows.outer, rows.classes, rows.inner]);
  if (labelSmoothing > 0) {
    const shares = m.host(smoothingShares(call), [rows.outer, 1, rows.inner]);
    q = m.add(m.mul(q, 1 - labelSmoothing), shares);
  }
  if (weight !== null) q = m.mul(q, m.given(weight as B, [1, rows.classes, 1]));
  return m.keep(q, 0);
}

/** Has `write` make one number a row and reduces them into `out`; where there is nothing to reduce it is `ofNothing`. */
function reduceRows(call: TargetCall, out: unknown, ofNothing: number, write: (rowValues: unknown) => void): void {
  const { x, rows, reduction, undefinedMean } = call;
  const count = rows.outer * rows.inner;
  if (reduction === 'none') {
    if (rows.classes > 0) write(out);
    else fill(x, out, count, 0);
    return;
  }
  if (count === 0 || rows.classes === 0 || undefinedMean) {
    fill(x, out, 1, ofNothing);
    return;
  }
  composed(call, null, (m) => {
    const values = m.computed([rows.outer, 1, rows.inner], [], write);
    m.assign(out, m.total(values));
  });
}

/** The mean over no rows is 0/0, the sum 0. */
function lossOfNothing({ undefinedMean }: TargetCall): number {
  return undefinedMean ? Number.NaN : 0;
}

function both(
  logits: TensorLike,
  target: CrossEntropyTarget,
  options: Outputs<Partial<CrossEntropyResult>> = {},
): CrossEntropyResult {
  return withCall(null, logits, [], target, options, (call) => {
    const { x, lossShape } = call;
    const { out } = options;
    if (out !== undefined) checkOptions(`${name}: out`, out, outNames);
    if (out?.loss !== undefined && out.loss === out.gradient) {
      throw new SoftgradError('ERR_VALUE', `${name}: out.loss and out.gradient are one tensor; expected two`);
    }
    const inputs = [x.buffer, call.target.buffer];
    const lossBy = (write: (rowLosses: unknown) => void) =>
      compute(name, x, lossShape, out?.loss, inputs, (buffer) => reduceRows(call, buffer, lossOfNothing(call), write));
    let loss: Tensor | undefined;
    const gradient = compute(name, x, x.shape, out?.gradient, inputs, (gradientBuffer) => {
      loss = lossBy((rowLosses) => into(call, { loss: rowLosses, gradient: gradientBuffer }));
      if (call.undefinedMean) into(call, { loss: null, gradient: gradientBuffer });
    });
    return { loss: loss ?? lossBy(() => {}), gradient };
  });
}

function loss(logits: TensorLike, target: CrossEntropyTarget, options: CrossEntropyOptions & OutOption = {}): Tensor {
  return withCall('loss', logits, [], target, options, (call) =>
    compute(call.operation, call.x, call.lossShape, options.out, [call.x.buffer, call.target.buffer], (out) =>
      reduceRows(call, out, lossOfNothing(call), (rowLosses) => into(call, { loss: rowLosses, gradient: null })),
    ),
  );
}

function gradient(
  logits: TensorLike,
  target: CrossEntropyTarget,
  options: CrossEntropyOptions & OutOption = {},
): Tensor {
  return withCall('gradient', logits, [], target, options, (call) =>
    compute(call.operation, call.x, call.x.shape, options.out, [call.x.buffer, call.target.buffer], (out) =>
      into(call, { loss: null, gradient: out }),
    ),
  );
}

/** The gradient as a value of an expression. */
function slope<B>(m: Expressions<B>, call: TargetCall): Value<B> {
  const { outer, classes, inner } = m.rows;
  return m.computed([outer, classes, inner], [], (out) => into(call, { loss: null, gradient: out }));
}

function vjp(
  logits: TensorLike,
  target: CrossEntropyTarget,
  cotangent: TensorLike,
  options: CrossEntropyOptions & OutOption = {},
): Tensor {
  return withCall('vjp', logits, [['cotangent', cotangent]], target, options, (call, direction) => {
    const { operation, x, lossShape, reduction } = call;
    const g = operandLike(operation, 'cotangent', direction, x, lossShape);
    return compute(operation, x, x.shape, options.out, [x.buffer, g.buffer], (out) =>
      composed(call, 'crossEntropy', (m) => {
        const upstream = reduction === 'none' ? m.byRow(g.buffer) : m.given(g.buffer, [1, 1, 1]);
        m.assign(out, m.keep(whereCounted(m, call, m.mul(slope(m, call), upstream)), 0));
      }),
    );
  });
}

function jvp(
  logits: TensorLike,
  target: CrossEntropyTarget,
  tangent: TensorLike,
  options: CrossEntropyOptions & OutOption = {},
): Tensor {
  return withCall('jvp', logits, [['tangent', tangent]], target, options, (call, direction) => {
    const { operation, x, lossShape } = call;
    const t = operandLike(operation, 'tangent', direction, x);
    return compute(operation, x, lossShape, options.out, [x.buffer, t.buffer], (out) =>
      reduceRows(call, out, 0, (rowChanges) =>
        composed(call, 'crossEntropy', (m) =>
          m.assign(rowChanges, m.sum(m.keep(whereCounted(m, call, m.mul(slope(m, call), m.entries(t.buffer))), 0))),
        ),
      ),
    );
  });
}

/** Σ_c q_c of each row: the total of the target weights. */
function targetTotals<B>(m: Expressions<B>, call: TargetCall): Value<B> {
  const { target, rows, weightHost } = call;
  if (target.kind === 'probabilities') return m.sum(targetWeights(m, call));
  return m.host(indexTotals({ ...call, host: target.host, weight: weightHost }), [rows.outer, 1, rows.inner]);
}

function hvp(
  logits: TensorLike,
  target: CrossEntropyTarget,
  cotangent: TensorLike,
  tangent: TensorLike,
  options: CrossEntropyOptions & OutOption = {},
): Tensor {
  const directions: readonly Argument[] = [
    ['cotangent', cotangent],
    ['tangent', tangent],
  ];
  return withCall('hvp', logits, directions, target, options, (call, upstream, direction) => {
    const { operation, x, lossShape, reduction, scale } = call;
    const g = operandLike(operation, 'cotangent', upstream, x, lossShape);
    const t = operandLike(operation, 'tangent', direction, x);
    return compute(operation, x, x.shape, options.out, [x.buffer, g.buffer, t.buffer], (out) =>
      composed(call, null, (m) => {
        // The loss is Σ q logSumExp(x / T) − ⟨q, x / T⟩, and the second term is linear.
        const ofRow = reduction === 'none' ? m.byRow(g.buffer) : m.given(g.buffer, [1, 1, 1]);
        const factor = m.mul(targetTotals(m, call), m.mul(ofRow, scale));
        const counted = (buffer: unknown) => whereCounted(m, call, m.entries(buffer));
        const product = m.of(logSumExpDefinition.hvp, counted(x.buffer), factor, counted(t.buffer));
        m.assign(out, whereCounted(m, call, product));
      }),
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
export const crossEntropy = /* @__PURE__ */ Object.assign(both, { loss, gradient, vjp, jvp, hvp }) as CrossEntropy;
