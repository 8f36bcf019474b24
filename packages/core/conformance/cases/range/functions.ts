import * as reference from '../../../reference/functions.js';
import { type Backend, logSoftmax, logSumExp, type Rows, softmax, type Tensor, tensor } from '../../../src/index.js';
import { type ConformanceCase, dtypeOnly, type Requirements } from '../../case.js';
import { assertClose } from '../../check.js';
import { owning } from '../../owning.js';
import { checkEach } from '../../sweep.js';
import { operationPrecision, type Precision, type RowErrors, rowErrors } from '../../tolerance.js';
import { fullRangeCase, inDType, type RangeDType, type RangeRow } from './full-range.js';

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
  units(errors: RowErrors, i: number, value: number, precision: Precision): number;
}

/**
 * The fourth power of a probability at 4 T over the largest of them, whose exponentials have a quarter of the gap: four times their errors and those of
 * three divisions, then the largest probability and six products and divisions.
 */
const unitsOfGradient: RangeFunction['units'] = (errors, i, value, { exp }) =>
  (errors.term(i) + errors.sum + 7 * exp(0) + 4 * 3 * 5 + 6 * 5) * Math.abs(value);

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
    units: (errors, i, value, { log }) => errors.shift(i) + errors.sum + log(errors.logarithm) + 2 * Math.abs(value),
  },
  {
    id: 'log-sum-exp/range',
    rows: rangeRows,
    requires: { kernel: null },
    run: logSumExp,
    expected: (x, rows, temperature) => reference.logSumExp(x, rows, { temperature }),
    units: (errors, _, value, { log }) => errors.sum + log(errors.logarithm) + 7 * (Math.abs(value) + errors.logarithm),
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
    units: (errors, _, value, precision) => unitsOfGradient(errors, 0, value, precision),
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
            ? precision.unit * units(errors, i, value, precision) + 2 * precision.floor
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

/** Functions of logits at the ends of a dtype's range, and with temperatures at them. */
export const functionCases = (dtype: RangeDType): readonly ConformanceCase[] => [
  ...functions.map((described) => rangeCase(dtype, [described])),
  rangeCase(dtype, products),
];
