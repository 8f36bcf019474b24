import { expect, test } from 'vitest';
import { equalInto, expOfGapInto, type Operand, selectInto, sumOfOthersInto } from '../src/verbs/passes.js';
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

test('the exponential of an infinite, undefined or positive gap', () => {
  const x = operand([1, 1, 6, 1], (i) => [0, -infinity, infinity, nan, 1, -104][i]);
  const out = new Float32Array(6);
  expOfGapInto(
    out,
    x,
    operand([1, 1, 1, 1], () => 0),
    1,
  );
  expect([...out]).toEqual([1, 0, infinity, nan, Math.fround(Math.E), 0]);
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
