import { elements } from '../reference/row-entries.js';
import { type ErrorCode, isSoftgradError } from '../src/index.js';

/** The initial value of every float of an output, before the kernel runs. */
export const poison = -7.25;

/** The values of a failed comparison. */
export interface Mismatch {
  readonly what: string;
  readonly got: ArrayLike<number>;
  readonly expected: ArrayLike<number>;
  /** The element that the message names. */
  readonly element: number;
  /** The largest error that each element may have; 0 where the numbers must be the same. */
  readonly bound: ArrayLike<number>;
  /** The error of each element divided by its bound: above 1, the element is wrong. */
  readonly timesBound: ArrayLike<number>;
}

// Not a property of the error, because test runners print all properties of an error.
const mismatches = new WeakMap<Error, Mismatch>();

/**
 * The values behind the error of a case that compares: what was expected, what came, and by how many times its bound each element is off. Undefined
 * for any other error.
 *
 * @example
 * mismatchOf(new Error('of another kind')) === undefined; // true
 */
export function mismatchOf(error: unknown): Mismatch | undefined {
  return error instanceof Error ? (mismatches.get(error) ?? mismatchOf(error.cause)) : undefined;
}

function mismatch(message: string, values: Mismatch): Error {
  const error = new Error(message);
  mismatches.set(error, values);
  return error;
}

/** @throws Error unless every element is within its tolerance; NaN and infinities must match exactly */
export function assertClose(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: ArrayLike<number>,
): void {
  assertLength(what, actual, expected.length);
  let worst = -1;
  let largest = 1;
  let wrong = 0;
  const [values, right, bounds] = [inFloat64(actual), inFloat64(expected), inFloat64(tolerance)];
  for (let i = 0; i < right.length; i++) {
    const bound = bounds[i] ?? Number.NaN;
    // What most elements are, without a division. An infinite bound admits the expected number only.
    if (Math.abs((values[i] ?? Number.NaN) - (right[i] ?? Number.NaN)) <= bound && bound < Number.POSITIVE_INFINITY)
      continue;
    const used = usedBy(i, values, right, bounds);
    if (used > 1) wrong++;
    if (used > largest) {
      largest = used;
      worst = i;
    }
  }
  if (worst < 0) return;
  const bound = (tolerance[worst] ?? Number.NaN).toPrecision(3);
  const times = Number.isFinite(largest) ? `, ${largest.toPrecision(3)} times the bound of ${Number(bound)}` : '';
  const factor = commonFactor(actual, expected, tolerance);
  const multiple = factor === null ? '' : `; all are ${factor} times the expected numbers`;
  const many = `${wrong} of ${expected.length} are wrong${multiple}`;
  const failure = mismatchAt(worst, what, actual, expected, tolerance);
  if (actual[worst] === poison) throw mismatch(`${unwritten(what, worst, expected)}; ${many}`, failure);
  const message = `${what}: element ${worst} is ${actual[worst]}, expected ${expected[worst]}${times}; ${many}`;
  throw mismatch(message, failure);
}

/** The same numbers in an array of one type: reading one of many types takes several times as long, and results come in all of them. */
function inFloat64(values: ArrayLike<number>): Float64Array {
  return values instanceof Float64Array ? values : new Float64Array(values);
}

/**
 * The ratio of the elements to the expected ones, to three digits, if all have the same: a kernel that leaves out a sign, the temperature or the number of rows
 * gives one. Otherwise null. Elements near their tolerance are not considered, nor are infinities and NaN that are expected.
 */
function commonFactor(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: ArrayLike<number>,
): number | null {
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  let count = 0;
  for (let i = 0; i < expected.length; i++) {
    const [got = Number.NaN, right = Number.NaN, bound = Number.NaN] = [actual[i], expected[i], tolerance[i]];
    const isNoise = Math.abs(right) <= 1e4 * bound && Math.abs(got) <= 1e4 * bound;
    if (isNoise || (!Number.isFinite(right) && Object.is(got, right))) continue;
    const factor = got / right;
    if (!Number.isFinite(factor)) return null;
    least = Math.min(least, factor);
    most = Math.max(most, factor);
    count++;
  }
  const factor = Number(((least + most) / 2).toPrecision(3));
  // Fewer elements may have a common factor by chance.
  return count >= 3 && factor !== 0 && factor !== 1 && most - least <= 1e-3 * Math.abs(factor) ? factor : null;
}

function usedBy(
  i: number,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: ArrayLike<number>,
): number {
  return toleranceUsed(actual[i] ?? Number.NaN, expected[i] ?? Number.NaN, tolerance[i] ?? Number.NaN);
}

function mismatchAt(
  element: number,
  what: string,
  got: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: ArrayLike<number>,
): Mismatch {
  const timesBound = elements(expected.length, (i) => usedBy(i, got, expected, tolerance));
  const bound = elements(expected.length, (i) => boundOf(tolerance[i] ?? Number.NaN));
  return { what, got, expected, element, bound, timesBound };
}

/** An infinite or NaN tolerance, as of a row that the mask empties, admits the expected number only. */
function boundOf(tolerance: number): number {
  return Number.isFinite(tolerance) ? tolerance : 0;
}

/** No kernel computes the value that the output was filled with: the element was not written. */
function unwritten(what: string, index: number, expected: ArrayLike<number>): string {
  const value = String(poison).replace('-', '−');
  return `${what}: element ${index} was not written: it still has the initial value ${value}, expected ${expected[index]}`;
}

/** The error of an element divided by its tolerance; a value above 1 is a failure. */
export function toleranceUsed(actual: number, expected: number, tolerance: number): number {
  if (Object.is(actual, expected) || actual === expected) return 0;
  const used = Math.abs(actual - expected) / tolerance;
  // Otherwise an infinite or NaN tolerance would accept everything.
  return Number.isFinite(tolerance) && !Number.isNaN(used) ? used : Number.POSITIVE_INFINITY;
}

/** @throws Error unless the elements are the same numbers, bit for bit except for the sign of 0 */
export function assertSame(what: string, actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  assertLength(what, actual, expected.length);
  for (let i = 0; i < expected.length; i++) {
    if (actual[i] !== expected[i] && !Object.is(actual[i], expected[i])) {
      const values = mismatchAt(i, what, actual, expected, new Float64Array(expected.length));
      if (actual[i] === poison) throw mismatch(unwritten(what, i, expected), values);
      throw mismatch(`${what}: element ${i} is ${actual[i]}, expected ${expected[i]}`, values);
    }
  }
}

/** @throws Error with the message unless the condition holds */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

/** @throws Error unless `action` throws, or rejects with, a SoftgradError of this code */
export async function assertThrows(what: string, code: ErrorCode, action: () => unknown): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (isSoftgradError(error) && error.code === code) return;
    throw new Error(`${what}: expected ${code}, got ${describe(error)}`, { cause: error });
  }
  throw new Error(`${what}: expected ${code}, nothing was thrown`);
}

function assertLength(what: string, actual: ArrayLike<number>, length: number): void {
  if (actual.length !== length) throw new Error(`${what}: ${actual.length} elements, expected ${length}`);
}

function describe(error: unknown): string {
  if (isSoftgradError(error)) return `${error.code} (${error.message})`;
  return error instanceof Error ? `${error.name} (${error.message})` : String(error);
}
