import { crossEntropy as referenceCrossEntropy } from '../../reference/cross-entropy.js';
import * as reference from '../../reference/functions.js';
import {
  type Backend,
  crossEntropy,
  type FloatDType,
  logSoftmax,
  logSumExp,
  type Rows,
  softmax,
  type Tensor,
  tensor,
} from '../../src/index.js';
import { type ConformanceCase, defineCase, dtypeOnly, type Requirements } from '../case.js';
import { assertClose } from '../check.js';
import { rounded } from '../inputs.js';
import { owning } from '../owning.js';
import { checkEach, explaining } from '../sweep.js';
import { operationPrecision, type RowErrors, rowErrors, softmaxVjpTolerance, summation } from '../tolerance.js';

/** One row of logits at the ends of a dtype's range, and its temperature. */
interface RangeRow {
  readonly x: readonly number[];
  readonly temperature: number;
}

type RangeDType = Exclude<FloatDType, 'float16'>;
const dtypes = ['float32', 'float64'] as const satisfies readonly RangeDType[];

const overflowOnTheWay =
  "if results overflow on the way, scale the operands by a power of 2, or announce supports.range: 'ordinary'";

/** A case for backends that compute with operands up to the ends of the dtype's range, which is the default of `supports.range`. */
function fullRangeCase(id: string, requires: Requirements, run: (backend: Backend) => Promise<void>): ConformanceCase {
  return defineCase(id, { ...requires, features: ['range: full'] }, (backend) =>
    explaining(overflowOnTheWay, run(backend)),
  );
}

/** Rows for which x/T, x − max or 1/T overflows or underflows, while softmax(x/T) has ordinary values. */
const rangeRows: Readonly<Record<RangeDType, readonly RangeRow[]>> = {
  float32: [
    { x: [1, 2], temperature: 1e-39 },
    { x: [1e10, 1e10, -3e38], temperature: 1e-39 },
    { x: [2e-39, 1e-39], temperature: 1e-39 },
    { x: [3e38, -3e38], temperature: 5e38 },
    { x: [3e38, 1e38, -3e38], temperature: 3e38 },
    { x: [3.4e38, -3.4e38], temperature: 10 },
    { x: [3e38, -3e38, 3e38], temperature: 0.5 },
    { x: [-3e38, 3e38], temperature: 1 },
    { x: [3e31, 1e31, 2.5e31], temperature: 1e31 },
  ],
  float64: [
    { x: [1e10, 1e10], temperature: 1e-300 },
    { x: [1e-310, 2e-310, 0], temperature: 1e-310 },
    { x: [1.7e308, -1.7e308], temperature: 0.5 },
    { x: [1.7e308, 1.7e308 - 2e292], temperature: 1.3e292 },
    { x: [1.7e308, -1.7e308, 1e308], temperature: 1.7e308 },
    { x: [1.7e308, -1.7e308], temperature: 10 },
    { x: [-1.7e308, 1.7e308], temperature: 1 },
    { x: [3e301, 1e301, 2.5e301], temperature: 1e300 },
  ],
};

/** Rows in which softmax(x/T) / T is a normal number and softmax(x/T) is subnormal or 0, or 1 / T overflows. */
const smallTemperatures: Readonly<Record<RangeDType, readonly RangeRow[]>> = {
  float32: [
    { x: [0, -8.8e-11], temperature: 1e-12 },
    { x: [0, -1.02e-10, -3e-12], temperature: 1e-12 },
    { x: [-9.4e-5, 0], temperature: 1e-6 },
    { x: [0, -1e-37, -1e-38, 0], temperature: 1e-39 },
    { x: [0, -1.9e-43, -7e-45], temperature: 2 ** -149 },
  ],
  float64: [
    { x: [0, -7.4e-10], temperature: 1e-12 },
    { x: [0, -7.2e-98, -3e-99], temperature: 1e-100 },
    { x: [0, -7e-308, -1e-308, 0], temperature: 1e-310 },
    { x: [0, -3e-321, -1.5e-323], temperature: 2 ** -1074 },
  ],
};

const one = { outer: 1, inner: 1 } as const;

function inDType(values: readonly number[], dtype: FloatDType): Float64Array {
  return Float64Array.from(values, (value) => rounded(value, dtype));
}

/** The errors of a row from which the maximum is subtracted before the division: those of (x − max) / T at a maximum of 0. */
function errorsOf(backend: Backend, dtype: RangeDType, x: Float64Array, temperature: number): RowErrors {
  const at = Array.from(x.keys());
  const max = Math.max(...x);
  // Halves do not overflow, but those of the smallest numbers are 0.
  const unit = temperature < 2 ** -100 ? 1 : 0.5;
  const gaps = x.map((value) => 2 * ((value * unit - max * unit) / (temperature * unit)));
  // At a temperature of 2, so that the division is counted.
  return rowErrors(operationPrecision(backend.supports, dtype), gaps, at, { temperature: 2 });
}

/** How to call one function of logits, its expected result, and the bound of each entry in units. */
interface RangeFunction {
  readonly id: string;
  readonly rows: Readonly<Record<RangeDType, readonly RangeRow[]>>;
  readonly requires?: Requirements;
  /** The direction of a derivative, one number for each class or for the row. */
  direction?(classes: number, temperature: number): readonly number[];
  run(x: Tensor, options: { readonly temperature: number }, direction: () => Tensor): Tensor;
  expected(x: Float64Array, rows: Rows, temperature: number, direction: Float64Array): Float64Array;
  units(errors: RowErrors, i: number, value: number, log: (value: number) => number): number;
}

/** Computed through log p, whose error becomes a relative error of p. */
const unitsOfGradient: RangeFunction['units'] = (errors, i, value, log) =>
  (errors.shift(i) + errors.term(i) + errors.sum + log(Math.log1p(errors.logarithm)) + 30) * Math.abs(value);

/** `log-sum-exp/gradient-of-small-temperature` and the products with the gradient. */
const ofSmallTemperature = {
  id: 'log-sum-exp/gradient-of-small-temperature',
  rows: smallTemperatures,
  requires: { kernel: null },
} as const;

const functions: readonly RangeFunction[] = [
  {
    id: 'softmax/range',
    rows: rangeRows,
    requires: { kernel: null },
    run: softmax,
    expected: (x, rows, temperature) => reference.softmax(x, rows, { temperature }),
    units: (errors, i, value) => (errors.term(i) + errors.sum + 5) * value,
  },
  {
    id: 'log-softmax/range',
    rows: rangeRows,
    requires: { kernel: null },
    run: logSoftmax,
    expected: (x, rows, temperature) => reference.logSoftmax(x, rows, { temperature }),
    units: (errors, i, value, log) => errors.shift(i) + errors.sum + log(errors.logarithm) + 2 * Math.abs(value),
  },
  {
    id: 'log-sum-exp/range',
    rows: rangeRows,
    requires: { kernel: null },
    run: logSumExp,
    expected: (x, rows, temperature) => reference.logSumExp(x, rows, { temperature }),
    units: (errors, _, value, log) => errors.sum + log(errors.logarithm) + 7 * (Math.abs(value) + errors.logarithm),
  },
];

/** As small as the temperature, so that the products with the gradient are ordinary numbers even if the gradient overflows. */
const products: readonly [RangeFunction, ...RangeFunction[]] = [
  {
    ...ofSmallTemperature,
    run: logSumExp.gradient,
    expected: (x, rows, temperature) => reference.logSumExpVjp(x, null, rows, { temperature }),
    units: unitsOfGradient,
  },
  {
    ...ofSmallTemperature,
    direction: (_, temperature) => [3 * temperature],
    run: (x, options, direction) => logSumExp.vjp(x, direction(), options),
    expected: (x, rows, temperature, g) => reference.logSumExpVjp(x, g, rows, { temperature }),
    units: unitsOfGradient,
  },
  {
    ...ofSmallTemperature,
    direction: (classes, temperature) => Array.from({ length: classes }, (_, c) => (1 + c) * temperature),
    run: (x, options, direction) => logSumExp.jvp(x, direction(), options),
    expected: (x, rows, temperature, t) => reference.logSumExpJvp(x, t, rows, { temperature }),
    // Every term is positive, and those of the other classes are small.
    units: (errors, _, value, log) => unitsOfGradient(errors, 0, value, log),
  },
];

function rangeCase(dtype: RangeDType, functions: readonly [RangeFunction, ...RangeFunction[]]): ConformanceCase {
  const [{ id, rows, requires }] = functions;
  return fullRangeCase(`${id}${dtypeOnly(dtype)}`, { dtype, ...requires }, (backend) =>
    checkEach(
      rows[dtype].flatMap((row) => functions.map((described) => ({ row, described }))),
      ({ row: { x, temperature } }) => `[${x.join(', ')}] at temperature ${temperature}`,
      async ({ row: { x: stated, temperature }, described: { direction, run, expected, units } }) => {
        const x = inDType(stated, dtype);
        const precision = operationPrecision(backend.supports, dtype);
        const along = inDType(direction?.(x.length, temperature) ?? [], dtype);
        const values = overflowing(expected(x, { ...one, classes: x.length }, temperature, along), dtype);
        const errors = errorsOf(backend, dtype, x, temperature);
        const tolerance = Float64Array.from(values, (value, i) => {
          const bound = Number.isFinite(value)
            ? precision.unit * units(errors, i, value, precision.log) + 2 * precision.floor
            : 0;
          return precision.stored(bound, value);
        });
        await owning(async (own) => {
          const logits = own(tensor([...x], { shape: [1, x.length], dtype, backend }));
          const shape = along.length > 1 ? [1, along.length] : [along.length];
          const v = () => own(tensor([...along], { shape, dtype, backend }));
          assertClose(id, await own(run(logits, { temperature }, v)).data(), values, tolerance);
        });
      },
    ),
  );
}

/** Float32 results that overflow become infinite. */
function overflowing(values: Float64Array, dtype: RangeDType): Float64Array {
  return dtype === 'float32' ? values.map((value) => (Math.abs(value) > 3.5e38 ? Math.fround(value) : value)) : values;
}

const largeCotangent = { float32: 3e38, float64: 1.7e308 } as const satisfies Record<RangeDType, number>;

/** Probabilities, and signs of the largest cotangents. */
const cotangentRows: readonly (readonly [s: readonly number[], signs: readonly number[]])[] = [
  [
    [0.5, 0.5],
    [1, -1],
  ],
  [
    [1 - 2 ** -20, 2 ** -20],
    [1, -1],
  ],
  [
    [0.25, 0.25, 0.5],
    [1, -1, 1],
  ],
  ...[4, 8, 16, 32, 128, 1024].map(
    (classes) =>
      [
        new Array<number>(classes).fill(1 / classes),
        Array.from({ length: classes }, (_, c) => (c % 3 === 0 ? 1 : -1)),
      ] as const,
  ),
  ...[4, 7, 33, 257].map(
    (classes) =>
      [
        Array.from({ length: classes }, (_, c) => (c === 0 ? 0.75 : 0.25 / (classes - 1))),
        Array.from({ length: classes }, (_, c) => (c === 0 ? 1 : c % 2 ? -1 : 0)),
      ] as const,
  ),
];

/** Cotangents whose sums and differences overflow although the result does not, each with an ordinary row beside it. */
function hugeCotangents(dtype: RangeDType, axis: 0 | 1): ConformanceCase {
  const id = `vjp/huge-cotangents:axis=${axis}${dtypeOnly(dtype).replace(':', ';')}`;
  return fullRangeCase(id, { dtype, classes: 1024 }, (backend) =>
    checkEach(
      [1, 4].flatMap((temperature) => cotangentRows.map(([s, signs]) => ({ s, signs, temperature }))),
      ({ s, temperature }) => `${s.length} classes at temperature ${temperature}`,
      async ({ s, signs, temperature }) => {
        const classes = s.length;
        const rows = axis === 1 ? { outer: 5, classes, inner: 1 } : { outer: 1, classes, inner: 5 };
        const at = (row: number, c: number) => (axis === 1 ? row * classes + c : c * 5 + row);
        const p = new Float64Array(5 * classes);
        const g = new Float64Array(5 * classes);
        for (let row = 0; row < 5; row++) {
          for (let c = 0; c < classes; c++) {
            p[at(row, c)] = rounded(s[c] ?? 0, dtype);
            // The second and the fourth of five rows are ordinary.
            g[at(row, c)] = rounded((signs[c] ?? 0) * (row % 2 ? 1 : largeCotangent[dtype]), dtype);
          }
        }
        const expected = reference.softmaxVjp(p, g, rows, { temperature });
        const tolerance = scaledTolerance(backend, dtype, p, g, expected, rows, temperature);
        const shape = axis === 1 ? [5, classes] : [classes, 5];
        await owning(async (own) => {
          const given = (values: Float64Array) => own(tensor([...values], { shape, dtype, backend }));
          const [probabilities, cotangent] = [given(p), given(g)];
          const result = own(softmax.vjp(probabilities, cotangent, { axis, temperature }));
          assertClose('softmax.vjp', await result.data(), expected, tolerance);
        });
      },
    ),
  );
}

/** The bound for cotangents scaled down by a power of 2, scaled up again; the bound of ordinary rows is unchanged. */
function scaledTolerance(
  backend: Backend,
  dtype: RangeDType,
  p: Float64Array,
  g: Float64Array,
  expected: Float64Array,
  rows: Rows,
  temperature: number,
): Float64Array {
  const precision = operationPrecision(backend.supports, dtype);
  const share = 2 ** -40;
  const small = softmaxVjpTolerance(
    precision,
    p,
    g.map((value) => value * share),
    expected.map((value) => value * share),
    rows,
    { temperature },
  );
  const ordinary = softmaxVjpTolerance(precision, p, g, expected, rows, { temperature });
  return small.map((bound, i) => {
    const ofOrdinary = ordinary[i] ?? Number.NaN;
    // In a row of huge cotangents the bound of one that is 0 overflows, too.
    return Math.abs(g[i] ?? 0) > 2 || !Number.isFinite(ofOrdinary) ? bound / share : ofOrdinary;
  });
}

/** Weights of a mean for which their sum, its reciprocal or a product with a loss overflows or underflows. */
const extremeWeights = {
  float32: [1e-40, 1e-30, 3e38],
  float64: [1e-310, 1e-200, 1.7e308],
} as const satisfies Record<RangeDType, readonly number[]>;

function weightsCase(dtype: RangeDType, labelSmoothing: number): ConformanceCase {
  const id = `cross-entropy/extreme-weights:labelSmoothing=${labelSmoothing}${dtypeOnly(dtype).replace(':', ';')}`;
  return defineCase(id, { dtype, kernel: null }, (backend) =>
    checkEach(
      extremeWeights[dtype],
      (weight) => `weights of ${weight}`,
      (size) => {
        const x = inDType([1, 2, 3, 3, 1, 2], dtype);
        const weight = inDType([size, size / 2, size], dtype);
        return checkLoss(backend, dtype, { x, targets: [0, 1], temperature: 1, labelSmoothing, weight });
      },
    ),
  );
}

/** Logits for which log p overflows while its product with a small target weight does not. */
const farLogits = {
  float32: [1, 10, 0.5].map((temperature) => ({ x: [3e38, -3e38, 0], temperature })),
  float64: [1, 10, 0.5].map((temperature) => ({ x: [1.7e308, -1.7e308, 0], temperature })),
} as const satisfies Record<RangeDType, readonly RangeRow[]>;

function farLossCase(dtype: RangeDType): ConformanceCase {
  return fullRangeCase(`cross-entropy/range${dtypeOnly(dtype)}`, { dtype, kernel: null }, (backend) =>
    checkEach(
      farLogits[dtype],
      ({ temperature }) => `temperature ${temperature}`,
      ({ x, temperature }) =>
        checkLoss(backend, dtype, {
          x: inDType(x, dtype),
          targets: [0],
          temperature,
          labelSmoothing: 0.1,
          weight: null,
        }),
    ),
  );
}

interface LossStatement {
  readonly x: Float64Array;
  readonly targets: readonly number[];
  readonly temperature: number;
  readonly labelSmoothing: number;
  readonly weight: Float64Array | null;
}

/** Loss and gradient of rows of three classes, compared relative to the terms that they consist of. */
async function checkLoss(backend: Backend, dtype: RangeDType, statement: LossStatement): Promise<void> {
  const { x, targets, temperature, labelSmoothing, weight } = statement;
  const rows = { outer: targets.length, classes: 3, inner: 1 };
  const target = { kind: 'indices', values: targets } as const;
  const expected = referenceCrossEntropy(x, target, rows, { temperature, labelSmoothing, weight });
  const precision = operationPrecision(backend.supports, dtype);
  // An exp, a logarithm near 1, and thirty roundings of a row's terms, which all have one sign or are at most 1/T.
  const units = precision.exp(2) + precision.log(0) + 30 + summation(3);
  const options = { temperature, labelSmoothing, ...(weight && { weight: [...weight] }) };
  const bound = (size: number, value: number) =>
    precision.stored(precision.unit * units * size + precision.floor, value);
  const [loss = Number.NaN] = expected.loss;
  const bounds = expected.gradient.map((value) => bound(1 / temperature, value));
  await owning(async (own) => {
    const logits = own(tensor([...x], { shape: [targets.length, 3], dtype, backend }));
    const result = crossEntropy(logits, [...targets], options);
    const [ofLoss, ofGradient] = [own(result.loss), own(result.gradient)];
    assertClose('loss', await ofLoss.data(), [loss], [bound(Math.abs(loss), loss)]);
    assertClose('gradient', await ofGradient.data(), expected.gradient, bounds);
  });
}

/** Operands and parameters at the ends of a dtype's range whose results are far from these ends. */
export const ranges: readonly ConformanceCase[] = dtypes.flatMap((dtype) => [
  ...functions.map((described) => rangeCase(dtype, [described])),
  rangeCase(dtype, products),
  hugeCotangents(dtype, 1),
  hugeCotangents(dtype, 0),
  weightsCase(dtype, 0),
  weightsCase(dtype, 0.1),
  farLossCase(dtype),
]);
