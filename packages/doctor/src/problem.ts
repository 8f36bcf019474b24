import {
  formatShape,
  isTensor,
  readInput,
  resolveAxis,
  type Shape,
  SoftgradError,
  sameShape,
  sizeOf,
  type TensorInput,
  withoutAxis,
} from '@softgrad/core';
import { softmaxRows } from './host-softmax.js';

/** How the losses of a batch become one number, where the question is about a cross-entropy. */
export type LossReduction = 'mean' | 'sum';

/** What is known of the computation whose gradient is looked at. Arrays are float64 matrices (n, f), classes last. */
export interface Problem {
  /** The shape that the logits have in the caller's layout. */
  readonly shape: Shape;
  /** The axis that adds up to 1, an index from 0. */
  readonly axis: number;
  /** The dimensions without the axis; their product is n. */
  readonly batch: Shape;
  readonly n: number;
  readonly f: number;
  /** Logits, where they are known. */
  readonly x: Float64Array | null;
  /** Probabilities. */
  readonly s: Float64Array;
  /** Upstream gradient. */
  readonly g: Float64Array | null;
  /** Target probabilities. */
  readonly y: Float64Array | null;
  /** True unless the target was given as probabilities. */
  readonly indices: boolean;
  /** True where the upstream was seen to be s − y, which is no gradient in the probabilities; it is then the target's. */
  readonly fused: boolean;
  readonly temperature: number;
  readonly reduction: LossReduction | null;
}

export interface ProblemInput {
  readonly logits?: TensorInput | undefined;
  readonly probabilities?: TensorInput | undefined;
  readonly upstream?: TensorInput | undefined;
  readonly target?: TensorInput | undefined;
  readonly axis?: number | undefined;
  readonly temperature?: number | undefined;
  readonly reduction?: LossReduction | undefined;
}

/** An array of the caller's in float64, in the caller's layout. */
export interface HostValues {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/**
 * Reads and checks what the caller knows.
 *
 * @throws ERR_SHAPE, ERR_DTYPE, ERR_AXIS, ERR_VALUE, each naming the argument, the entry and what was expected
 */
export function readProblem(input: ProblemInput): Problem {
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
  const temperature = checkTemperature(input.temperature ?? 1);
  const reduction = input.reduction ?? null;
  if (reduction !== null && reduction !== 'mean' && reduction !== 'sum') {
    throw new SoftgradError('ERR_VALUE', `diagnose: reduction ${String(reduction)}; expected 'mean' or 'sum'`);
  }
  const f = shape[axis];
  const n = data.length / f;
  const rows = { outer: n, classes: f, inner: 1 };
  const canonical = classesLast(data, shape, axis);
  const x = name === 'logits' ? canonical : null;
  if (x) checkLogits(x, shape, axis, f);
  else checkProbabilities(canonical, shape, axis, n, f);
  const s = x ? softmaxRows(x, rows, temperature) : canonical;
  const g = input.upstream === undefined ? null : readUpstream(input.upstream, shape, axis);
  const { y, indices } = input.target === undefined ? noTarget : readTarget(input.target, shape, axis, f);
  const base = { shape, axis, batch: withoutAxis(shape, axis), n, f, x, s, temperature, reduction };
  const inferred = g && targetOfFused(s, g, n, f, y);
  if (inferred) return { ...base, g: null, y: inferred, indices: y === null || indices, fused: true };
  return { ...base, g, y, indices, fused: false };
}

/** Advice is then for class indices, which most targets are. */
const noTarget = { y: null, indices: true };

function signalOf(input: ProblemInput): { source: TensorInput; name: 'logits' | 'probabilities' } {
  const { logits, probabilities } = input;
  if (logits !== undefined && probabilities !== undefined) {
    throw new SoftgradError('ERR_VALUE', 'diagnose: both logits and probabilities are given; expected one of them');
  }
  if (logits !== undefined) return { source: logits, name: 'logits' };
  if (probabilities !== undefined) return { source: probabilities, name: 'probabilities' };
  throw new SoftgradError('ERR_VALUE', 'diagnose: neither logits nor probabilities are given; expected one of them');
}

/** @throws ERR_VALUE unless finite and above 0 */
function checkTemperature(temperature: number): number {
  if (Number.isFinite(temperature) && temperature > 0) return temperature;
  const found =
    typeof temperature === 'number' ? `temperature ${temperature}` : `temperature is a ${typeof temperature}`;
  throw new SoftgradError('ERR_VALUE', `diagnose: ${found}; expected a finite number above 0`);
}

/** An argument in float64. @throws ERR_DTYPE, ERR_SHAPE naming it */
export function readValues(name: string, input: unknown): HostValues {
  if (isTensor(input)) {
    throw new SoftgradError('ERR_DTYPE', `diagnose: ${name} is a tensor; expected host data: await ${name}.array()`);
  }
  try {
    const { shape, data } = readInput(input, undefined, 'float64');
    return { shape, data: data as Float64Array };
  } catch (error) {
    if (!(error instanceof SoftgradError)) throw error;
    throw new SoftgradError(error.code, `diagnose: ${name}: ${error.message.replace(/^tensor: /, '')}`);
  }
}

/** The values with `axis` moved to the end. */
export function classesLast(data: Float64Array, shape: Shape, axis: number): Float64Array {
  if (axis === shape.length - 1) return data;
  const classes = shape[axis];
  const inner = sizeOf(shape.slice(axis + 1));
  const moved = new Float64Array(data.length);
  for (let k = 0; k < data.length; k++) {
    const within = k % (classes * inner);
    const row = Math.floor(k / (classes * inner)) * inner + (within % inner);
    moved[row * classes + Math.floor(within / inner)] = data[k];
  }
  return moved;
}

/** Where entry k of the (n, f) matrix is in the caller's layout: `[2][0]`. */
export function placeOf(k: number, shape: Shape, axis: number): string {
  const path: number[] = new Array(shape.length);
  path[axis] = k % shape[axis];
  let rest = Math.floor(k / shape[axis]);
  for (let d = shape.length - 1; d >= 0; d--) {
    if (d === axis) continue;
    path[d] = rest % shape[d];
    rest = Math.floor(rest / shape[d]);
  }
  return path.map((index) => `[${index}]`).join('');
}

function checkLogits(x: Float64Array, shape: Shape, axis: number, f: number): void {
  const wrong = x.findIndex((value) => Number.isNaN(value) || value === Number.POSITIVE_INFINITY);
  if (wrong >= 0) {
    throw new SoftgradError(
      'ERR_VALUE',
      `diagnose: logits${placeOf(wrong, shape, axis)} is ${x[wrong]}; expected a finite number or -Infinity (masked out). The fault lies before the softmax`,
    );
  }
  for (let first = 0; first < x.length; first += f) {
    if (x.subarray(first, first + f).every((value) => value === Number.NEGATIVE_INFINITY)) {
      throw new SoftgradError(
        'ERR_VALUE',
        `diagnose: logits: the row of ${placeOf(first, shape, axis)} is -Infinity throughout, so its softmax is NaN; expected one class at least that is not masked out`,
      );
    }
  }
}

/** Half-precision or printed probabilities add up to 1 only so far. */
const sumSlack = 0.01;

function checkProbabilities(s: Float64Array, shape: Shape, axis: number, n: number, f: number): void {
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
  for (let row = 0; row < n; row++) {
    let sum = 0;
    for (let k = row * f; k < (row + 1) * f; k++) sum += s[k];
    if (Math.abs(sum - 1) <= sumSlack) continue;
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

/** Target probabilities out of class indices (the shape without the axis) or probabilities (the shape of the logits). */
function readTarget(input: TensorInput, shape: Shape, axis: number, f: number): { y: Float64Array; indices: boolean } {
  const target = readValues('target', input);
  if (sameShape(target.shape, shape)) {
    const y = classesLast(target.data, shape, axis);
    const wrong = y.findIndex((value) => !(value >= 0 && Number.isFinite(value)));
    if (wrong < 0) return { y, indices: false };
    throw new SoftgradError(
      'ERR_VALUE',
      `diagnose: target${placeOf(wrong, shape, axis)} is ${y[wrong]}; expected a probability`,
    );
  }
  const batch = withoutAxis(shape, axis);
  const column = [...batch, 1];
  if (!sameShape(target.shape, batch) && !sameShape(target.shape, column)) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `diagnose: target is ${formatShape(target.shape)}; expected class indices ${formatShape(batch)} or probabilities ${formatShape(shape)}`,
    );
  }
  const y = new Float64Array(target.data.length * f);
  const fromOne = target.data.every((value) => value >= 1 && value <= f) && target.data.includes(f);
  target.data.forEach((value, row) => {
    if (!Number.isInteger(value) || value < 0 || value >= f) {
      const hint = fromOne ? `; these count from 1: take 1 off` : '';
      throw new SoftgradError(
        'ERR_VALUE',
        `diagnose: target entry ${row} is ${value}; expected a class index from 0 to ${f - 1}${hint}`,
      );
    }
    y[row * f + value] = 1;
  });
  return { y, indices: true };
}

/** An inferred target's 1 may be off by this much (probabilities are known to four digits or better). */
const oneHotSlack = 1e-4;
/** Largest difference between an upstream and s − y, relative to the largest upstream, at which they are the same. */
const fusedSlack = 1e-3;

/**
 * The target, where the upstream gradient is s − y (or that over n): the gradient of the cross-entropy in the logits,
 * which has been through the softmax already.
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
    const y = given ?? s.map((value, k) => (Math.abs(value - factor * g[k] - 1) <= oneHotSlack ? 1 : 0));
    if (!given && !isOneHot(y, f)) continue;
    let difference = 0;
    let size = 0;
    for (let k = 0; k < s.length; k++) {
      difference = Math.max(difference, Math.abs(s[k] - y[k] - factor * g[k]));
      size = Math.max(size, Math.abs(factor * g[k]));
    }
    // Relative to the upstream: where the softmax is saturated, s − y and any small upstream are alike in absolute terms.
    if (difference < fusedSlack * size) return y;
  }
  return null;
}

function isOneHot(y: Float64Array, f: number): boolean {
  for (let first = 0; first < y.length; first += f) {
    let ones = 0;
    for (let k = first; k < first + f; k++) ones += y[k];
    if (ones !== 1) return false;
  }
  return true;
}
