import { describeOption, SoftgradError, type TensorInput } from '@softgrad/core';

/** How the losses of a batch are reduced to one number. */
export type LossReduction = 'mean' | 'sum';

/** What the layer computes: the probabilities, their logarithms, a sigmoid of each entry, or a loss of the logits. */
export type Layer = 'softmax' | 'log-softmax' | 'sigmoid' | 'cross-entropy';
export const layers: readonly Layer[] = ['softmax', 'log-softmax', 'sigmoid', 'cross-entropy'];

/** The function that a layer applies to the logits: a cross-entropy has a softmax in it, and a layer that is not known is taken for one. */
export type LayerFunction = 'softmax' | 'log-softmax' | 'sigmoid';
export const everyLayer: readonly LayerFunction[] = ['softmax', 'log-softmax', 'sigmoid'];
/** Those whose cross-entropy has the gradient s − y. */
export const ofCrossEntropy: readonly ('softmax' | 'log-softmax')[] = ['softmax', 'log-softmax'];

export function functionOf(layer: Layer | null): LayerFunction {
  return layer === null || layer === 'cross-entropy' ? 'softmax' : layer;
}

export interface ProblemInput {
  readonly logits?: TensorInput | undefined;
  readonly probabilities?: TensorInput | undefined;
  readonly upstream?: TensorInput | undefined;
  readonly target?: TensorInput | undefined;
  readonly axis?: number | undefined;
  readonly temperature?: number | undefined;
  /** 'none' for the gradient of the sum of the losses, or of their weighted sum if `upstream` has one number for each row. */
  readonly reduction?: LossReduction | 'none' | undefined;
  /** What the layer computes; by default a softmax or the cross-entropy of logits. */
  readonly layer?: Layer | undefined;
  /** True (or 1) for entries to keep; broadcast as in NumPy. */
  readonly mask?: TensorInput | undefined;
  /** ε of PyTorch's label smoothing: the target becomes (1 − ε) y + ε/K. If it is not given, a gradient with an ε from 0.001 to 0.9 is right, and the ε is reported. Needs `target`. */
  readonly labelSmoothing?: number | undefined;
  /** One weight a class. Needs `target`. */
  readonly weight?: TensorInput | undefined;
  /** Rows with this class index are left out of the loss. Default −100. Needs `target`. */
  readonly ignoreIndex?: number | undefined;
}

/** The options that are no arrays, checked. */
export interface CheckedOptions {
  readonly temperature: number;
  /** False if the temperature is 1 because none was given. */
  readonly temperatureGiven: boolean;
  readonly reduction: LossReduction | null;
  readonly layer: Layer | null;
  readonly labelSmoothing: number | undefined;
  readonly ignoreIndex: number;
  /** True if the index of ignored rows was given, so that no other row is left out of the loss. */
  readonly ignoreGiven: boolean;
}

/**
 * Checks all options that are no arrays, also those that the result does not depend on.
 *
 * @throws ERR_VALUE for a value out of range, and for an option of the loss where there is no such loss
 */
export function readOptions(input: ProblemInput): CheckedOptions {
  const { temperature = 1, labelSmoothing, ignoreIndex = -100 } = input;
  if (!(Number.isFinite(temperature) && temperature > 0)) {
    throw unexpected('temperature', temperature, 'a finite number above 0');
  }
  if (
    labelSmoothing !== undefined &&
    !(Number.isFinite(labelSmoothing) && labelSmoothing >= 0 && labelSmoothing <= 1)
  ) {
    throw unexpected('labelSmoothing', labelSmoothing, '0 to 1');
  }
  if (!Number.isInteger(ignoreIndex)) throw unexpected('ignoreIndex', ignoreIndex, 'an integer');
  const reduction = readReduction(input.reduction);
  const layer = checkLayer(input.layer);
  const withoutTarget = input.target === undefined && given(input, ['labelSmoothing', 'weight', 'ignoreIndex']);
  if (withoutTarget) throw without(withoutTarget, 'target', 'both');
  const ofSoftmax = layer === 'sigmoid' && given(input, ['labelSmoothing', 'weight']);
  if (ofSoftmax) {
    throw new SoftgradError(
      'ERR_VALUE',
      `diagnose: ${ofSoftmax} is given with layer 'sigmoid'; expected another layer: it is an option of the softmax cross-entropy. For a sigmoid, ${instead[ofSoftmax]}`,
    );
  }
  return {
    temperature,
    temperatureGiven: input.temperature !== undefined,
    reduction,
    layer,
    labelSmoothing,
    ignoreIndex,
    ignoreGiven: input.ignoreIndex !== undefined,
  };
}

const instead = {
  labelSmoothing: 'give the smoothed probabilities as the target',
  weight: 'give the upstream gradient of the weighted loss',
} as const;

/** Checks what is given beside an expression without data. @throws ERR_VALUE, ERR_AXIS */
export function checkWithoutData(input: ProblemInput): void {
  const array = given(input, ['upstream', 'target', 'mask', 'weight']);
  if (array) throw without(array, 'logits or probabilities', 'one of them too');
  const { axis = -1 } = input;
  if (Number.isInteger(axis)) return;
  throw new SoftgradError('ERR_AXIS', `diagnose: ${describeOption('axis', axis)}; expected an integer`);
}

/** @throws ERR_VALUE if a reduction is given without a target: an upstream gradient is the gradient of the reduced loss already */
export function checkReduction({ y }: { readonly y: unknown }, input: ProblemInput): void {
  if (y !== null || input.reduction === undefined) return;
  throw new SoftgradError(
    'ERR_VALUE',
    'diagnose: reduction is given without target; expected both: an upstream gradient is that of the reduced loss already',
  );
}

/** The first of the options that is given. */
function given<Name extends keyof ProblemInput>(input: ProblemInput, names: readonly Name[]): Name | undefined {
  return names.find((name) => input[name] !== undefined);
}

function without(option: string, needed: string, expected: string): SoftgradError {
  return new SoftgradError('ERR_VALUE', `diagnose: ${option} is given without ${needed}; expected ${expected}`);
}

function unexpected(option: string, value: unknown, expected: string): SoftgradError {
  return new SoftgradError('ERR_VALUE', `diagnose: ${describeOption(option, value)}; expected ${expected}`);
}

/** @throws ERR_VALUE */
function readReduction(reduction: ProblemInput['reduction']): LossReduction | null {
  if (reduction === undefined) return null;
  if (reduction === 'mean' || reduction === 'sum') return reduction;
  // Without a reduction, the gradient with respect to the logits is that of the sum.
  if (reduction === 'none') return 'sum';
  throw unexpected('reduction', reduction, "'mean', 'sum' or 'none'");
}

/** @throws ERR_VALUE */
function checkLayer(layer: ProblemInput['layer']): Layer | null {
  if (layer === undefined || layers.includes(layer)) return layer ?? null;
  throw unexpected('layer', layer, `one of ${layers.map((name) => `'${name}'`).join(', ')}`);
}
