import type { Rows, SoftmaxParameters } from '@softgrad/core';
import type { Kernel, Place, Reduction, Rowwise } from '../kernel-places.js';
import type { Launch, Scratch } from '../launch.js';
import type { Quotient } from '../program.js';
import type { GpujsBuffer } from '../storage.js';
import { bySum } from './reduce.js';

/**
 * The reductions of a row of logits x at temperature T that the softmax family shares:
 * - `pivot`: the class k with the largest x_k/T, −1 if all classes are masked;
 * - `rest`: Σ exp((x_c − x_k)/T) over the unmasked classes other than k, so that the sum over all is 1 + rest and its logarithm
 *   log1p(rest), which is accurate even if rest is far below 1.
 */
export interface LogitRows {
  readonly pivot: GpujsBuffer;
  readonly rest: GpujsBuffer;
}

/**
 * The temperature as sign and magnitude, and what the magnitude lost by rounding to float32. Kernels divide x_c − x_k by it, which is 0 at the pivot
 * and exact for large x. In float64 they multiply by 1/T.
 */
export function temperatureOf({
  temperature,
}: SoftmaxParameters<GpujsBuffer>): readonly [sgn: number, size: number, sizeRest: number, perT: number] {
  const size = Math.fround(Math.abs(temperature));
  return [Math.sign(temperature), size, Math.abs(temperature) - size, 1 / temperature];
}

/** The names of these numbers in a kernel's source, and the exponent for a logit and the pivot's logit. */
export const temperatureNames = ['sgn', 'size', 'sizeRest', 'perT'] as const;
export const exponent = (x: string, pivot: string) => `sgn * (${x} - ${pivot}) / size`;

/** exp of the exponent. In float32, times what its rounding took off it: half an ULP of 114 alone would be 57 ULP of the exp. */
export const expOfExponent = (x: string, pivot: string, { arithmetic }: Place) =>
  arithmetic === 'float64' ? `expOf((${x} - ${pivot}) * perT)` : `expOfExponent(${x}, ${pivot}, sgn, size, sizeRest)`;

/**
 * Declares `name` as the element of `array` at the row's pivot, or at class 0 if there is none. The pivot is
 * read in a separate statement, because the GLSL translator splits an index expression with a read into float variables.
 */
export const atPivot = (name: string, array: string, { row, at }: Place) =>
  `const ${name}Pivot = pivot[${row}]; let ${name} = ${array}[${at(`whole(${name}Pivot)`)}];`;

const pivotValue: Rowwise = {
  name: 'pivot/value',
  arrays: ['x', 'pivot'],
  body: (place) => `${atPivot('m', 'x', place)} return m;`,
};

/** Enqueues a kernel that reads, for each row, the operand at the row's pivot, or at class 0 if the row has none. */
export function pivotValues(
  launch: Launch,
  scratch: Scratch,
  x: GpujsBuffer,
  pivot: GpujsBuffer,
  rows: Rows,
): GpujsBuffer {
  const values = scratch(pivot.length);
  launch.rowwise(pivotValue, values, [x, pivot], rows);
  return values;
}

/** Two variants of a kernel, with and without a mask as an operand, with different names. */
export function maskable<K extends Kernel>(
  kernel: (masked: boolean) => K,
): (parameters: Pick<SoftmaxParameters<GpujsBuffer>, 'mask'>) => K {
  const plain = kernel(false);
  const masked = kernel(true);
  const name = `${masked.name}/masked`;
  const arrays = [...masked.arrays, 'mask'];
  const integers = [...(masked.integers ?? []), 'maskSpan'];
  const withMask: K = { ...masked, name, arrays, integers };
  return ({ mask }) => (mask ? withMask : plain);
}

/** The operands that a mask adds to a kernel, after its own: the mask and the number of elements after which it repeats. */
export function maskOperands(
  { mask }: SoftmaxParameters<GpujsBuffer>,
  { classes, inner }: Rows,
): { readonly arrays: readonly GpujsBuffer[]; readonly integers: readonly number[] } {
  return mask ? { arrays: [mask.buffer], integers: [mask.outer * classes * inner] } : { arrays: [], integers: [] };
}

/** Conditions for element `j` of the logits: kept or removed by the mask. */
export const isKept = (j: string, { quotient }: Place) => `${maskAt(j, quotient)} > 0`;
export const isMasked = (j: string, { quotient }: Place) => `${maskAt(j, quotient)} < 1`;
const maskAt = (j: string, quotient: Quotient) => `mask[${j} - ${quotient(j, 'maskSpan')} * maskSpan]`;

/** A row's pivot. NaN is chosen only if it is the first element; `rest` is NaN wherever it is. */
const pivots = maskable(
  (masked): Reduction => ({
    name: 'pivot',
    numbers: ['sgn'],
    arrays: ['x'],
    start: () => 'let result = -1; let best = 0;',
    step(j, k, place) {
      const take = `const v = sgn * x[${j}]; if (result < 0 || v > best) { best = v; result = ${k}; }`;
      return masked ? `if (${isKept(j, place)}) { ${take} }` : take;
    },
  }),
);

/** The best of the pivots of a row's blocks. */
const bestPivot: Reduction = {
  name: 'pivot/best',
  arrays: ['x', 'candidates'],
  integers: ['all'],
  numbers: ['sgn'],
  start: () => 'let result = -1; let best = 0;',
  step: (j, _, place) => `
    const candidate = candidates[${j}];
    if (candidate >= 0) {
      const v = sgn * x[${place.at('whole(candidate)', 'all')}];
      if (result < 0 || v > best) { best = v; result = candidate; }
    }`,
};

/**
 * The sum over the other classes. If the pivot's logit is ±Infinity or NaN it starts at `poison`: NaN for probabilities, which are undefined
 * then, and 0 for log-sum-exp, which is defined; the shift is clamped to finite values, so that only a NaN among the logits gives NaN.
 */
const rests = maskable(
  (masked): Reduction => ({
    name: 'rest',
    arrays: ['x', 'pivot'],
    numbers: [...temperatureNames, 'largest', 'poison'],
    start: (place) => `
    ${atPivot('m', 'x', place)}
    let result = 0;
    if (mPivot >= 0) { if (m <= largest && m >= -largest) { result = 0; } else { result = poison; } }
    if (m > largest) { m = largest; }
    if (m < -largest) { m = -largest; }`,
    step(j, k, place) {
      const add = `if (${k} != mPivot) { part += ${expOfExponent(`x[${j}]`, 'm', place)}; }`;
      return masked ? `if (${isKept(j, place)}) { ${add} }` : add;
    },
    inParts: true,
  }),
);

/** The largest finite float32. */
export const largest = (2 - 2 ** -23) * 2 ** 127;

/** Enqueues the pivots of a block of logits. */
export function pivotRows(
  launch: Launch,
  scratch: Scratch,
  x: GpujsBuffer,
  rows: Rows,
  parameters: SoftmaxParameters<GpujsBuffer>,
): GpujsBuffer {
  const [sgn] = temperatureOf(parameters);
  const mask = maskOperands(parameters, rows);
  const pivot = scratch(rows.outer * rows.inner);
  const { integers } = mask;
  launch.reduce(
    pivots(parameters),
    pivot,
    [x, ...mask.arrays],
    rows,
    { integers, numbers: [sgn] },
    {
      kernel: bestPivot,
      inputs: [x],
      scalars: { integers: [rows.classes], numbers: [sgn] },
    },
  );
  return pivot;
}

/** Enqueues the pivots and rests of a block of logits. */
export function logitRows(
  launch: Launch,
  scratch: Scratch,
  x: GpujsBuffer,
  rows: Rows,
  parameters: SoftmaxParameters<GpujsBuffer>,
  poison = Number.NaN,
): LogitRows {
  const { arrays, integers } = maskOperands(parameters, rows);
  const pivot = pivotRows(launch, scratch, x, rows, parameters);
  const rest = scratch(rows.outer * rows.inner);
  const numbers = [...temperatureOf(parameters), largest, poison];
  launch.reduce(rests(parameters), rest, [x, pivot, ...arrays], rows, { integers, numbers }, bySum);
  return { pivot, rest };
}

/** Enqueues the computation of the class of each row's largest value: the pivot without temperature and mask. */
export function largestClasses(launch: Launch, scratch: Scratch, x: GpujsBuffer, rows: Rows): GpujsBuffer {
  const pivot = scratch(rows.outer * rows.inner);
  launch.reduce(
    pivots({ mask: null }),
    pivot,
    [x],
    rows,
    { numbers: [1] },
    {
      kernel: bestPivot,
      inputs: [x],
      scalars: { integers: [rows.classes], numbers: [1] },
    },
  );
  return pivot;
}
