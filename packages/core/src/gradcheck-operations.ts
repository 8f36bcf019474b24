import * as reference from '../conformance/reference.js';
import { type ReferenceTarget, crossEntropy as referenceCrossEntropy } from '../conformance/reference-cross-entropy.js';
import { SoftgradError } from './errors.js';
import type { GradcheckFunction } from './gradcheck.js';
import { readInput } from './input.js';
import { withMask } from './mask.js';
import { type FloatTensor, layout } from './op.js';
import { type CrossEntropy, type CrossEntropyOptions, crossEntropy } from './ops/cross-entropy.js';
import type { CrossEntropyTarget } from './ops/cross-entropy-target.js';
import type { Elementwise } from './ops/elementwise.js';
import { type LogSoftmax, logSoftmax } from './ops/log-softmax.js';
import { type LogSumExp, logSumExp } from './ops/log-sum-exp.js';
import { relu } from './ops/relu.js';
import { sigmoid } from './ops/sigmoid.js';
import { type Softmax, softmax } from './ops/softmax.js';
import { softmin } from './ops/softmin.js';
import { withoutAxis } from './shape.js';
import { isTensor, type Tensor } from './tensor.js';

/** The operations that `gradcheck` knows how to compute in float64. */
export type BuiltIn = Softmax | LogSoftmax | LogSumExp | Elementwise | CrossEntropy;

/** The options of the operation that is checked. */
export interface GradcheckTarget extends CrossEntropyOptions {
  /** For crossEntropy. */
  readonly target?: CrossEntropyTarget | undefined;
}

/**
 * A built-in operation with its options as a function to check: the float64 reference beside core's own vjp.
 *
 * @throws ERR_VALUE for an operation that it does not know, or crossEntropy without a target
 */
export async function builtIn(
  operation: BuiltIn,
  x: FloatTensor,
  options: GradcheckTarget,
): Promise<GradcheckFunction> {
  if (operation === sigmoid) return elementwise('sigmoid', sigmoid, reference.sigmoid, []);
  if (operation === relu) return elementwise('relu', relu, reference.relu, [0]);
  const { axis, rows } = layout('gradcheck', x, options.axis ?? -1);
  const shared = { axis, temperature: options.temperature, mask: options.mask };
  const mask = withMask('gradcheck', options.mask, x, rows, (laid) => {
    return laid && Uint8Array.from({ length: x.size }, (_, i) => laid.host[i % laid.host.length]);
  });
  const parameters = { temperature: options.temperature ?? 1, mask };
  if (operation === softmax || operation === softmin) {
    const name = operation === softmax ? 'softmax' : 'softmin';
    const signed = { mask, temperature: operation === softmax ? parameters.temperature : -parameters.temperature };
    return {
      name,
      forward: (values) => reference.softmax(values, rows, signed),
      vjp: (input, g) => fromOutput(operation(input, shared), (s) => operation.vjp(s, g, shared)),
    };
  }
  if (operation === logSoftmax) {
    return {
      name: 'logSoftmax',
      forward: (values) => reference.logSoftmax(values, rows, parameters),
      vjp: (input, g) => fromOutput(logSoftmax(input, shared), (y) => logSoftmax.vjp(y, g, shared)),
    };
  }
  if (operation === logSumExp) {
    return {
      name: 'logSumExp',
      outputShape: withoutAxis(x.shape, axis),
      forward: (values) => reference.logSumExp(values, rows, parameters),
      vjp: (input, g) => logSumExp.vjp(input, g, shared),
    };
  }
  if (operation === crossEntropy) {
    const { target, reduction = 'mean', weight = null, labelSmoothing = 0, ignoreIndex = -100 } = options;
    if (target === undefined) {
      throw new SoftgradError(
        'ERR_VALUE',
        'gradcheck: crossEntropy needs the option target, class indices or probabilities',
      );
    }
    const reduced = withoutAxis(x.shape, axis);
    const host = await hostTarget(target, rows.outer * rows.inner);
    const passed = { ...shared, weight: options.weight, labelSmoothing, ignoreIndex, reduction };
    const own = { ...parameters, weight, labelSmoothing, ignoreIndex, reduction };
    return {
      name: 'crossEntropy',
      outputShape: reduction === 'none' ? reduced : [],
      forward: (values) => referenceCrossEntropy(values, host, rows, own).loss,
      vjp: (input, g) => crossEntropy.vjp(input, target, g, passed),
    };
  }
  throw new SoftgradError(
    'ERR_VALUE',
    'gradcheck: unknown operation; pass a built-in one, or { name, forward, vjp } for a function of your own',
  );
}

function elementwise(
  name: string,
  operation: Elementwise,
  forward: (values: Float64Array) => Float64Array,
  kinks: readonly number[],
): GradcheckFunction {
  return { name, forward, kinks, vjp: (input, g) => fromOutput(operation(input), (y) => operation.vjp(y, g)) };
}

/** A derivative that takes the output, which is made for it and disposed. */
function fromOutput(output: Tensor, derivative: (output: Tensor) => Tensor): Tensor {
  try {
    return derivative(output);
  } finally {
    output.dispose();
  }
}

/** A target on the host: class indices if there is one for each row, else probabilities. */
async function hostTarget(target: CrossEntropyTarget, rowCount: number): Promise<ReferenceTarget> {
  if (isTensor(target)) {
    return { kind: target.dtype === 'int32' ? 'indices' : 'probabilities', values: await target.data() };
  }
  const { data } = readInput(target, undefined, 'float64');
  const indices = data.length === rowCount && !(target instanceof Float32Array || target instanceof Float64Array);
  return { kind: indices ? 'indices' : 'probabilities', values: data };
}
