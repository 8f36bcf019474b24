// Passes over values in the memory of this process, for engines that have them there: what tfjs's kernels do less exactly, or more slowly.
import { type Shape, type Strides, stridesOf } from './verbs.js';

export type Values = Float32Array | Int32Array | Uint8Array;

/** Values with the shape in which they are contiguous; dimensions of 1 broadcast. */
export interface Operand {
  readonly values: Values;
  readonly shape: Shape;
}

/** `out = condition > 0 ? a : b` at each position of the shape. */
export function selectInto(out: Float32Array, shape: Shape, condition: Operand, a: Operand, b: Operand): void {
  const [c, x, y] = [condition.values, a.values, b.values];
  forEachLine(
    shape,
    [condition, a, b],
    (at, length, [ofC = 0, ofX = 0, ofY = 0], [stepC = 0, stepX = 0, stepY = 0]) => {
      let [k, i, j] = [ofC, ofX, ofY];
      for (let to = at; to < at + length; to++) {
        out[to] = ((c[k] as number) > 0 ? x[i] : y[j]) as number;
        k += stepC;
        i += stepX;
        j += stepY;
      }
    },
  );
}

/** `out = a === b ? 1 : 0` at each position of the shape. */
export function equalInto(out: Float32Array, shape: Shape, a: Operand, b: Operand): void {
  const [x, y] = [a.values, b.values];
  forEachLine(shape, [a, b], (at, length, [ofX = 0, ofY = 0], [stepX = 0, stepY = 0]) => {
    let [i, j] = [ofX, ofY];
    for (let to = at; to < at + length; to++) {
      out[to] = x[i] === y[j] ? 1 : 0;
      i += stepX;
      j += stepY;
    }
  });
}

/**
 * `out = exp((x − shift) / divisor)` for each entry of x, with one shift for each row along the third dimension. In float64: half an ULP of float32
 * off a gap of 100 is up to 64 ULP of its exponential.
 */
export function expOfGapInto(out: Float32Array, x: Operand, shift: Operand, divisor: number): void {
  const [values, shifts] = [x.values, shift.values];
  const factor = 1 / divisor;
  forEachLine(x.shape, [shift], (at, length, [row = 0], [step = 0]) => {
    if (step === 0) {
      const own = shifts[row] as number;
      for (let i = at; i < at + length; i++) out[i] = exp(((values[i] as number) - own) * factor);
    } else {
      for (let i = 0; i < length; i++) {
        out[at + i] = exp(((values[at + i] as number) - (shifts[row + i] as number)) * factor);
      }
    }
  });
}

/** The sum along the third dimension without the first 1, which is the exponential of a row's maximum. */
export function sumOfOthersInto(out: Float32Array, exponentials: Operand): void {
  const [a, b, , d] = exponentials.shape;
  const terms = exponentials.values;
  const sums = new Float64Array(out.length);
  const isFound = new Uint8Array(out.length);
  const rows = { values: out, shape: [a, b, 1, d] } as const;
  forEachLine(exponentials.shape, [rows], (at, length, [row = 0], [step = 0]) => {
    if (step === 0) {
      let sum = 0;
      let isPast = false;
      for (let i = at; i < at + length; i++) {
        if (terms[i] === 1 && !isPast) isPast = true;
        else sum += terms[i] as number;
      }
      sums[row] = sum;
    } else {
      for (let i = 0; i < length; i++) {
        if (terms[at + i] === 1 && isFound[row + i] === 0) isFound[row + i] = 1;
        else (sums[row + i] as number) += terms[at + i] as number;
      }
    }
  });
  out.set(sums);
}

/** The exp of lower gaps is 0 in float32. */
const leastGap = -104;
/** 2ᵏ at index k − leastPower. */
const leastPower = Math.floor(leastGap * Math.LOG2E);
const powers = Float64Array.from({ length: 1 - leastPower }, (_, k) => 2 ** (k + leastPower));

/** exp as `2ᵏ exp(t)` for |t| ≤ ln 2 / 2, by the Taylor series to t⁷: within an eighth of an ULP of float32, in half of the time of `Math.exp`. */
function exp(x: number): number {
  if (!(x > leastGap && x <= 0)) return Math.exp(x);
  const k = Math.floor(x * Math.LOG2E + 0.5);
  const t = x - k * Math.LN2;
  const upper = 1 / 24 + t * (1 / 120 + t * (1 / 720 + t * (1 / 5040)));
  return (1 + t * (1 + t * (1 / 2 + t * (1 / 6 + t * upper)))) * (powers[k - leastPower] as number);
}

/** Positions that follow each other in the result and, each `steps` further, in the operands. */
type VisitLine = (at: number, length: number, offsets: readonly number[], steps: readonly number[]) => void;

/** Calls `visit` for lines that are as long as possible. */
function forEachLine(shape: Shape, operands: readonly Operand[], visit: VisitLine): void {
  const { sizes, steps } = merged(
    shape,
    operands.map((operand) => stridesOf(operand.shape)),
  );
  const last = sizes.length - 1;
  const length = sizes[last] as number;
  const lines = sizes.slice(0, last).reduce((a, b) => a * b, 1);
  const position = new Array<number>(last).fill(0);
  const offsets = operands.map(() => 0);
  const lastSteps = operands.map((_, operand) => steps[operand]?.[last] as number);
  for (let line = 0; line < lines; line++) {
    visit(line * length, length, offsets, lastSteps);
    for (let k = last - 1; k >= 0; k--) {
      const size = sizes[k] as number;
      const next = (position[k] as number) + 1;
      const move = next < size ? 1 : 1 - size;
      for (const [operand, own] of steps.entries()) (offsets[operand] as number) += (own[k] as number) * move;
      position[k] = next < size ? next : 0;
      if (next < size) break;
    }
  }
}

/** The dimensions, and each operand's steps along them, without those of 1, and with those as one that follow each other in every operand. */
function merged(shape: Shape, strides: readonly Strides[]) {
  const sizes: number[] = [];
  const steps: number[][] = strides.map(() => []);
  for (const [k, size] of shape.entries()) {
    if (size === 1) continue;
    const outer = sizes.length - 1;
    const isNext = outer >= 0 && strides.every((own, i) => steps[i]?.[outer] === size * (own[k] as number));
    if (isNext) sizes[outer] = (sizes[outer] as number) * size;
    else sizes.push(size);
    for (const [i, own] of steps.entries()) own[sizes.length - 1] = strides[i]?.[k] as number;
  }
  return sizes.length > 0 ? { sizes, steps } : { sizes: [1], steps: strides.map(() => [0]) };
}
