import type { CrossEntropyParameters } from '../backend/interface.js';
import { allocate } from '../backend/limits.js';
import { inOperation, SoftgradError } from '../errors.js';
import { checkOptions } from '../options.js';
import type { HostArray } from '../tensor/dtype.js';
import { withMask } from '../tensor/mask.js';
import { type FloatTensor, operand } from '../tensor/operands.js';
import { type Shape, withoutAxis } from '../tensor/shape.js';
import { isTensor, type Tensor } from '../tensor/tensor.js';
import { itself, type ReadArgument, type TensorLike, withArguments } from './arguments.js';
import { readWeight, type Weighting, weightingOf } from './class-weights.js';
import { checkedOptions, crossEntropyNames, type Outputs } from './cross-entropy-options.js';
import { type CrossEntropyTarget, type DeviceTarget, withTarget } from './cross-entropy-target.js';
import type { Call } from './evaluate.js';
import { softmaxSettings } from './settings.js';

export const name = 'crossEntropy';
const scalar: Shape = Object.freeze([]);

/** A call of cross-entropy: its target and options, checked and copied to the backend. */
export interface TargetCall
  extends Call,
    Omit<CrossEntropyParameters<unknown>, 'mask' | 'target' | 'temperature'>,
    Pick<Weighting, 'undefinedMean'> {
  readonly x: FloatTensor;
  readonly target: DeviceTarget;
  readonly weightHost: HostArray | null;
  readonly reduction: 'mean' | 'sum' | 'none';
  readonly lossShape: Shape;
}

/** Checks the arguments of a function of cross-entropy, puts target, weights and mask on the backend, and calls `body` with them. */
export function withCall<T>(
  operation: string,
  logits: TensorLike,
  directions: readonly unknown[],
  target: CrossEntropyTarget,
  options: Outputs<unknown>,
  body: (call: TargetCall, read: ReadArgument) => T,
): T {
  checkOptions(operation, options, crossEntropyNames);
  // Products with a direction are composed.
  const kernel = directions.length === 0 ? name : null;
  return inOperation(operation, () => {
    if (isTensor(logits) && directions.every(isTensor)) {
      return onTensors(operation, kernel, logits, target, options, (call) => body(call, itself));
    }
    return withArguments(operation, [logits, ...directions, options.out, target], (read) =>
      onTensors(operation, kernel, read('logits', logits), target, options, (call) => body(call, read)),
    );
  });
}

/** @throws ERR_VALUE for probabilities: softmax would be applied to them once more */
function checkLogits(operation: string, { origin }: FloatTensor): void {
  if (origin?.operation !== 'softmax' && origin?.operation !== 'softmin') return;
  throw new SoftgradError(
    'ERR_VALUE',
    `${operation}: logits were made by ${origin.operation}; pass the logits themselves, because crossEntropy applies softmax to them`,
  );
}

function onTensors<T>(
  operation: string,
  kernel: Call['kernel'],
  logits: Tensor,
  target: CrossEntropyTarget,
  options: Outputs<unknown>,
  body: (call: TargetCall) => T,
): T {
  const x = operand(operation, 'logits', logits);
  checkLogits(operation, x);
  if (target === undefined || target === null) {
    throw new SoftgradError('ERR_DTYPE', `${operation}: target is ${target}; expected class indices or probabilities`);
  }
  const { axis, rows, temperature, mask: laid } = softmaxSettings(operation, x, options, name);
  const { backend, dtype } = x;
  const checked = checkedOptions(operation, options);
  const { labelSmoothing, ignoreIndex, givenIgnoreIndex, reduction } = checked;
  const reduced = withoutAxis(x.shape, axis);
  const weightGiven = readWeight(operation, options.weight, rows.classes, x);
  return withMask(backend, laid, (mask) =>
    withTarget(target, { operation, logits: x, reduced, rows, ignoreIndex: givenIgnoreIndex, mask }, (onBackend) => {
      const { weight: weightHost, scale, undefinedMean } = weightingOf(onBackend, weightGiven, checked, dtype, rows);
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
          kernel,
          x,
          target: onBackend,
          weight,
          weightHost,
          labelSmoothing,
          ignoreIndex,
          scale,
          reduction,
          lossShape: reduction === 'none' ? reduced : scalar,
          undefinedMean,
        };
        return body(call);
      } finally {
        if (weightHost) backend.free(weight);
      }
    }),
  );
}
