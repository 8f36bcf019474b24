import { type FloatDType, isSoftgradError } from '../src/index.js';
import { type Mismatch, mismatchOf } from './check.js';
import { exceededElements } from './exceeded.js';
import { layout } from './inputs.js';

/** From the first to the last, inclusive. */
export type Range = readonly [first: number, last: number];

/** A shape with one dimension that runs through a range, because kernels fail at sizes around their tile sizes. */
export type Sweep = readonly (number | Range)[];

/** Row lengths: all up to 67, then lengths around the powers of two. */
export const lengthRanges: Record<FloatDType, readonly Range[]> = {
  float32: [
    [1, 8],
    [9, 16],
    [17, 33],
    [34, 50],
    [51, 67],
    [127, 129],
    [255, 257],
    [1023, 1025],
    [4095, 4097],
  ],
  float64: [
    [1, 9],
    [15, 17],
    [31, 33],
    [63, 65],
    [127, 129],
    [255, 257],
    [1023, 1025],
    [4095, 4097],
  ],
  float16: [
    [1, 9],
    [31, 33],
    [255, 257],
  ],
};

/** Lengths of rows that are not contiguous in memory. */
export const columnRanges: readonly Range[] = [
  [1, 9],
  [15, 17],
  [31, 33],
  [63, 65],
  [127, 129],
  [1023, 1025],
];

/** Numbers of short rows, which kernels put several to a vector or a workgroup. */
export const rowRanges: readonly Range[] = [
  [1, 9],
  [15, 17],
  [31, 33],
  [63, 65],
  [127, 129],
];

/**
 * Sizes from 2^k to 2^(k+1) − 1: the power of two, sizes just above and below one, and some between them. Divided by any smaller power of two they have
 * different remainders, because kernels work on whole vectors and tiles and treat the rest of a row separately, by its size.
 */
export function sizesFrom(k: number): readonly number[] {
  // Integers throughout: a size that an engine holds as a float makes the kernels that get it slower for as long as the process lives.
  const n = 1 << k;
  return [n, n + 1, 9 * (n >> 3), 5 * (n >> 2) + 6, 3 * (n >> 1) + 3, 7 * (n >> 2) + 5, 2 * n - 6, 2 * n - 1];
}

/** Four of these sizes. */
function fewSizesFrom(k: number): readonly number[] {
  return sizesFrom(k).filter((_, i) => i === 0 || i === 3 || i === 4 || i === 7);
}

/** The integers from the first to the last, inclusive. */
export function integers(first: number, last: number): readonly number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** Numbers of short rows between those of `rowRanges` and beyond. */
export const numbersOfRows: readonly number[] = integers(5, 9).flatMap(fewSizesFrom);

/** As written in an id: `3x1..8`. */
export function showSweep(sweep: Sweep): string {
  return sweep.map((size) => (typeof size === 'number' ? size : `${size[0]}..${size[1]}`)).join('x');
}

/** The largest size along an axis. */
export function largest(sweep: Sweep, axis: number): number {
  const most = sweep.map((size) => (typeof size === 'number' ? size : size[1]));
  return layout(most, axis).classes;
}

/** Checks every shape of a sweep; all are enqueued before the first result is awaited. @throws the first failure, after all are done */
export async function checkSweep(sweep: Sweep, check: (shape: readonly number[]) => Promise<void>): Promise<void> {
  const range = sweep.find((size) => typeof size !== 'number');
  if (range === undefined) throw new Error(`no dimension of ${showSweep(sweep)} runs through a range`);
  const [first, last] = range;
  const shapes = Array.from({ length: last - first + 1 }, (_, i) =>
    sweep.map((size) => (typeof size === 'number' ? size : first + i)),
  );
  const outcomes = await Promise.allSettled(shapes.map(check));
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

/**
 * Checks all items; all are enqueued before the first result is awaited.
 *
 * @throws Error after all are done, with the parameters of the first item that failed
 */
export async function checkEach<T>(
  items: readonly T[],
  parametersOf: (item: T) => string,
  check: (item: T) => Promise<void>,
): Promise<void> {
  const outcomes = await Promise.all(
    items.map((item) =>
      check(item).then(
        () => [],
        (error: unknown) => [{ item, error }],
      ),
    ),
  );
  const failures = outcomes.flat();
  // Without a basis, a kernel that declines an item says nothing about the others; nor does an item that is larger than the backend announces.
  const own = failures.filter(
    ({ error }) => exceededElements(error) === null && !(isSoftgradError(error) && error.code === 'ERR_UNSUPPORTED'),
  );
  const [first] = own;
  if (first === undefined) {
    if (failures[0] !== undefined) throw failures[0].error;
    return;
  }
  const { item, error } = first;
  const message = error instanceof Error ? error.message : String(error);
  const others = `${own.length} of ${items.length} combinations fail, the first with ${parametersOf(item)}`;
  throw new Error(`${others}: ${message}`, { cause: error });
}

/** Adds a cause that the numbers do not show to the error of a failed comparison, if it explains it. */
export async function explaining(
  cause: string,
  check: Promise<void>,
  explains: (mismatch: Mismatch) => boolean = () => true,
): Promise<void> {
  try {
    await check;
  } catch (error) {
    const mismatch = mismatchOf(error);
    if (mismatch === undefined || !explains(mismatch)) throw error;
    throw new Error(`${(error as Error).message}; ${cause}`, { cause: error });
  }
}
