import {
  formatShape,
  resolveAxis,
  type Shape,
  SoftgradError,
  sameShape,
  type TensorInput,
  withoutAxis,
} from '@softgrad/core';
import { classesLast, placeOf, readValues } from './arrays.js';
import { at, isSet, sizeAt } from './at.js';
import { sigmoidOf, softmaxRows } from './host-softmax.js';
import { type Layer, type LossReduction, type ProblemInput, readOptions } from './input.js';
import { haveDecimals } from './precision.js';
import { readMask, readTarget, readWeight, type Target } from './target.js';

/** What is known about the computation whose gradient is diagnosed. Arrays are float64 matrices (n, f), classes last. */
export interface Problem {
  /** The shape that the logits have in the caller's layout. */
  readonly shape: Shape;
  /** The axis of the classes, along which the probabilities add up to 1; an index ≥ 0. */
  readonly axis: number;
  /** The shape without the axis; the product of its sizes is n. */
  readonly batch: Shape;
  /** The number of rows of the matrices; smaller than the batch if this is a sample of rows. */
  readonly n: number;
  /** If this is a sample of rows, the problem with all rows. */
  readonly whole?: Problem;
  readonly f: number;
  /** The layer that the caller named; null stands for a softmax or the cross-entropy of logits. */
  readonly layer: Layer | null;
  /** The logits, if known; −Infinity in masked entries. */
  readonly x: Float64Array | null;
  /** Probabilities; of a sigmoid layer, its output. */
  readonly s: Float64Array;
  /** Which entries the mask keeps, and the logits before masking. */
  readonly masked: { readonly keep: Uint8Array; readonly x: Float64Array | null } | null;
  /** Upstream gradient. */
  readonly g: Float64Array | null;
  /** Upstream gradient of the losses of the rows, if that was given. */
  readonly upstreamOfRows: Float64Array | null;
  /** The y of s − y: the target's probabilities after smoothing, class weights, ignored rows and the mask. */
  readonly y: Float64Array | null;
  /** The target as it was given, and the options of the loss. */
  readonly target: Target | null;
  /** True unless the target was given as probabilities. */
  readonly indices: boolean;
  /** True if the upstream gradient equals s − y or (s − y) / n: it is either that of ½‖s − y‖², or already the gradient in the logits. */
  readonly fused: boolean;
  readonly temperature: number;
  /** False if the temperature is 1 because none was given. */
  readonly temperatureGiven: boolean;
  readonly reduction: LossReduction | null;
}

/** The number of rows that a mean over the batch divides by. */
export function batchSize({ n, whole }: Problem): number {
  return whole ? whole.n : n;
}

/**
 * Reads and checks the arguments.
 *
 * @throws ERR_SHAPE, ERR_DTYPE, ERR_AXIS, ERR_VALUE, each naming the argument, the entry and what was expected
 */
export function readProblem(input: ProblemInput): Problem {
  const options = readOptions(input);
  const { source, name } = signalOf(input);
  const { shape, data } = readValues(name, source);
  if (shape.length === 0) {
    throw new SoftgradError('ERR_SHAPE', `diagnose: ${name} is a single number; expected rows of classes, (n, f)`);
  }
  const axis = resolveAxis('diagnose', input.axis ?? -1, shape);
  if (data.length === 0) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `diagnose: ${name} ${formatShape(shape)} is empty; expected at least one entry`,
    );
  }
  const { temperature, temperatureGiven, reduction, layer, labelSmoothing, ignoreIndex, ignoreGiven } = options;
  const f = sizeAt(shape, axis);
  const n = data.length / f;
  const signal = classesLast(data, shape, axis);
  const keep = input.mask === undefined ? null : readMask(input.mask, shape, axis);
  const { x, s } = probabilitiesOf(name, signal, keep, layer, { shape, axis, n, f, temperature });
  const masked = keep && { keep, x: name === 'logits' ? signal : null };
  const ofLoss = {
    labelSmoothing,
    ignoreIndex,
    ignoreGiven,
    weight: input.weight === undefined ? null : readWeight(input.weight, f),
    binary: layer === 'sigmoid' && f === 1,
  };
  const target = input.target === undefined ? null : readTarget(input.target, ofLoss, keep, shape, axis);
  const batch = withoutAxis(shape, axis);
  const base = {
    shape,
    axis,
    batch,
    n,
    f,
    layer,
    x,
    s,
    masked,
    temperature,
    temperatureGiven,
    reduction,
    indices: target?.indices ?? true,
    upstreamOfRows: null,
  };
  if (input.upstream === undefined) return { ...base, g: null, y: target?.y ?? null, target, fused: false };
  const rows = target && readRowUpstream(input.upstream, batch);
  if (rows) {
    const y = target.y.map((value, k) => value * at(rows, rows.length === 1 ? 0 : Math.floor(k / f)));
    const upstreamOfRows = Float64Array.from({ length: n }, (_, row) => at(rows, rows.length === 1 ? 0 : row));
    return { ...base, g: null, upstreamOfRows, y, target, fused: false };
  }
  const g = readUpstream(input.upstream, shape, axis);
  // For layer 'softmax', the upstream gradient is one with respect to the probabilities, even if it equals s − y.
  const inferred = layer === null || layer === 'cross-entropy' ? targetOfFused(s, g, n, f, target?.y ?? null) : null;
  if (!inferred) return { ...base, g, y: target?.y ?? null, target, fused: false };
  return {
    ...base,
    g: layer === null ? g : null,
    y: inferred,
    target: target ?? {
      given: inferred,
      y: inferred,
      divisor: n,
      counted: null,
      labelSmoothing: null,
      weight: null,
      ignoreGiven: false,
      ignoreIndex,
      indices: true,
    },
    fused: true,
  };
}

/** The output of the layer for these logits. */
export function outputOf(
  x: Float64Array,
  { layer, n, f }: Pick<Problem, 'layer' | 'n' | 'f'>,
  temperature: number,
): Float64Array {
  if (layer === 'sigmoid') return x.map((value) => sigmoidOf(value / temperature));
  return softmaxRows(x, { outer: n, classes: f, inner: 1 }, temperature);
}

/** Checks the input and returns it as logits (null if probabilities were given) and as the output of the layer. */
function probabilitiesOf(
  name: 'logits' | 'probabilities',
  signal: Float64Array,
  keep: Uint8Array | null,
  layer: Layer | null,
  { shape, axis, n, f, temperature }: Pick<Problem, 'shape' | 'axis' | 'n' | 'f' | 'temperature'>,
): { readonly x: Float64Array | null; readonly s: Float64Array } {
  const sigmoid = layer === 'sigmoid';
  if (name === 'logits') {
    checkLogits(signal, shape, axis, f, sigmoid);
    const x = keep ? signal.map((value, k) => (isSet(keep, k) ? value : Number.NEGATIVE_INFINITY)) : signal;
    return {
      x,
      s: outputOf(x, { layer, n, f }, temperature),
    };
  }
  const sums = (row: number) => !keep || keep.subarray(row * f, (row + 1) * f).includes(1);
  checkProbabilities(signal, shape, axis, n, f, (row) => !sigmoid && sums(row));
  const left = keep ? signal.findIndex((value, k) => value !== 0 && !isSet(keep, k)) : -1;
  if (left >= 0) {
    throw new SoftgradError(
      'ERR_VALUE',
      `diagnose: probabilities${placeOf(left, shape, axis)} is ${signal[left]} where the mask is false; expected 0, which a masked softmax gives. Give the logits to find out whether the mask was forgotten`,
    );
  }
  return { x: null, s: signal };
}

function signalOf(input: ProblemInput): { source: TensorInput; name: 'logits' | 'probabilities' } {
  const { logits, probabilities } = input;
  if (logits !== undefined && probabilities !== undefined) {
    throw new SoftgradError('ERR_VALUE', 'diagnose: both logits and probabilities are given; expected one of them');
  }
  if (logits !== undefined) return { source: logits, name: 'logits' };
  if (probabilities !== undefined) return { source: probabilities, name: 'probabilities' };
  throw new SoftgradError('ERR_VALUE', 'diagnose: neither logits nor probabilities are given; expected one of them');
}

function checkLogits(x: Float64Array, shape: Shape, axis: number, f: number, sigmoid: boolean): void {
  const wrong = x.findIndex((value) => Number.isNaN(value) || value === Number.POSITIVE_INFINITY);
  if (wrong >= 0) {
    throw new SoftgradError(
      'ERR_VALUE',
      `diagnose: logits${placeOf(wrong, shape, axis)} is ${x[wrong]}; expected a finite number or -Infinity (masked out). The fault lies before the softmax`,
    );
  }
  for (let first = 0; first < x.length && !sigmoid; first += f) {
    if (x.subarray(first, first + f).every((value) => value === Number.NEGATIVE_INFINITY)) {
      throw new SoftgradError(
        'ERR_VALUE',
        `diagnose: logits: the row of ${placeOf(first, shape, axis)} is -Infinity throughout, so its softmax is NaN; expected one class at least that is not masked out`,
      );
    }
  }
}

/** The sum of half-precision or printed probabilities may differ from 1 by this, or by as much as their last decimals allow. */
const sumSlack = 0.01;

/** With how few decimals, 2 to 4, all of the numbers are printed; null where they have more. */
function decimalsOf(data: Float64Array): number | null {
  return [2, 3, 4].find((digits) => haveDecimals(data, digits)) ?? null;
}

function checkProbabilities(
  s: Float64Array,
  shape: Shape,
  axis: number,
  n: number,
  f: number,
  sums: (row: number) => boolean,
): void {
  const wrong = s.findIndex((value) => !(value >= 0 && value <= 1 + sumSlack));
  if (wrong >= 0) {
    const hint = Number.isNaN(s[wrong])
      ? 'give the logits instead: they tell an overflow from NaN that came in'
      : 'are these logits?';
    throw new SoftgradError(
      'ERR_VALUE',
      `diagnose: probabilities${placeOf(wrong, shape, axis)} is ${s[wrong]}; expected a number from 0 to 1; ${hint}`,
    );
  }
  const digits = decimalsOf(s);
  const slack = Math.max(sumSlack, digits === null ? 0 : (f * 10 ** -digits) / 2);
  for (let row = 0; row < n; row++) {
    if (!sums(row)) continue;
    let sum = 0;
    for (let k = row * f; k < (row + 1) * f; k++) sum += at(s, k);
    if (Math.abs(sum - 1) <= slack) continue;
    throw new SoftgradError(
      'ERR_VALUE',
      `diagnose: probabilities: the row of ${placeOf(row * f, shape, axis)} adds up to ${sum.toPrecision(6)} along axis ${axis}; expected 1: another axis, or logits?`,
    );
  }
}

function readUpstream(input: TensorInput, shape: Shape, axis: number): Float64Array {
  const upstream = readValues('upstream', input);
  if (!sameShape(upstream.shape, shape)) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `diagnose: upstream is ${formatShape(upstream.shape)}; expected ${formatShape(shape)} like the logits: ∂L/∂s has the shape of s`,
    );
  }
  const g = classesLast(upstream.data, shape, axis);
  const wrong = g.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) {
    throw new SoftgradError(
      'ERR_VALUE',
      `diagnose: upstream${placeOf(wrong, shape, axis)} is ${g[wrong]}; expected a finite number. The fault lies after the softmax`,
    );
  }
  return g;
}

/** An upstream gradient with respect to the losses: a scalar or one number for each row; null if it has another shape. */
function readRowUpstream(input: TensorInput, batch: Shape): Float64Array | null {
  const { shape, data } = readValues('upstream', input);
  if (shape.length > 0 && !sameShape(shape, batch)) return null;
  return data.every(Number.isFinite) ? data : null;
}

/** Tolerance for the 1 of an inferred one-hot target (probabilities are known to four digits or better). */
const oneHotSlack = 1e-4;
/** Largest difference between the upstream gradient and s − y, relative to the upstream gradient, at which they count as equal. */
const fusedSlack = 1e-3;

/**
 * The target if the upstream gradient is s − y or (s − y) / n, otherwise null. Such an upstream gradient is that of ½‖s − y‖²
 * with respect to the probabilities, or that of the cross-entropy with respect to the logits, which already contains the Jacobian.
 */
function targetOfFused(
  s: Float64Array,
  g: Float64Array,
  n: number,
  f: number,
  given: Float64Array | null,
): Float64Array | null {
  if (f < 2) return null;
  for (const factor of [1, n]) {
    const isOne = (k: number) => Math.abs(at(s, k) - factor * at(g, k) - 1) <= oneHotSlack;
    if (!given && !isOneHot(isOne, n, f)) continue;
    const y = given ?? s.map((_, k) => (isOne(k) ? 1 : 0));
    let difference = 0;
    let size = 0;
    for (let k = 0; k < s.length; k++) {
      difference = Math.max(difference, Math.abs(at(s, k) - at(y, k) - factor * at(g, k)));
      size = Math.max(size, Math.abs(factor * at(g, k)));
    }
    // Relative to the upstream gradient: if the softmax is saturated, s − y and any small upstream gradient differ little in absolute terms.
    if (difference < fusedSlack * size) return y;
  }
  return null;
}

/** True if exactly one entry of every row is 1. */
function isOneHot(isOne: (k: number) => boolean, n: number, f: number): boolean {
  for (let row = 0; row < n; row++) {
    let ones = 0;
    for (let k = row * f; k < (row + 1) * f; k++) ones += isOne(k) ? 1 : 0;
    if (ones !== 1) return false;
  }
  return true;
}
