// Passes over elements in the memory of this process, for engines that have them there: what tfjs's kernels do less exactly, or more slowly.
import { expOfGap } from './exp.js';
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

/** `out = 1 / (1 + exp(−x))`. */
export function sigmoidInto(out: Float32Array, x: Operand): void {
  for (const [i, value] of x.values.entries()) {
    const e = expOfGap(-Math.abs(value));
    out[i] = (value < 0 ? e : 1) / (1 + e);
  }
}

/** `out = log(1 + x)`, also for small x: that of engine wasm adds the 1 first. */
export function log1pInto(out: Float32Array, x: Operand): void {
  for (const [i, value] of x.values.entries()) out[i] = Math.log1p(value);
}

/** `out = 1 − exp(y)` where that is below ½, without cancelling; 0 elsewhere, where it would take time. */
export function complementInto(out: Float32Array, { values }: Operand): void {
  // An iterator would take ten times as long.
  for (let i = 0; i < out.length; i++) {
    const y = values[i] as number;
    out[i] = y < -0.7 ? 0 : 0 - Math.expm1(y);
  }
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
