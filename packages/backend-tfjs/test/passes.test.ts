import { describe, expect, test } from 'vitest';
import {
  equalInto,
  expOfGapInto,
  log1pInto,
  type Operand,
  selectInto,
  sigmoidInto,
  slopesInto,
  softmaxInto,
  sumOfOthersInto,
} from '../src/verbs/passes.js';
import { type Shape, sizeOf, stridesOf } from '../src/verbs/verbs.js';

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;

const operand = (shape: Shape, values: (index: number) => number): Operand => ({
  shape,
  values: Float32Array.from({ length: sizeOf(shape) }, (_, i) => values(i)),
});

/** The index in an operand of each position of a shape. */
function indices(shape: Shape, own: Shape): readonly number[] {
  const steps = stridesOf(own);
  const all: number[] = [];
  for (let x = 0; x < shape[0]; x++)
    for (let y = 0; y < shape[1]; y++)
      for (let z = 0; z < shape[2]; z++)
        for (let w = 0; w < shape[3]; w++) all.push(x * steps[0] + y * steps[1] + z * steps[2] + w * steps[3]);
  return all;
}

const shapes: readonly Shape[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15].map((bits) => [
  bits & 1 ? 2 : 1,
  bits & 2 ? 3 : 1,
  bits & 4 ? 4 : 1,
  bits & 8 ? 5 : 1,
]);

test('every operand may broadcast along any dimensions', () => {
  const whole: Shape = [2, 3, 4, 5];
  const out = new Float32Array(sizeOf(whole));
  for (const [k, shape] of shapes.entries()) {
    const other = shapes[(k * 7 + 3) % shapes.length] as Shape;
    const condition = operand(shape, (i) => (i % 3) - 1);
    const [a, b] = [operand(other, (i) => i + 1), operand(whole, (i) => -i - 1)];
    const [ofCondition, ofA] = [indices(whole, shape), indices(whole, other)];
    selectInto(out, whole, condition, a, b);
    expect([...out], `${shape} and ${other}`).toEqual(
      ofCondition.map((i, at) => (condition.values[i] > 0 ? ofA[at] + 1 : -at - 1)),
    );
    equalInto(
      out,
      whole,
      condition,
      operand(other, (i) => (i % 2) - 1),
    );
    expect([...out], `${shape} and ${other}`).toEqual(
      ofCondition.map((i, at) => (condition.values[i] === (ofA[at] % 2) - 1 ? 1 : 0)),
    );
  }
});

test('a condition that is NaN is not above 0, and NaN does not equal itself', () => {
  const out = new Float32Array(3);
  const values = operand([1, 1, 3, 1], (i) => [nan, 0, 2][i]);
  selectInto(
    out,
    [1, 1, 3, 1],
    values,
    operand([1, 1, 1, 1], () => 5),
    values,
  );
  expect([...out]).toEqual([nan, 0, 5]);
  equalInto(out, [1, 1, 3, 1], values, values);
  expect([...out]).toEqual([0, 1, 1]);
});

test('int32 labels are compared as they are, not as float32', () => {
  const out = new Float32Array(2);
  const labels: Operand = { shape: [1, 1, 2, 1], values: Int32Array.of(2 ** 24, 2 ** 24 + 1) };
  equalInto(out, [1, 1, 2, 1], labels, { shape: [1, 1, 1, 1], values: Int32Array.of(2 ** 24 + 1) });
  expect([...out]).toEqual([0, 1]);
});

test.each([
  ['one after the other', [1, 2, 5001, 1], [1, 2, 1, 1]],
  ['side by side', [1, 1, 5001, 2], [1, 1, 1, 2]],
] as const)('the exponential of a gap is within 0.63 ULP: rows %s', (_, shape, rows) => {
  const step = 106 / 5000;
  const x = operand(shape, (i) => 7 - step * (shape[3] === 1 ? i % 5001 : Math.floor(i / 2)));
  const shift = operand(rows, (row) => 7 + row / 3);
  const out = new Float32Array(sizeOf(shape));
  expOfGapInto(out, x, shift, 1);
  const ofRow = indices(shape, rows);
  const worst = out.reduce((most, value, i) => {
    const exact = Math.exp(x.values[i] - shift.values[ofRow[i]]);
    const ulp = Math.max(2 ** (Math.floor(Math.log2(exact)) - 23), 2 ** -149);
    return Math.max(most, Math.abs(value - exact) / ulp);
  }, 0);
  expect(worst).toBeLessThan(0.63);
  expOfGapInto(out, x, shift, 8);
  expect(out[4000]).toBe(Math.fround(Math.exp((x.values[4000] - shift.values[ofRow[4000]]) / 8)));
});

test('the exponential of an infinite or undefined gap', () => {
  const x = operand([1, 1, 6, 1], (i) => [0, -infinity, infinity, nan, -105, -104][i]);
  const out = new Float32Array(6);
  expOfGapInto(
    out,
    x,
    operand([1, 1, 1, 1], () => 0),
    1,
  );
  expect([...out]).toEqual([1, 0, infinity, nan, 0, 0]);
});

/** Probabilities of each row in float64. */
const softmaxOf = (row: readonly number[], divisor: number): readonly number[] => {
  const exponentials = row.map((x) => Math.exp((x - Math.max(...row)) / divisor));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((e) => e / sum);
};
const layouts: readonly (readonly [string, (rows: number, classes: number) => Shape])[] = [
  ['one after the other', (rows, classes) => [1, rows, classes, 1]],
  ['side by side', (rows, classes) => [1, 1, classes, rows]],
  ['in blocks', (rows, classes) => [rows / 2, 1, classes, 2]],
];

describe.each(layouts)('softmax, rows %s', (_, shapeOf) => {
  /** The results of rows. */
  const computed = (rows: readonly (readonly number[])[], divisor: number): readonly (readonly number[])[] => {
    const classes = rows[0].length;
    const shape = shapeOf(rows.length, classes);
    const inner = shape[3];
    const position = (row: number, k: number) => (Math.floor(row / inner) * classes + k) * inner + (row % inner);
    const x = operand(shape, () => 0);
    for (const [row, values] of rows.entries())
      for (const [k, value] of values.entries()) x.values[position(row, k)] = value;
    const out = new Float32Array(x.values.length);
    softmaxInto(out, x, divisor);
    return rows.map((values, row) => values.map((__, k) => out[position(row, k)]));
  };

  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 130])('every entry of %s classes is within 1.6 ULP', (classes) => {
    const rows = Array.from({ length: 6 }, (__, row) =>
      Array.from({ length: classes }, (___, k) => Math.fround(Math.sin(row * 131 + k * 7) * 40 - row)),
    );
    for (const divisor of [1, 0.5, 2.75]) {
      for (const [row, actual] of computed(rows, divisor).entries()) {
        const expected = softmaxOf(rows[row], divisor);
        for (const [k, value] of actual.entries()) {
          const ulp = Math.max(2 ** (Math.floor(Math.log2(expected[k])) - 23), 2 ** -149);
          expect(Math.abs(value - expected[k]) / ulp, `row ${row}, ${k}, divisor ${divisor}`).toBeLessThan(1.6);
        }
      }
    }
  });

  test('an entry far below the others gets 0 at every position, and changes no other', () => {
    for (const low of [-105, -1e30, -infinity]) {
      const rows = Array.from({ length: 10 }, (_unused, at) =>
        Array.from({ length: 10 }, (__, k) => (k === at ? low : k / 8)),
      );
      for (const [at, actual] of computed(rows, 1).entries()) {
        const expected = softmaxOf(rows[at], 1);
        expect(actual[at]).toBe(0);
        for (const [k, value] of actual.entries()) expect(value).toBeCloseTo(expected[k], 7);
      }
    }
  });

  test.each([nan, infinity])('%s at any position makes its own row NaN', (special) => {
    const rows = Array.from({ length: 10 }, (_unused, at) =>
      Array.from({ length: 9 }, (__, k) => (k === at ? special : k - at)),
    );
    const results = computed(rows, 1);
    for (const actual of results.slice(0, 9)) expect(actual).toEqual(new Array(9).fill(nan));
    expect(results[9].reduce((a, b) => a + b)).toBeCloseTo(1, 6);
  });

  test('a row of only −Infinity is NaN, and one of equal logits is constant', () => {
    const rows = [-infinity, 3e38, -3e38, 0].map((value) => new Array<number>(6).fill(value));
    expect(computed(rows, 1)).toEqual([nan, ...new Array(3).fill(Math.fround(1 / 6))].map((p) => new Array(6).fill(p)));
  });
});

test.each([
  ['one after the other', [2, 1, 4, 1]],
  ['side by side', [1, 1, 4, 2]],
] as const)('the first 1 of each row is left out of its sum: rows %s', (_, shape) => {
  const rows = [
    [2 ** -30, 1, 2 ** -60, 1],
    [1, nan, 0.5, 0.25],
  ];
  const x = operand(shape, (i) => (shape[3] === 1 ? rows[Math.floor(i / 4)][i % 4] : rows[i % 2][Math.floor(i / 2)]));
  const out = new Float32Array(2);
  sumOfOthersInto(out, x);
  expect([...out]).toEqual([Math.fround(1 + 2 ** -30 + 2 ** -60), nan]);
  const alone = operand([1, 1, 3, 1], (i) => [2 ** -30, 1, 2 ** -60][i]);
  const sum = new Float32Array(1);
  sumOfOthersInto(sum, alone);
  expect(sum[0]).toBe(Math.fround(2 ** -30 + 2 ** -60));
});

test('sigmoid and log1p are within 0.63 ULP, and right at infinity and NaN', () => {
  const functions = [
    [
      sigmoidInto,
      (x: number) => 1 / (1 + Math.exp(-x)),
      [-infinity, -103, -90.5, -17, -1e-5, 0, 1e-9, 3, 20, 200, infinity, nan],
    ],
    [log1pInto, Math.log1p, [0, 2 ** -140, 1e-9, 0.3, 1, 7, 3e38, infinity, nan]],
  ] as const;
  for (const [pass, exact, values] of functions) {
    const x = operand([1, 1, 1, values.length], (i) => values[i]);
    const out = new Float32Array(values.length);
    pass(out, x);
    for (const [i, value] of out.entries()) {
      const expected = exact(x.values[i]);
      const ulp = Math.max(2 ** (Math.floor(Math.log2(expected)) - 23), 2 ** -149);
      if (Number.isFinite(expected) && expected > 0)
        expect(Math.abs(value - expected) / ulp, `${values[i]}`).toBeLessThan(0.63);
      else expect(value).toBe(expected);
    }
  }
});

test.each(layouts)('slopes are p Σ q − q without cancellation: rows %s', (_, shapeOf) => {
  const classes = 7;
  const rows = 6;
  const shape = shapeOf(rows, classes);
  const inner = shape[3];
  const rowOf = (i: number) => Math.floor(i / (classes * inner)) * inner + (i % inner);
  const classOf = (i: number) => Math.floor(i / inner) % classes;
  // The last rows are nearly one-hot, the largest entry at another class each.
  const e = operand(shape, (i) =>
    classOf(i) === (rowOf(i) * 3 + 1) % classes ? 1 : 2 ** -(4 * rowOf(i) + classOf(i)),
  );
  const q = operand(shape, (i) => (classOf(i) === 4 ? 0.75 : 0.125 * (classOf(i) % 2)));
  const out = new Float32Array(e.values.length);
  slopesInto(out, e, q);
  for (const [i, value] of out.entries()) {
    const own = [...out.keys()].filter((k) => rowOf(k) === rowOf(i) && k !== i);
    const others = (of: Operand) => own.reduce((sum, k) => sum + of.values[k], 0);
    const expected = (e.values[i] * others(q) - q.values[i] * others(e)) / (others(e) + e.values[i]);
    expect(Math.abs(value - expected), `${i}`).toBeLessThanOrEqual(Math.abs(expected) * 2 ** -23);
  }
});
