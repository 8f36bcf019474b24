import { elements, rowIndices } from '../reference/row-entries.js';
import type { FloatDType } from '../src/index.js';

/**
 * Logits by name: the same numbers in every run and on every device, laid out for a shape and an axis and rounded to a dtype,
 * so that the backend and the reference get the same values.
 */
export type InputName = keyof typeof inputs;

/** One row of logits: `row` is its index, `random` is seeded by input, row and length. */
type RowInput = (classes: number, row: number, random: () => number, dtype: FloatDType) => number[];

/** The largest finite number of a dtype. */
export const largestFinite: Record<FloatDType, number> = {
  float64: Number.MAX_VALUE,
  float32: 3.4028234663852886e38,
  float16: 65504,
};

/**
 * Rows of logits by name, which the suite's cases state: `input=wide` in an id.
 *
 * @example
 * Object.keys(inputs).slice(0, 3); // ['ramp', 'narrow', 'spread']
 */
export const inputs = {
  /** Even steps from −2 to 2, steeper with each row, descending in every second row. */
  ramp: (classes, row) =>
    series(classes, (c) => (row % 2 ? -1 : 1) * (1 + row / 8) * ((4 * c) / Math.max(1, classes - 1) - 2)),
  /** Uniform in ±1. */
  narrow: (classes, _, random) => series(classes, () => 2 * random() - 1),
  /** Uniform in ±20. */
  spread: (classes, _, random) => series(classes, () => 40 * random() - 20),
  /** Uniform in ±80. */
  broad: (classes, _, random) => series(classes, () => 160 * random() - 80),
  /** Gaps to the maximum from 0 to beyond the last subnormal (104 in float32, 745 in float64), unordered. */
  wide: (classes, _, random, dtype) => {
    const last = dtype === 'float64' ? 760 : 120;
    return shuffled(
      series(classes, (c) => 30 - (last * c) / Math.max(1, classes - 1)),
      random,
    );
  },
  /** Uniform in ±4, every row shifted by 1e4 up or down: exp overflows or underflows unless the maximum is subtracted. */
  shifted: (classes, row, random) => series(classes, () => (row % 2 ? -1e4 : 1e4) + 8 * random() - 4),
  /** −Infinity in every third position and uniform in ±4 elsewhere; never a whole row. */
  removed: (classes, row, random) =>
    series(classes, (c) => (classes > 1 && (c + row) % 3 === 0 ? Number.NEGATIVE_INFINITY : 8 * random() - 4)),
  /** The lowest finite number in every third position, a common substitute for a mask, and uniform in ±4 elsewhere; never a whole row. */
  lowest: (classes, row, random, dtype) =>
    series(classes, (c) => (classes > 1 && (c + row) % 3 === 0 ? -largestFinite[dtype] : 8 * random() - 4)),
  /** All logits equal in every second row, two equal maxima in the others. */
  ties: (classes, row, random) =>
    series(classes, (c) => (row % 2 === 0 ? 7 : c === 0 || c === classes - 1 ? 3 : 2 * random() - 1)),
  /** One logit 17 above the others in float32, 37 in float64: 1 − p is about an ULP of 1. */
  onehot: (classes, row, random, dtype) =>
    series(classes, (c) => (c === (row * 3 + 1) % classes ? (dtype === 'float64' ? 37 : 17) : random() / 4)),
  /** 1e30, 0 and −1e30 (6e4 in float16): very large but finite differences. */
  huge: (classes, row, _, dtype) => series(classes, (c) => (((c + row) % 3) - 1) * (dtype === 'float16' ? 6e4 : 1e30)),
  /** Uniform in ±4, every row shifted by another distance, up or down: 32, 45, 64, … 23170. */
  displaced: (classes, row, random) =>
    series(classes, () => (row % 2 ? -1 : 1) * 2 ** (5 + (row % 20) / 2) + 8 * random() - 4),
  /** One logit 38 to 76 above the others in float32, 80 to 160 in float64: at any usual temperature the row is nearly one-hot. */
  dominated: (classes, row, random, dtype) => {
    const gap = dtype === 'float64' ? 80 : 38;
    return series(classes, (c) => (c === (row * 3 + 1) % classes ? 0 : -gap * (1 + random())));
  },
  /** One logit so far above the others that 1 − p is about 2⁻¹, 2⁻⁶, 2⁻¹¹, … 2⁻⁶¹. */
  confident: (classes, row, random) =>
    series(classes, (c) =>
      c === (row * 3 + 1) % classes ? 0 : -Math.LN2 * (1 + 5 * (row % 13)) - Math.log(classes - 1) - random() / 2,
    ),
  /** The same with 1 − p about 2⁻²⁰ in the first row, and every power of 2 from 2⁻¹ to 2⁻⁶⁰ in sixty rows. */
  peaked: (classes, row, random) =>
    series(classes, (c) =>
      c === (row * 3 + 1) % classes
        ? 0
        : -Math.LN2 * (1 + ((row * 23 + 19) % 60)) - Math.log(classes - 1) - random() / 2,
    ),
  /** One probability of each row is ½ but for a few units of the last place, above or below. */
  halved: (classes, row, random, dtype) => {
    const shares = series(classes, () => 0.1 + random());
    const top = row % classes;
    const others = shares.reduce((sum, share, c) => (c === top ? sum : sum + share), 0);
    const unit = dtype === 'float64' ? 2 ** -53 : dtype === 'float32' ? 2 ** -24 : 2 ** -11;
    const shift = 4 * random() - 2;
    return shares.map((share, c) => shift + (c === top ? (4 * random() - 2) * unit : Math.log(share / others)));
  },
  /** All logits 20, except one in every fourth row: lower by 90 to 130 in float32, where exp underflows; by 690 to 770 in float64. */
  mixed: (classes, row, _, dtype) => {
    const step = row >> 2;
    const gap = dtype === 'float64' ? 690 + 2 * (step % 41) : 90 + (step % 41);
    return series(classes, (c) => (row % 4 === step % 4 && c === row % classes ? 20 - gap : 20));
  },
  /** 0 in the first 16 positions and the maximum in all others: 59 in float32, 590 in float64. */
  late: (classes, _row, _random, dtype) => series(classes, (c) => (c < 16 ? 0 : dtype === 'float64' ? 590 : 59)),
  /** −Infinity in the first half, where a long row has whole blocks without any logit, and uniform in ±4 elsewhere. */
  behind: (classes, _, random) =>
    series(classes, (c) => (c < classes >> 1 ? Number.NEGATIVE_INFINITY : 8 * random() - 4)),
  /** The maximum in the last position, beyond the range of exp above the others: a kernel that takes it over fewer classes overflows. */
  last: (classes, _, random) => series(classes, (c) => (c === classes - 1 ? 1000 : 2 * random() - 1)),
  /** Uniform in ±1, but log f in the last position, which then has nearly half of the sum of exps: a sum without the last entries is wrong. */
  ending: (classes, _, random) => series(classes, (c) => (c === classes - 1 ? Math.log(classes) : 2 * random() - 1)),
  /** NaN in one position of every second row. */
  nan: (classes, row, random) =>
    series(classes, (c) => (row % 2 === 1 && c === (row >> 1) % classes ? Number.NaN : 2 * random() - 1)),
  /** +Infinity in one position of every second row. */
  infinite: (classes, row, random) =>
    series(classes, (c) => (row % 2 === 1 && c === (row >> 1) % classes ? Number.POSITIVE_INFINITY : 2 * random() - 1)),
  /** Every second row has only −Infinity. */
  nothing: (classes, row, random) =>
    series(classes, () => (row % 2 === 1 ? Number.NEGATIVE_INFINITY : 2 * random() - 1)),
} satisfies Record<string, RowInput>;

/**
 * The named logits in a shape, with rows along `axis`, as flat row-major values of `dtype`: the same numbers every time.
 *
 * @example
 * logits('ramp', [1, 5], 1, 'float32'); // [-2, -1, 0, 1, 2]
 */
export function logits(name: InputName, shape: readonly number[], axis: number, dtype: FloatDType): Float64Array {
  const rows = layout(shape, axis);
  const { outer, classes, inner } = rows;
  const out = new Float64Array(outer * classes * inner);
  const make: RowInput = inputs[name];
  rowIndices(rows).forEach((at, row) => {
    const values = make(classes, row, randomFrom(`${name}:${row}:${classes}`), dtype);
    at.forEach((i, c) => {
      out[i] = rounded(values[c] ?? Number.NaN, dtype);
    });
  });
  return out;
}

/** Seeded values of a dtype, uniform in ±`size`: cotangents, tangents. */
export function cotangents(length: number, dtype: FloatDType, size = 2, seed = 'cotangent'): Float64Array {
  const random = randomFrom(`${seed}:${length}`);
  return elements(length, () => rounded(size * (2 * random() - 1), dtype));
}

/** A seeded mask (1 = keep) in a shape, with rows along `axis`: it keeps two of three entries, and nothing in the second of every five rows. */
export function masks(shape: readonly number[], axis: number): Uint8Array {
  const rows = layout(shape, axis);
  const out = new Uint8Array(rows.outer * rows.classes * rows.inner);
  rowIndices(rows).forEach((at, row) => {
    const random = randomFrom(`mask:${row}:${rows.classes}`);
    for (const i of at) out[i] = row % 5 !== 1 && random() < 2 / 3 ? 1 : 0;
  });
  return out;
}

/** How an axis ≥ 0 divides a shape into (outer, classes, inner). */
export function layout(shape: readonly number[], axis: number): { outer: number; classes: number; inner: number } {
  // Integers, as core gives them to kernels, where sizes were computed as floats.
  const product = (sizes: readonly number[]) => sizes.reduce((a, b) => Math.imul(a, b), 1);
  const classes = product(shape.slice(axis, axis + 1));
  return { outer: product(shape.slice(0, axis)), classes, inner: product(shape.slice(axis + 1)) };
}

/** The value of a dtype nearest to `value`. */
export function rounded(value: number, dtype: FloatDType): number {
  if (dtype === 'float64') return value;
  if (dtype === 'float32' || !Number.isFinite(value) || value === 0) return Math.fround(value);
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.abs(value))));
  const step = 2 ** (exponent - 10);
  const steps = value / step;
  const floor = Math.floor(steps);
  const up = steps - floor > 0.5 || (steps - floor === 0.5 && floor % 2 !== 0);
  const result = (up ? floor + 1 : floor) * step;
  return Math.abs(result) > 65504 ? Math.sign(value) * Number.POSITIVE_INFINITY : result;
}

/** Numbers in [0, 1) from a seed: Mulberry32 (Ettinger, 2017) after an FNV-1a hash of the text. */
export function randomFrom(seed: string): () => number {
  let state = 0x811c9dc5;
  for (const character of seed) state = Math.imul(state ^ character.charCodeAt(0), 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The number at an index of an endlessly repeated list. */
export function cycled(values: ArrayLike<number>, i: number): number {
  return values[i % values.length] ?? Number.NaN;
}

/** An endlessly repeated list up to a length. */
export function cycledTo(length: number, values: ArrayLike<number>): Float64Array {
  const once = Float64Array.from(values);
  const all = new Float64Array(length);
  all.set(once.subarray(0, length));
  for (let filled = once.length; filled < length; filled *= 2) all.copyWithin(filled, 0, filled);
  return all;
}

function series(length: number, value: (index: number) => number): number[] {
  const values = new Array<number>(length);
  for (let index = 0; index < length; index++) values[index] = value(index);
  return values;
}

function shuffled(values: number[], random: () => number): number[] {
  for (let i = values.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const [last, drawn] = [values[i] ?? Number.NaN, values[j] ?? Number.NaN];
    values[i] = drawn;
    values[j] = last;
  }
  return values;
}
