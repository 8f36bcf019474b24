import type { CheckedFunction } from './function.js';

/** How much coarser than float64 a function's own numbers are: 1, or 2^29 in float32. */
export interface Rounding {
  /** Of its values. */
  readonly values: number;
  /** Of the entries of x that it computes with. */
  readonly points: number;
}

export const inFloat64: Rounding = { values: 1, points: 1 };

const float32OfFloat64 = 2 ** 29;

/** How far beside an entry the function is looked at, relative to the entry: many steps of float32. */
const beside = 2 ** -16;

/**
 * Whether a function rounds its values or its input to float32, in spite of what is asked of `forward`: differences with steps shorter than that
 * rounding are 0, whatever the derivative. One look beside x tells: a result in float64 is hardly ever a number of float32.
 */
export async function roundingOf(f: CheckedFunction, x: Float64Array, outputs: readonly number[]): Promise<Rounding> {
  const at = x.map((value, i) => {
    const room = Math.min(...(f.kinks ?? []).map((kink) => Math.abs(value - kink)).filter((distance) => distance > 0));
    // Irregular, so that no entry is a number of float32.
    return value + Math.min(beside * (Math.abs(value) || 1), room / 2) * (0.5 + (((i + 1) * Math.E) % 1) / 2);
  });
  const values = Array.from(await f.forward(at.slice()));
  const isNew = (value: number, j: number) => Number.isFinite(value) && value !== outputs[j];
  if (!values.some(isNew)) return inFloat64;
  // The steps of a staircase are numbers of float32 as well, mostly whole ones.
  if (values.some((value, j) => isNew(value, j) && !Number.isInteger(value)) && values.every(isFloat32)) {
    return { values: float32OfFloat64, points: float32OfFloat64 };
  }
  const rounded = Array.from(await f.forward(at.map(Math.fround)));
  const isSame = values.every((value, j) => Object.is(value, rounded[j]));
  return { values: 1, points: isSame ? float32OfFloat64 : 1 };
}

function isFloat32(value: number): boolean {
  return Object.is(Math.fround(value), value);
}
