// Passes over values in the memory of this process, for engines that have them there: what tfjs's kernels do less exactly, or more slowly.
import { expOfGap, expOfGaps } from './exp.js';
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
      expOfGaps(out, values, at, length, shifts[row] as number, factor);
      return;
    }
    for (let i = 0; i < length; i++) {
      out[at + i] = expOfGap(((values[at + i] as number) - (shifts[row + i] as number)) * factor);
    }
  });
}

/** `out = exp((x − max) / divisor) / Σ exp((x − max) / divisor)` along the third dimension. A maximum of ±Infinity or NaN makes the whole row NaN. */
export function softmaxInto(out: Float32Array, x: Operand, divisor: number): void {
  const [first, second, classes, inner] = x.shape;
  const factor = 1 / divisor;
  const size = classes * inner;
  const end = first * second * size;
  for (let at = 0; at < end; at += size) {
    if (inner === 1) softmaxOfRow(out, x.values, at, classes, factor);
    else softmaxOfColumns(out, x.values, at, classes, inner, factor);
  }
}

function softmaxOfRow(out: Float32Array, x: Values, at: number, classes: number, factor: number): void {
  const end = at + classes;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = at; i < end; i++) if ((x[i] as number) > max) max = x[i] as number;
  const scale = 1 / expOfGaps(out, x, at, classes, max, factor);
  for (let i = at; i < end; i++) out[i] = (out[i] as number) * scale;
}

function softmaxOfColumns(
  out: Float32Array,
  x: Values,
  at: number,
  classes: number,
  inner: number,
  factor: number,
): void {
  const maxima = new Float64Array(inner).fill(Number.NEGATIVE_INFINITY);
  const sums = new Float64Array(inner);
  const forEachClass = (visit: (row: number, i: number) => void) => {
    for (let i = at; i < at + classes * inner; i += inner) for (let row = 0; row < inner; row++) visit(row, i + row);
  };
  forEachClass((row, i) => {
    maxima[row] = Math.max(maxima[row] as number, x[i] as number);
  });
  forEachClass((row, i) => {
    const e = expOfGap(((x[i] as number) - (maxima[row] as number)) * factor);
    out[i] = e;
    (sums[row] as number) += e;
  });
  forEachClass((row, i) => {
    out[i] = (out[i] as number) / (sums[row] as number);
  });
}

/** `out = 1 / (1 + exp(−x))`. */
export function sigmoidInto(out: Float32Array, x: Operand): void {
  for (const [i, value] of x.values.entries()) {
    const e = expOfGap(-Math.abs(value));
    out[i] = (value < 0 ? e : 1) / (1 + e);
  }
}

/**
 * `out = p Σ q − q` along the third dimension, with p the exponentials divided by their sum. For a p above ½ that would cancel, and is computed as
 * `(e Σ q − q Σ e) / Σ e` over the other entries.
 */
export function slopesInto(out: Float32Array, exponentials: Operand, weights: Operand): void {
  const [first, second, classes, inner] = exponentials.shape;
  const [e, q] = [exponentials.values, weights.values];
  for (let block = 0; block < first * second; block++) {
    for (let row = 0; row < inner; row++) {
      const start = block * classes * inner + row;
      const end = start + classes * inner;
      let [sumOfE, sumOfQ, top] = [0, 0, start];
      for (let i = start; i < end; i += inner) {
        sumOfE += e[i] as number;
        sumOfQ += q[i] as number;
        if ((e[i] as number) > (e[top] as number)) top = i;
      }
      const ofQ = sumOfQ / sumOfE;
      for (let i = start; i < end; i += inner) out[i] = (e[i] as number) * ofQ - (q[i] as number);
      if ((e[top] as number) * 2 > sumOfE) {
        let [othersOfE, othersOfQ] = [0, 0];
        for (let i = start; i < end; i += inner) {
          if (i === top) continue;
          othersOfE += e[i] as number;
          othersOfQ += q[i] as number;
        }
        out[top] = ((e[top] as number) * othersOfQ - (q[top] as number) * othersOfE) / sumOfE;
      }
    }
  }
}

/** `out = log(1 + x)`, also for small x: that of engine wasm adds the 1 first. */
export function log1pInto(out: Float32Array, x: Operand): void {
  for (const [i, value] of x.values.entries()) out[i] = Math.log1p(value);
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
