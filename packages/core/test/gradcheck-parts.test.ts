import { describe, expect, test } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import { exact } from '../conformance/index.js';
import { crossEntropyLoss } from '../reference/cross-entropy.js';
import * as reference from '../reference/functions.js';
import {
  type Backend,
  crossEntropy,
  type GradcheckOptions,
  type GradcheckReport,
  gradcheck,
  gradgradcheck,
  logSoftmax,
  logSumExp,
  relu,
  sigmoid,
  softmax,
  softmin,
  tensor,
} from '../src/index.js';

// Of core's functions, gradcheck evaluates the row alone that an entry is in. A caller's own function is evaluated as a whole: here the same one.

const backend = await exact.open();
const shape = [2, 3, 4];
const size = 24;
/** Irregular numbers in ±1. */
const numbers = (length: number, seed: number) =>
  Float64Array.from({ length }, (_, k) => 2 * ((((k + 1) * (seed + Math.SQRT2)) % 1) - 0.5));
const like = (values: ArrayLike<number>, as: readonly number[] = shape) =>
  tensor(Float64Array.from(values), { shape: as, backend, dtype: 'float64' });
const x = like(numbers(size, 3).map((v) => 2 * v));
const tangent = like(numbers(size, 5));
// Every row keeps an entry, whatever the axis.
const mask = { data: Array.from({ length: size }, (_, k) => k % 5 !== 2 && k % 7 !== 3), shape };

const checks = [
  ['gradcheck', gradcheck],
  ['gradgradcheck', gradgradcheck],
] as const;
type Compare = (f: never, at: typeof x, options: GradcheckOptions) => Promise<GradcheckReport>;
type Forward = (values: Float64Array) => Float64Array;

/** Compares all numbers of the report of one of core's functions with those of the same function, evaluated as a whole. */
async function compareWithWhole(
  check: 'gradcheck' | 'gradgradcheck',
  operation: object,
  options: GradcheckOptions,
  forward: Forward,
  outputShape: readonly number[],
): Promise<void> {
  const directions = { cotangent: like(numbers(forward(new Float64Array(size)).length, 7), outputShape), tangent };
  const { cotangent } = directions;
  const of: Compare = check === 'gradcheck' ? gradcheck : gradgradcheck;
  const given = check === 'gradcheck' ? { cotangent } : directions;
  const report = await of(operation as never, x, { ...options, ...given });
  const derivative = () => like(report.entries.map(({ analytic }) => analytic));
  const whole = await of({ name: 'whole', forward, outputShape, vjp: derivative, hvp: derivative } as never, x, {
    ...given,
    temperature: options.temperature,
  });
  expect([report.ok, report.checked, whole.ok, whole.checked], String(whole)).toEqual([true, size, true, size]);
  const largest = Math.max(...whole.entries.map(({ numeric }) => Math.abs(numeric)));
  const within = check === 'gradcheck' ? 1e-10 : 1e-7;
  expect(largest).toBeGreaterThan(0);
  for (const [k, { index, numeric }] of report.entries.entries()) {
    expect(index).toBe(k);
    expect(Math.abs(numeric - whole.entries[k].numeric) / largest, `x[${k}]`).toBeLessThan(within);
  }
}

describe.each(checks)('%s of the row of an entry has the differences of the whole function', (name) => {
  const settings = [0, 1, 2].flatMap((axis) => [
    { axis, temperature: 1 },
    { axis, temperature: 0.5, mask },
  ]);
  const rowsOf = (axis: number) => ({
    outer: shape.slice(0, axis).reduce((a, b) => a * b, 1),
    classes: shape[axis],
    inner: shape.slice(axis + 1).reduce((a, b) => a * b, 1),
  });
  const withoutAxis = (axis: number) => shape.filter((_, k) => k !== axis);
  const kept = ({ mask: given }: { mask?: typeof mask }) => given?.data ?? null;

  const softmaxes = [
    ['softmax', softmax, reference.softmax, 1],
    ['softmin', softmin, reference.softmax, -1],
    ['logSoftmax', logSoftmax, reference.logSoftmax, 1],
    ['logSumExp', logSumExp, reference.logSumExp, 1],
  ] as const;
  test.each(softmaxes)('%s: axis, temperature and mask', async (_, operation, value, sign) => {
    for (const options of settings) {
      const { axis, temperature } = options;
      const parameters = { temperature: sign * temperature, mask: kept(options) };
      const forward = (values: Float64Array) => value(values, rowsOf(axis), parameters);
      const outputShape = operation === logSumExp ? withoutAxis(axis) : shape;
      await compareWithWhole(name, operation, options, forward, outputShape);
    }
  });

  test('elementwise functions, whose rows are single entries', async () => {
    await compareWithWhole(name, sigmoid, {}, reference.sigmoid, shape);
    if (name === 'gradcheck') await compareWithWhole(name, relu, {}, reference.relu, shape);
  });

  describe.each(['mean', 'sum', 'none'] as const)('crossEntropy, reduction %s', (reduction) => {
    const variants = ['indices', 'probabilities'].flatMap((kind) =>
      [{}, { labelSmoothing: 0.2 }, { weight: [2, 0.5, 1, 3] }].map((more) => ({ kind, more })),
    );
    test.each(variants)('of $kind with $more', async ({ kind, more }) => {
      for (const options of settings) {
        const { axis } = options;
        const rows = rowsOf(axis);
        const among = kept(options);
        const weight = 'weight' in more ? { weight: more.weight?.slice(0, rows.classes) } : {};
        const indices = Int32Array.from({ length: size / rows.classes }, (_, row) => {
          const [outer, within] = [Math.floor(row / rows.inner), row % rows.inner];
          const classes = Array.from({ length: rows.classes }, (__, c) => c).filter(
            (c) => !among || among[(outer * rows.classes + c) * rows.inner + within],
          );
          // One of the rows is ignored.
          return row === 1 ? 9 : (classes[row % classes.length] ?? 9);
        });
        const probabilities = numbers(size, 11).map((v) => v + 1);
        const isIndices = kind === 'indices';
        const target = isIndices ? tensor(indices, { shape: withoutAxis(axis), backend }) : like(probabilities);
        const given = { ...options, ...more, ...weight, reduction, ...(isIndices && { ignoreIndex: 9 }) };
        const forward = (values: Float64Array) =>
          crossEntropyLoss(
            values,
            { kind: isIndices ? 'indices' : 'probabilities', values: isIndices ? indices : probabilities },
            rows,
            { ...given, mask: among },
          );
        const outputShape = reduction === 'none' ? withoutAxis(axis) : [];
        await compareWithWhole(name, crossEntropy, { ...given, target }, forward, outputShape);
      }
    });
  });
});

test('the weights of a mean may be as large or as small as numbers are', async () => {
  for (const unit of [1e307, 1e-307]) {
    const weight = [unit, 2 * unit, 3 * unit, unit];
    const target = tensor(Int32Array.of(0, 1, 2, 3, 2, 1), { shape: [2, 3], backend });
    expect(await gradcheck(crossEntropy, x, { target, weight })).toMatchObject({ ok: true, checked: 24 });
  }
});

describe('a derivative that is wrong at one entry is found there', () => {
  test.each([
    [0, 13],
    [1, 22],
    [2, 6],
  ])('axis %d, x[%d]', async (axis, wrong) => {
    const inner = (await exact.open()) as Backend;
    const off = delegate(inner, {
      vjp: (out, s, g, rows, parameters) => {
        inner.vjp(out, s, g, rows, parameters);
        const entries = inner.view?.(out) ?? new Float64Array(0);
        entries[wrong] = (entries[wrong] ?? Number.NaN) + 1e-6;
      },
    });
    const at = tensor(x.dataSync() as Float64Array, { shape, backend: off, dtype: 'float64' });
    const { entries } = await gradcheck(softmax, at, { axis });
    expect(entries.flatMap(({ ok, index }) => (ok ? [] : [index]))).toEqual([wrong]);
    const few = await gradcheck(softmax, at, { axis, entries: [23, wrong, 0] });
    expect(few.entries.map(({ index, ok }) => [index, ok])).toEqual([
      [23, true],
      [wrong, false],
      [0, true],
    ]);
  });
});

test.each([
  ['at a kink of one entry, every slope between those of both sides is right', 0, []],
  ['and another is wrong there', 1.5, [0, 3]],
])('%s', async (_, slope, wrong) => {
  const inner = (await exact.open()) as Backend;
  const ofSlope = delegate(inner, {
    kernels: {
      ...inner.kernels,
      reluVjp: (out, y, cotangent, length) => {
        inner.kernels?.reluVjp?.(out, y, cotangent, length);
        const [entries, values, g] = [out, y, cotangent].map((buffer) => inner.view?.(buffer) ?? new Float64Array(0));
        values.forEach((value, i) => {
          if (value === 0) entries[i] = slope * g[i];
        });
      },
    },
  });
  const at = tensor([0, 1, 2, 0], { backend: ofSlope, dtype: 'float64' });
  const { entries } = await gradcheck(relu, at, { cotangent: [1, 2, 3, 4] });
  expect(entries.flatMap(({ ok, index }) => (ok ? [] : [index]))).toEqual(wrong);
  const nearest = slope === 0 ? [0, 2, 3, 0] : [1, 2, 3, 4];
  expect(entries.map(({ index, numeric }) => [index, numeric + 0])).toEqual(
    nearest.map((value, i) => [i, expect.closeTo(value, 9)]),
  );
});
