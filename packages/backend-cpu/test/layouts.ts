import type { Rows } from '@softgrad/core';
import { reference } from '@softgrad/core/conformance';
import { expect } from 'vitest';
import type { FloatArray } from '../src/storage.js';
import { randomFrom, ulp } from './accuracy.js';

export type DType = 'float32' | 'float64';
export const dtypes: readonly DType[] = ['float32', 'float64'];

export function floats(length: number, dtype: DType): FloatArray {
  return dtype === 'float32' ? new Float32Array(length) : new Float64Array(length);
}

/** Contiguous rows and rows over an inner dimension, short and long ones. */
const layouts: readonly Rows[] = [
  { outer: 1, classes: 1, inner: 1 },
  { outer: 4, classes: 2, inner: 1 },
  { outer: 6, classes: 3, inner: 1 },
  { outer: 4, classes: 7, inner: 1 },
  { outer: 2, classes: 37, inner: 1 },
  { outer: 1, classes: 3, inner: 2 },
  { outer: 6, classes: 2, inner: 3 },
  { outer: 4, classes: 5, inner: 2 },
  { outer: 2, classes: 3, inner: 19 },
];

/** The buffer of a mask as a kernel gets it, and the same with one entry for each logit, as the reference takes it. */
export interface Mask {
  readonly buffer: Uint8Array;
  readonly outer: number;
  readonly whole: Uint8Array;
}

export interface Layout {
  readonly x: FloatArray;
  readonly rows: Rows;
  readonly mask: Mask | null;
  readonly temperature: number;
  readonly label: string;
}

/**
 * Logits in every layout, with and without a temperature, without a mask and with masks that repeat after 1, some and all outer blocks: such that
 * some rows need a shift, and such that none does.
 */
export function* everyLayout(dtype: DType): Generator<Layout> {
  const random = randomFrom(dtype.length + Number(dtype.slice(5)));
  for (const rows of layouts) {
    for (const mask of masksOf(rows, random)) {
      for (const temperature of [1, 0.5, -0.7]) {
        for (const moderate of [false, true]) {
          const x = logitsOf(rows, temperature, dtype, moderate, random);
          const label = JSON.stringify({ ...rows, blocks: mask?.outer, temperature, moderate });
          yield { x, rows, mask, temperature, label };
        }
      }
    }
  }
}

/** No mask, and one for each number of blocks that divides `outer`. The last column of each mask's first block is empty. */
function masksOf({ outer, classes, inner }: Rows, random: () => number): (Mask | null)[] {
  const masks: (Mask | null)[] = [null];
  const block = classes * inner;
  for (let blocks = 1; blocks <= outer; blocks++) {
    if (outer % blocks !== 0) continue;
    const buffer = Uint8Array.from({ length: blocks * block }, () => (random() < 0.7 ? 1 : 0));
    if (blocks * inner > 1) for (let c = 0; c < classes; c++) buffer[c * inner + inner - 1] = 0;
    const whole = Uint8Array.from({ length: outer * block }, (_, k) => buffer[k % buffer.length]);
    masks.push({ buffer, outer: blocks, whole });
  }
  return masks;
}

/** Logits with some far above the others; unless they are moderate, around another offset in each row, and some of probability 0. */
function logitsOf(rows: Rows, temperature: number, dtype: DType, moderate: boolean, random: () => number): FloatArray {
  const x = floats(rows.outer * rows.classes * rows.inner, dtype);
  reference.rowIndices(rows).forEach((at, row) => {
    const offset = moderate ? 0 : [0, 40, -700, 0, 1e4][row % 5];
    for (const k of at) {
      x[k] = offset + (random() < 0.1 ? 90 : 8) * (random() - 0.5);
      if (!moderate && rows.classes > 2 && random() < 0.05) x[k] = Number.NEGATIVE_INFINITY * Math.sign(temperature);
    }
  });
  return x;
}

/** Values in the middle of a larger buffer. */
export interface Guarded {
  readonly values: FloatArray;
  /** Whether everything around the values is as it was. */
  intact(): boolean;
}

/** Values between guard values, so that a kernel that writes outside its rows is noticed; NaN where only their number is given. */
export function guarded(values: FloatArray | number, dtype: DType): Guarded {
  const guards = 8;
  const mark = 12345;
  const length = typeof values === 'number' ? values : values.length;
  const buffer = floats(length + 2 * guards, dtype).fill(mark);
  const inside = buffer.subarray(guards, guards + length);
  if (typeof values === 'number') inside.fill(Number.NaN);
  else inside.set(values);
  const around = [buffer.subarray(0, guards), buffer.subarray(guards + length)];
  return { values: inside, intact: () => around.every((part) => part.every((value) => value === mark)) };
}

/** Has `compute` write its result between guard values and, where the lengths agree, over its operand: both are the same. Returns the result. */
export function computed(
  length: number,
  operand: FloatArray,
  dtype: DType,
  compute: (out: FloatArray, operand: FloatArray) => void,
): FloatArray {
  const [apart, inPlace] = [guarded(length, dtype), guarded(operand, dtype)];
  compute(apart.values, operand);
  if (length === operand.length) {
    compute(inPlace.values, inPlace.values);
    expect(inPlace.values).toEqual(apart.values);
  }
  expect(apart.intact() && inPlace.intact()).toBe(true);
  return apart.values;
}

/** Expects each value within `units` ULP of its size: of the expected value, or of `sizes`, the terms that it is a sum of. NaN is NaN. */
export function expectWithin(
  units: number,
  actual: FloatArray,
  expected: ArrayLike<number>,
  dtype: DType,
  label: string,
  sizes: ArrayLike<number> = expected,
): void {
  expect(actual.length, label).toBe(expected.length);
  for (let k = 0; k < expected.length; k++) {
    if (Object.is(actual[k], expected[k])) continue;
    const bound = units * ulp(Math.max(Math.abs(sizes[k]), Math.abs(expected[k])), dtype);
    const within = Math.abs(actual[k] - expected[k]) <= bound;
    if (!within) expect.fail(`${label}: ${actual[k]} at ${k}, expected ${expected[k]} ± ${bound}`);
  }
}
