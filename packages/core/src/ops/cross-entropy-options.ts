import { SoftgradError } from '../errors.js';
import { namesOf } from '../options.js';
import { shortened } from '../shortened.js';
import { describeOption } from '../tensor/describe.js';
import type { SoftmaxOptions } from './settings.js';

/** Options of cross-entropy, named and defined as PyTorch's. */
export interface CrossEntropyOptions extends Omit<SoftmaxOptions, 'out'> {
  /** ε in [0, 1]: the target becomes (1 − ε) target + ε/K over the K classes (those that the mask keeps). Default 0. */
  readonly labelSmoothing?: number | undefined;
  /** One weight a class, finite. Default 1 for all. */
  readonly weight?: readonly number[] | Float32Array | Float64Array | undefined;
  /**
   * Rows with this class index have loss and gradient 0 and do not count in the mean. An integer, which int32 need not hold; with probabilities as
   * the target only a negative one, which ignores none. Default −100.
   */
  readonly ignoreIndex?: number | undefined;
  /** 'mean' (over rows; with class indices weighted by the target's weight), 'sum', or 'none' (one loss a row). Default 'mean'. */
  readonly reduction?: 'mean' | 'sum' | 'none' | undefined;
}

/** The options with `out`, which is one tensor, or two for the loss and the gradient. */
export type Outputs<O> = CrossEntropyOptions & { readonly out?: O | undefined };

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

/** Label smoothing, ignoreIndex and reduction of a call, as kernels and class weights use them. */
export type CheckedOptions = Omit<ReturnType<typeof checkedOptions>, 'givenIgnoreIndex'>;

/** Whether int32, the dtype of class indices on a backend, holds the integer. */
export function isInt32(index: number): boolean {
  return index === (index | 0);
}

/** Label smoothing, ignoreIndex (as int32, and as given) and reduction with their defaults. @throws ERR_VALUE */
export function checkedOptions(operation: string, options: CrossEntropyOptions) {
  const { labelSmoothing = 0, ignoreIndex = -100, reduction = 'mean' } = options;
  if (typeof labelSmoothing !== 'number' || !(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${operation}: ${describeOption('labelSmoothing', labelSmoothing)}; expected 0 to 1`,
    );
  }
  if (!Number.isInteger(ignoreIndex)) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${operation}: ${describeOption('ignoreIndex', ignoreIndex)}; expected an integer`,
    );
  }
  if (reduction !== 'mean' && reduction !== 'sum' && reduction !== 'none') {
    throw new SoftgradError(
      'ERR_VALUE',
      `${operation}: reduction '${shortened(String(reduction))}'; expected 'mean', 'sum' or 'none'`,
    );
  }
  // No class has an index beyond int32, nor −1: as the label of ignored rows on a backend, −1 is equivalent.
  return {
    labelSmoothing,
    ignoreIndex: isInt32(ignoreIndex) ? ignoreIndex : -1,
    givenIgnoreIndex: ignoreIndex,
    reduction,
  };
}
