/** Code cannot be run: it is none, or has something in it that the interpreter does not know or that is an error in Python. */
export class CannotRun extends Error {}

/** A NumPy array of a few numbers. */
export interface NdArray {
  readonly shape: readonly number[];
  /** In C order. Assignments write into it, so that two names of one array stay that. */
  readonly data: number[];
}

/** More numbers than an array of a sample has: code that makes larger ones computes something else. */
export const mostEntries = 1e4;

/** More products than a contraction of a sample has. */
const mostTerms = 1e5;

export const scalar = (value: number): NdArray => ({ shape: [], data: [value] });

export const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1);

/** The array of a shape whose entry at each index is computed. */
export function built(shape: readonly number[], entryAt: (index: readonly number[]) => number): NdArray {
  const size = product(shape);
  if (!shape.every((one) => Number.isInteger(one) && one >= 0)) throw new CannotRun('shape');
  if (size > mostEntries) throw new CannotRun('too large');
  return { shape, data: Array.from({ length: size }, (_, k) => entryAt(unravel(k, shape))) };
}

export function unravel(k: number, shape: readonly number[]): number[] {
  return shape.map((size, d) => Math.floor(k / product(shape.slice(d + 1))) % size);
}

/** The place in the data of an index; an axis of size 1 is broadcast. @throws for an index out of bounds */
export function placeOf(shape: readonly number[], index: readonly number[]): number {
  return shape.reduce((place, size, d) => {
    const i = size === 1 ? 0 : Number(index[d]);
    const own = i < 0 ? i + size : i;
    if (!(own >= 0 && own < size)) throw new CannotRun('index');
    return place * size + own;
  }, 0);
}

/** The entry at an index of a shape to which the array is broadcast. */
export function entryOf({ shape, data }: NdArray, index: readonly number[]): number {
  return Number(data[placeOf(shape, index.slice(index.length - shape.length))]);
}

/** @throws where the shapes do not fit */
export function broadcast(shapes: readonly (readonly number[])[]): readonly number[] {
  const length = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length }, (_, d) => {
    const sizes = shapes.map((shape) => shape[d - length + shape.length] ?? 1);
    const size = sizes.find((one) => one !== 1) ?? 1;
    if (sizes.some((one) => one !== 1 && one !== size)) throw new CannotRun('shapes');
    return size;
  });
}

export function elementwise(compute: (...values: number[]) => number, ...operands: readonly NdArray[]): NdArray {
  const shape = broadcast(operands.map((one) => one.shape));
  return built(shape, (index) => compute(...operands.map((one) => entryOf(one, index))));
}

export function transposed(array: NdArray): NdArray {
  return built(array.shape.toReversed(), (index) => entryOf(array, index.toReversed()));
}

/** The array with one value in place of those along an axis, or along all of them; the axis keeps the size 1 if it is to be kept. */
export function reduced(
  { shape, data }: NdArray,
  axis: number | null,
  keep: boolean,
  reduce: (values: readonly number[]) => number,
): NdArray {
  if (axis === null) return { shape: keep ? shape.map(() => 1) : [], data: [reduce(data)] };
  const d = axis < 0 ? axis + shape.length : axis;
  const size = shape[d];
  if (size === undefined) throw new CannotRun('axis');
  const values = built(shape.with(d, 1), (index) =>
    reduce(Array.from({ length: size }, (_, i) => Number(data[placeOf(shape, index.with(d, i))]))),
  );
  return keep ? values : { ...values, shape: shape.toSpliced(d, 1) };
}

/** @throws for a specification that does not fit */
export function einsum(specification: string, ...operands: readonly NdArray[]): NdArray {
  const [inputs = '', named] = specification.replaceAll(' ', '').replaceAll('...', 'Z').split('->');
  const letters = inputs.split(',');
  const sizes = new Map<string, number>();
  operands.forEach(({ shape }, k) => {
    if (letters[k]?.length !== shape.length) throw new CannotRun('einsum');
    for (const [d, letter] of [...letters[k]].entries()) {
      const size = Number(shape[d]);
      if ((sizes.get(letter) ?? size) !== size) throw new CannotRun('einsum');
      sizes.set(letter, size);
    }
  });
  const once = [...sizes.keys()].filter((letter) => inputs.split(letter).length === 2).sort();
  const output = [...(named ?? once)];
  const shapeOf = (names: readonly string[]) => names.map((letter) => sizes.get(letter) ?? Number.NaN);
  const summed = [...sizes.keys()].filter((letter) => !output.includes(letter));
  const all = [...output, ...summed];
  if (product(shapeOf(all)) > mostTerms) throw new CannotRun('too large');
  return built(shapeOf(output), (index) => {
    let sum = 0;
    const inner = shapeOf(summed);
    for (let k = 0; k < product(inner); k++) {
      const whole = [...index, ...unravel(k, inner)];
      sum += product(
        operands.map((one, i) =>
          entryOf(
            one,
            [...(letters[i] ?? '')].map((letter) => Number(whole[all.indexOf(letter)])),
          ),
        ),
      );
    }
    return sum;
  });
}

export function matmul(a: NdArray, b: NdArray): NdArray {
  const [left, right] = [a.shape.length, b.shape.length];
  if (left === 0 || right === 0) throw new CannotRun('matmul');
  const rows = left === 1 ? 'j' : `${'n'.repeat(left - 2)}ij`;
  const columns = right === 1 ? 'j' : `${'n'.repeat(right - 2)}jk`;
  const result = `${'n'.repeat(Math.max(left, right, 2) - 2)}${left === 1 ? '' : 'i'}${right === 1 ? '' : 'k'}`;
  return einsum(`${rows},${columns}->${result}`, a, b);
}
