import { expect, test } from 'vitest';
import { complementInto, equalInto, log1pInto, type Operand, selectInto, sigmoidInto } from '../src/verbs/passes.js';
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

test('sigmoid, log1p and 1 − exp of a probability above ½ are within 0.63 ULP, and right at infinity and NaN', () => {
  const functions = [
    [
      sigmoidInto,
      (x: number) => 1 / (1 + Math.exp(-x)),
      [-infinity, -103, -90.5, -17, -1e-5, 0, 1e-9, 3, 20, 200, infinity, nan],
    ],
    [complementInto, (y: number) => 0 - Math.expm1(y), [0, -0, -(2 ** -140), -3e-31, -1e-9, -0.3, -0.69, nan]],
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
