import { crossEntropyGradient, crossEntropyLoss } from '../../reference/cross-entropy.js';
import { type Backend, crossEntropy, type FloatDType, softmax, type Tensor, tensor } from '../../src/index.js';
import { type ConformanceCase, defineCase, dtypeOnly, type Requirements } from '../case.js';
import { assertClose } from '../check.js';
import { owning } from '../owning.js';
import { checkEach, explaining } from '../sweep.js';
import { operationPrecision } from '../tolerance.js';

type RangeDType = Exclude<FloatDType, 'float16'>;

const apart =
  "a product of several factors left the range on the way: multiply by them one after the other, in an order in which it does not, or announce supports.range: 'ordinary'";

/** Operands whose product is in the range although a product of some of them is not. */
function factorsCase(id: string, dtype: RangeDType, requires: Requirements, run: (backend: Backend) => Promise<void>) {
  const features = [...(requires.features ?? []), 'range: full'] as const;
  return defineCase(`${id}${dtypeOnly(dtype)}`, { dtype, ...requires, features }, (backend) =>
    explaining(apart, run(backend)),
  );
}

/** Rows of x/T, with the class of each row's target first. */
const confident = [
  { target: 0, x: [0, -2000, -3000, -2500, -2000] },
  { target: 0, x: [0, -40, -50, -60, -44] },
  { target: 3, x: [Number.NEGATIVE_INFINITY, -2000, -3000, 0, -2000] },
  { target: 4, x: [-52, -40, -50, -60, 0] },
];
const undecided = [
  { target: 1, x: [0, 0.5, -1, 0.25, -0.5] },
  { target: 2, x: [1, -1, -1, 0, 0.5] },
];
/** Far below other rows, as far as kernels may let rows share a reference. */
const low = { target: 1, x: [-90, -89, -92, -95, -91] };

interface Setting {
  readonly label: string;
  readonly rows: readonly { readonly target: number; readonly x: readonly number[] }[];
  /** Exponents of 2 of the temperature, the class weights and the directions. */
  readonly temperature: number;
  readonly weight: number;
  readonly direction: number;
}

const gradients: Readonly<Record<RangeDType, readonly Setting[]>> = {
  float32: [
    { label: 'weight / T overflows', rows: [...confident, ...undecided], temperature: -66, weight: 100, direction: 0 },
    {
      label: 'large weights',
      rows: [...confident.slice(1, 2), low, low, low],
      temperature: 0,
      weight: 100,
      direction: 0,
    },
    {
      label: 'small weights',
      rows: [...confident, ...undecided, low],
      temperature: -90,
      weight: -105,
      direction: 0,
    },
    { label: '1 / T overflows', rows: [...confident, ...undecided], temperature: -140, weight: -30, direction: 0 },
  ],
  float64: [
    { label: 'weight / T overflows', rows: [...confident, ...undecided], temperature: -66, weight: 1000, direction: 0 },
    {
      label: 'large weights',
      rows: [...confident.slice(1, 2), low, low, low],
      temperature: 0,
      weight: 1000,
      direction: 0,
    },
    {
      label: 'small weights',
      rows: [...confident, ...undecided, low],
      temperature: -90,
      weight: -1010,
      direction: 0,
    },
    { label: '1 / T overflows', rows: [...confident, ...undecided], temperature: -1060, weight: -30, direction: 0 },
  ],
};

const products: Readonly<Record<RangeDType, readonly Setting[]>> = {
  float32: [
    { label: 'a large gradient', rows: [...confident, ...undecided], temperature: -66, weight: 100, direction: -80 },
    { label: 'a small gradient', rows: undecided, temperature: 60, weight: -80, direction: 100 },
    { label: 'large terms', rows: undecided, temperature: -66, weight: 0, direction: 63 },
  ],
  float64: [
    { label: 'a large gradient', rows: [...confident, ...undecided], temperature: -66, weight: 1000, direction: -500 },
    { label: 'a small gradient', rows: undecided, temperature: 60, weight: -1000, direction: 200 },
    { label: 'large terms', rows: undecided, temperature: -66, weight: 0, direction: 960 },
  ],
};

/** The place of a class that is masked, with the largest logit. */
const removed = 2;

/** Logits along an axis, targets of both kinds, options, and the gradients at weights of 1. */
function problemOf({ rows: stated, temperature: exponent, weight }: Setting, axis: 0 | 1, isMasked = false) {
  const rows = isMasked
    ? stated.map(({ target, x }) => ({ target: target < removed ? target : target + 1, x: x.toSpliced(removed, 0, 7) }))
    : stated;
  const classes = isMasked ? 6 : 5;
  const mask = isMasked ? Array.from({ length: classes }, (_, c) => c !== removed) : null;
  const temperature = 2 ** exponent;
  const count = rows.length;
  const at = (row: number, c: number) => (axis === 1 ? row * classes + c : c * count + row);
  const x = new Float64Array(count * classes);
  const oneHot = new Float64Array(count * classes);
  const byRow = new Float64Array(count * classes);
  for (const [row, { target, x: values }] of rows.entries()) {
    oneHot[at(row, target)] = 1;
    for (const [c, value] of values.entries()) {
      x[at(row, c)] = value * temperature;
      byRow[row * classes + c] = value;
    }
  }
  const targets = rows.map(({ target }) => target);
  // At a temperature of 1: it is divided by the power of 2.
  const ordinary = crossEntropyGradient(
    byRow,
    { kind: 'indices', values: targets },
    { outer: count, classes, inner: 1 },
    { reduction: 'none', mask: mask && rows.flatMap(() => mask) },
  );
  const gradient = ordinary.map((value) => value / temperature);
  const shape = axis === 1 ? [count, classes] : [classes, count];
  const options = {
    axis,
    temperature,
    ...(mask && { mask: axis === 1 ? [mask] : mask.map((isKept) => [isKept]) }),
    weight: new Array<number>(classes).fill(2 ** weight),
    reduction: 'none',
  } as const;
  return { classes, count, at, x, oneHot, targets, ordinary, gradient, shape, options };
}

/** Relative error of a probability that is exp(−60) or more, and of its product with four factors. */
const unitsOf = (precision: ReturnType<typeof operationPrecision>) => precision.exp(60) + 160;

function gradientCase(dtype: RangeDType): ConformanceCase {
  return factorsCase('cross-entropy/factors-of-gradient', dtype, { kernel: null }, (backend) =>
    checkEach(
      gradients[dtype].flatMap((setting) =>
        ([1, 0] as const).flatMap((axis) => [false, true].map((isMasked) => ({ setting, axis, isMasked }))),
      ),
      ({ setting, axis, isMasked }) => `${setting.label}, axis ${axis}${isMasked ? ', masked' : ''}`,
      ({ setting, axis, isMasked }) => {
        const { at, x, oneHot, targets, ordinary, shape, options, classes } = problemOf(setting, axis, isMasked);
        const precision = operationPrecision(backend.supports, dtype);
        const expected = new Float64Array(ordinary.length);
        const power = setting.weight - setting.temperature;
        const half = Math.trunc(power / 2);
        for (const [i, value] of ordinary.entries()) {
          const product = value * 2 ** half * 2 ** (power - half);
          expected[at(Math.floor(i / classes), i % classes)] = dtype === 'float32' ? Math.fround(product) : product;
        }
        const tolerance = expected.map((value) =>
          Number.isFinite(value) ? precision.stored(precision.unit * unitsOf(precision) * Math.abs(value), value) : 0,
        );
        return owning(async (own) => {
          const logits = own(tensor([...x], { shape, dtype, backend }));
          const probabilities = own(tensor([...oneHot], { shape, dtype, backend }));
          for (const target of [targets, probabilities]) {
            const result = own(crossEntropy.gradient(logits, target, options));
            assertClose('crossEntropy.gradient', await result.data(), expected, tolerance);
          }
        });
      },
    ),
  );
}

function productCase(dtype: RangeDType): ConformanceCase {
  return factorsCase('cross-entropy/factors-of-products', dtype, { kernel: null }, (backend) =>
    checkEach(
      products[dtype],
      ({ label }) => label,
      (setting) => {
        const { x, targets, gradient, shape, options, classes, count } = problemOf(setting, 1);
        const precision = operationPrecision(backend.supports, dtype);
        const units = precision.unit * (unitsOf(precision) + classes);
        const size = 2 ** setting.direction;
        // Terms of opposite signs that overflow have a sum of 0 if the tangent is the same everywhere.
        const tangent = gradient.map((_, i) => (setting.weight === 0 ? size : size * (1 + (i % 3))));
        const cotangent = new Float64Array(count).fill(setting.weight === 0 ? size * 2 ** -8 : size);
        const share = 2 ** -100;
        const times = (i: number, direction: number) =>
          ((gradient[i] ?? 0) * (direction * share) * 2 ** setting.weight) / share;
        const vjp = gradient.map((_, i) => times(i, cotangent[0] ?? 0));
        const sum = (of: (term: number) => number) =>
          Array.from({ length: count }, (_, row) => {
            let total = 0;
            for (let c = 0; c < classes; c++) {
              const i = row * classes + c;
              total += of((gradient[i] ?? 0) * ((tangent[i] ?? 0) * share) * 2 ** setting.weight);
            }
            return total;
          });
        const bound = (terms: number, value: number) => precision.stored(units * terms + 2 * precision.floor, value);
        return owning(async (own) => {
          const given = (values: Float64Array, of: readonly number[]) =>
            own(tensor([...values], { shape: of, dtype, backend }));
          const logits = given(x, shape);
          const ofVjp = own(crossEntropy.vjp(logits, targets, given(cotangent, [count]), options));
          const ofJvp = own(crossEntropy.jvp(logits, targets, given(tangent, shape), options));
          const vjpBounds = vjp.map((value) => bound(Math.abs(value), value));
          assertClose('crossEntropy.vjp', await ofVjp.data(), vjp, vjpBounds);
          const changes = sum((term) => term).map((value) => value / share);
          const sizes = sum(Math.abs);
          const jvpBounds = sizes.map((value, row) => bound(value, changes[row] ?? 0) / share);
          assertClose('crossEntropy.jvp', await ofJvp.data(), changes, jvpBounds);
        });
      },
    ),
  );
}

interface LossSetting {
  readonly label: string;
  /** Exponents of 2. */
  readonly temperature: number;
  readonly weight: number;
  readonly labelSmoothing: number;
  readonly x: readonly number[];
  readonly target: readonly number[];
}

const losses: Readonly<Record<RangeDType, readonly LossSetting[]>> = {
  float32: [
    {
      label: 'T is large',
      temperature: 100,
      weight: 30,
      labelSmoothing: 0.1,
      x: [0, -(2 ** 20), -3],
      target: [0, 1, 0],
    },
    {
      label: 'T is small',
      temperature: -125,
      weight: 0,
      labelSmoothing: 2 ** -20,
      x: [0, -40, -75],
      target: [1, 0, 0],
    },
  ],
  float64: [
    {
      label: 'T is large',
      temperature: 1000,
      weight: 30,
      labelSmoothing: 0.1,
      x: [0, -(2 ** 20), -3],
      target: [0, 1, 0],
    },
    {
      label: 'T is small',
      temperature: -1020,
      weight: 0,
      labelSmoothing: 2 ** -20,
      x: [0, -40, -75],
      target: [1, 0, 0],
    },
  ],
};

function lossCase(dtype: RangeDType): ConformanceCase {
  return factorsCase('cross-entropy/factors-of-loss', dtype, { kernel: null }, (backend) =>
    checkEach(
      losses[dtype],
      ({ label }) => label,
      ({ temperature: exponent, weight: size, labelSmoothing, x: quotients, target }) => {
        const precision = operationPrecision(backend.supports, dtype);
        const temperature = 2 ** exponent;
        const weight = quotients.map(() => 2 ** size);
        const x = quotients.map((value) => value * temperature);
        const options = { temperature, weight, labelSmoothing, reduction: 'none' } as const;
        const rows = { outer: 1, classes: x.length, inner: 1 };
        const loss = crossEntropyLoss(x, { kind: 'probabilities', values: target }, rows, options);
        const bounds = loss.map((value) =>
          Number.isFinite(value) ? precision.stored(precision.unit * 60 * value, value) : 0,
        );
        return owning(async (own) => {
          const given = (values: readonly number[]) =>
            own(tensor([...values], { shape: [1, x.length], dtype, backend }));
          const result = own(crossEntropy.loss(given(x), given(target), options));
          assertClose('crossEntropy.loss', await result.data(), loss, bounds);
        });
      },
    ),
  );
}

interface VjpSetting {
  readonly label: string;
  readonly temperature: number;
  /** The first probability, the others, and the cotangents beside the first, which has 0. */
  readonly first: number;
  readonly others: number;
  readonly cotangent: number;
}

const vjps: Readonly<Record<RangeDType, readonly VjpSetting[]>> = {
  float32: [
    { label: 'T is large', temperature: 2 ** 60, first: 1, others: 2 ** -108, cotangent: 2 ** 100 },
    { label: 'T is small', temperature: 2 ** -60, first: 1, others: 2 ** -108, cotangent: 2 ** -40 },
    { label: 'T is very small', temperature: 2 ** -110, first: 1, others: 2 ** -108, cotangent: 2 ** -40 },
    { label: '1 / T overflows', temperature: 2 ** -140, first: 1, others: 2 ** -124, cotangent: 2 ** -15 },
    { label: 'probabilities that are no softmax', temperature: 2 ** 40, first: 0, others: 1, cotangent: 2 ** 127 },
  ],
  float64: [
    {
      label: 'T is large',
      temperature: 2 ** 90,
      first: 1,
      others: (1 + Math.SQRT1_2) * 2 ** -960,
      cotangent: 2 ** 500,
    },
    {
      label: 'T is small',
      temperature: 2 ** -90,
      first: 1,
      others: (1 + Math.SQRT1_2) * 2 ** -900,
      cotangent: 2 ** -160,
    },
    {
      label: 'T is very small',
      temperature: 2 ** -200,
      first: 1,
      others: (1 + Math.SQRT1_2) * 2 ** -900,
      cotangent: 2 ** -160,
    },
    {
      label: '1 / T overflows',
      temperature: 2 ** -1060,
      first: 1,
      others: (1 + Math.SQRT1_2) * 2 ** -1020,
      cotangent: 2 ** -35,
    },
    { label: 'probabilities that are no softmax', temperature: 2 ** 40, first: 0, others: 1, cotangent: 2 ** 1023 },
  ],
};

function vjpCase(dtype: RangeDType): ConformanceCase {
  return factorsCase('vjp/factors', dtype, { kernel: null, classes: 20 }, (backend) =>
    checkEach(
      vjps[dtype].flatMap((setting) =>
        [3, 5, 20].flatMap((classes) => ([1, 0] as const).map((axis) => ({ setting, classes, axis }))),
      ),
      ({ setting, classes, axis }) => `${setting.label}, ${classes} classes, axis ${axis}`,
      ({ setting: { temperature, first, others, cotangent }, classes, axis }) => {
        const precision = operationPrecision(backend.supports, dtype);
        const count = 5;
        const entry = (i: number) => (axis === 1 ? i % classes : Math.floor(i / count));
        const of = (value: (c: number) => number) =>
          Float64Array.from({ length: count * classes }, (_, i) => value(entry(i)));
        const s = of((c) => (c === 0 ? first : others));
        const g = of((c) => (c === 0 ? 0 : cotangent * (c % 2 ? 1 : -0.75)));
        // In units of the cotangent, which may be the largest number.
        const shares = Array.from({ length: classes - 1 }, (_, k) => (k % 2 ? -0.75 : 1));
        const mean = others * shares.reduce((total, share) => total + share, 0);
        const size = shares.reduce((total, share) => total + Math.abs(share), 0);
        const excess = Math.abs(1 - first - (classes - 1) * others);
        const scale = Number.isFinite(cotangent / temperature) ? 1 : 2 ** 100;
        const unit = cotangent / scale / temperature;
        const expected = of(
          (c) => (c === 0 ? first : others) * ((c === 0 ? 0 : (shares[c - 1] ?? 0)) - mean) * unit * scale,
        );
        const bounds = of((c) => {
          const [p, share] = c === 0 ? [first, 0] : [others, Math.abs(shares[c - 1] ?? 0)];
          return (
            p * (precision.unit * 40 * (share + others * size) + 2 * excess * size) * unit * scale + precision.floor
          );
        });
        return owning(async (own) => {
          const shape = axis === 1 ? [count, classes] : [classes, count];
          const given = (values: Float64Array): Tensor => own(tensor([...values], { shape, dtype, backend }));
          const probabilities = given(s);
          const result = own(softmax.vjp(probabilities, given(g), { axis, temperature }));
          assertClose('softmax.vjp', await result.data(), expected, bounds);
          if (classes > 3 || first === 0) return;
          const matrices = own(softmax.jacobian(probabilities, { axis, temperature }));
          const size = others / temperature;
          const small = -others * size;
          const matrix = [2 * size, -size, -size, -size, size, small, -size, small, size];
          const entries = Float64Array.from({ length: count * 9 }, (_, i) => matrix[i % 9] ?? Number.NaN);
          const bound = entries.map((value) => precision.unit * 20 * Math.abs(value) + precision.floor);
          assertClose('softmax.jacobian', await matrices.data(), entries, bound);
        });
      },
    ),
  );
}

/** Products of several factors whose partial products overflow or underflow, while they do not. */
export const factors: readonly ConformanceCase[] = (['float32', 'float64'] as const).flatMap((dtype) => [
  gradientCase(dtype),
  productCase(dtype),
  lossCase(dtype),
  vjpCase(dtype),
]);
