import { formatShape, type Shape, SoftgradError, sameShape, type TensorInput, withoutAxis } from '@softgrad/core';
import { classesLast, placeOf, readValues } from './arrays.js';
import { at, isSet, sizeAt } from './at.js';

/** The target of a cross-entropy with its options applied. (n, f) matrices, classes last. */
export interface Target {
  /** The given probabilities, or the one-hot rows of class indices; ignored rows are 0. */
  readonly given: Float64Array;
  /** The same after smoothing, class weights and the mask: the gradient of the summed losses is s Σy − y. */
  readonly y: Float64Array;
  /**
   * The divisor of PyTorch's mean: the sum of the weights of the rows that are not ignored, or the number of rows. Of rows that are all ignored
   * the gradient is 0, whatever it is divided by.
   */
  readonly divisor: number;
  /** 0 for each ignored row; null if no row is ignored. */
  readonly counted: Uint8Array | null;
  /** Null if it was not given. */
  readonly labelSmoothing: number | null;
  readonly weight: Float64Array | null;
  /** True if the index of ignored rows was given, so that no other row is left out of the loss. */
  readonly ignoreGiven: boolean;
  readonly ignoreIndex: number;
  /** True unless it was given as probabilities. */
  readonly indices: boolean;
}

export interface TargetOptions {
  readonly labelSmoothing: number | undefined;
  readonly weight: Float64Array | null;
  readonly ignoreIndex: number;
  readonly ignoreGiven: boolean;
  /** True for a sigmoid of one logit a row: its target is no class index, but the probability of the one class. */
  readonly binary: boolean;
}

/** Class indices (the shape without the axis) or probabilities (the shape of the logits). @throws ERR_SHAPE, ERR_VALUE */
export function readTarget(
  input: TensorInput,
  options: TargetOptions,
  keep: Uint8Array | null,
  shape: Shape,
  axis: number,
): Target {
  const target = readValues('target', input);
  const f = sizeAt(shape, axis);
  const { labelSmoothing = null, weight, ignoreIndex, ignoreGiven, binary } = options;
  const otherShape = !sameShape(target.shape, shape);
  if (otherShape) checkIndexShape(target.shape, shape, axis);
  const indices = otherShape && !binary;
  if (ignoreGiven && !indices) {
    throw new SoftgradError(
      'ERR_VALUE',
      `diagnose: ignoreIndex is given with a target of ${formatShape(target.shape)}; expected class indices, because it ignores rows by their class index`,
    );
  }
  const counts = indices ? target.data.map((value) => (value === ignoreIndex ? 0 : 1)) : null;
  const given = indices
    ? oneHot(target.data, ignoreIndex, keep, f)
    : checkedProbabilities(classesLast(target.data, shape, axis), shape, axis);
  const counted = counts?.includes(0) ? Uint8Array.from(counts) : null;
  const smoothed = labelSmoothing ? smooth(given, labelSmoothing, { keep, counted, f }) : given;
  const y = smoothed.map((value, k) => (keep && !isSet(keep, k) ? 0 : value * (weight ? at(weight, k % f) : 1)));
  const isIgnored = indices && target.data.every((value) => value === ignoreIndex);
  const divisor =
    indices && !isIgnored
      ? target.data.reduce((sum, value) => sum + (value === ignoreIndex ? 0 : weight ? at(weight, value) : 1), 0)
      : y.length / f;
  return { given, y, divisor, counted, labelSmoothing, weight, ignoreGiven, ignoreIndex, indices };
}

/** (1 − ε) y + ε/K, over the K classes that the mask keeps. */
export function smooth(
  y: Float64Array,
  epsilon: number,
  { keep, counted, f }: { readonly keep: Uint8Array | null; readonly counted: Uint8Array | null; readonly f: number },
  share: (classes: number) => number = (classes) => epsilon / classes,
): Float64Array {
  const shares = Float64Array.from({ length: y.length / f }, (_, row) =>
    share(keep ? keep.subarray(row * f, (row + 1) * f).reduce((sum, kept) => sum + kept, 0) : f),
  );
  return y.map((value, k) => {
    const row = Math.floor(k / f);
    if (counted && !isSet(counted, row)) return 0;
    return (1 - epsilon) * value + at(shares, row);
  });
}

function checkIndexShape(given: Shape, shape: Shape, axis: number): void {
  const fits = (batch: Shape) => sameShape(given, batch) || sameShape(given, [...batch, 1]);
  const batch = withoutAxis(shape, axis);
  if (fits(batch)) return;
  const other = shape.findIndex((_, d) => fits(withoutAxis(shape, d)));
  const hint = other < 0 ? '' : `; it fits axis ${other} (option axis, by default the last)`;
  throw new SoftgradError(
    'ERR_SHAPE',
    `diagnose: target is ${formatShape(given)}; expected class indices ${formatShape(batch)} or probabilities ${formatShape(shape)}${hint}`,
  );
}

function oneHot(indices: Float64Array, ignoreIndex: number, keep: Uint8Array | null, f: number): Float64Array {
  const y = new Float64Array(indices.length * f);
  const fromOne = indices.every((value) => value >= 1 && value <= f) && indices.includes(f);
  indices.forEach((value, row) => {
    if (value === ignoreIndex) return;
    if (!Number.isInteger(value) || value < 0 || value >= f) {
      const hint = fromOne ? '; these count from 1: take 1 off' : '';
      throw new SoftgradError(
        'ERR_VALUE',
        `diagnose: target entry ${row} is ${value}; expected a class index from 0 to ${f - 1}, or ${ignoreIndex} (ignoreIndex) for a row to ignore${hint}`,
      );
    }
    if (keep && !isSet(keep, row * f + value)) {
      throw new SoftgradError('ERR_VALUE', `diagnose: target entry ${row} is class ${value}, which is masked`);
    }
    y[row * f + value] = 1;
  });
  return y;
}

function checkedProbabilities(y: Float64Array, shape: Shape, axis: number): Float64Array {
  const wrong = y.findIndex((value) => !(value >= 0 && Number.isFinite(value)));
  if (wrong < 0) return y;
  const value = at(y, wrong);
  const hint = value < 0 ? '; of logits or log-probabilities, pass the softmax' : '';
  throw new SoftgradError(
    'ERR_VALUE',
    `diagnose: target${placeOf(wrong, shape, axis)} is ${value}; expected a probability${hint}`,
  );
}

/** One weight a class. @throws ERR_SHAPE, ERR_VALUE */
export function readWeight(input: TensorInput, f: number): Float64Array {
  const { shape, data } = readValues('weight', input);
  if (data.length !== f) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `diagnose: weight is ${formatShape(shape)}; expected ${f} numbers, one a class`,
    );
  }
  const wrong = data.findIndex((value) => !(value >= 0 && Number.isFinite(value)));
  if (wrong < 0) return data;
  throw new SoftgradError(
    'ERR_VALUE',
    `diagnose: weight[${wrong}] is ${at(data, wrong)}; expected a finite number from 0`,
  );
}

/** The mask as 1 for kept entries, classes last. @throws ERR_SHAPE, ERR_VALUE */
export function readMask(input: TensorInput, shape: Shape, axis: number): Uint8Array {
  const mask = readValues('mask', input);
  const wrong = mask.data.findIndex((value) => value !== 0 && value !== 1);
  if (wrong >= 0) {
    throw new SoftgradError(
      'ERR_VALUE',
      `diagnose: mask entry ${wrong} is ${at(mask.data, wrong)}; expected true or 1 where an entry takes part, false or 0 where it does not`,
    );
  }
  return Uint8Array.from(classesLast(broadcast(mask, shape), shape, axis));
}

/** Broadcasts the values to a shape by NumPy's rule. @throws ERR_SHAPE */
function broadcast(mask: { readonly shape: Shape; readonly data: Float64Array }, shape: Shape): Float64Array {
  const offset = shape.length - mask.shape.length;
  const fits = offset >= 0 && mask.shape.every((size, d) => size === 1 || size === shape[d + offset]);
  if (!fits) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `diagnose: mask is ${formatShape(mask.shape)}; expected ${formatShape(shape)} like the logits, or what broadcasts to it`,
    );
  }
  const size = shape.reduce((product, length) => product * length, 1);
  return Float64Array.from({ length: size }, (_, k) => {
    let index = 0;
    let step = 1;
    let rest = k;
    for (let d = shape.length - 1; d >= offset; d--) {
      const length = sizeAt(shape, d);
      const own = sizeAt(mask.shape, d - offset);
      if (own > 1) index += (rest % length) * step;
      step *= own;
      rest = Math.floor(rest / length);
    }
    return at(mask.data, index);
  });
}
