import type { BinaryOp, Extent, Operand } from '@softgrad/core';
import { beforeAll, describe, expect, test } from 'vitest';
import { type CpuBackend, type CpuBuffer, cpu } from '../src/index.js';
import { Intermediate } from '../src/intermediate.js';
import { createStorage } from '../src/storage.js';
import { randomFrom } from './accuracy.js';

/** Intermediate buffers: pairs of float64, compared with whole numbers in units of 2⁻⁴⁰⁰. */

let backend: CpuBackend;
let basis: CpuBackend['basis'];
beforeAll(async () => {
  backend = await cpu.open();
  basis = backend.basis;
});

const units = 400n;
const random = randomFrom(31);
const count = 200;
const whole: Extent = [1, 1, count];

/** A float64 in units of 2⁻⁴⁰⁰. */
function unitsOf(x: number): bigint {
  // Doubling would never end.
  if (!Number.isFinite(x)) throw new RangeError(`${x}, expected a finite number`);
  const [scaled, exponent] = [x * 2 ** 60, 60n];
  let [mantissa, shift] = [scaled, 0n];
  for (; !Number.isInteger(mantissa); mantissa *= 2) shift++;
  return (BigInt(mantissa) << (units - exponent)) >> shift;
}

/** A buffer of core's intermediate results, which it takes for one of the dtype. */
const intermediate = (length: number) => backend.alloc(length, 'float64', 'intermediate') as unknown as Intermediate;
const asBuffer = (buffer: Intermediate) => buffer as unknown as CpuBuffer;
const operand = (buffer: Intermediate | Float64Array, extent = whole): Operand<CpuBuffer> => ({
  buffer: buffer as CpuBuffer,
  extent,
});

/** Pairs with both parts, of either sign, from 2⁻²⁰ to 2²⁰. */
function pairs(length = count): Intermediate {
  const buffer = intermediate(length);
  for (let k = 0; k < length; k++) {
    const high = (random() < 0.5 ? -1 : 1) * (0.5 + random()) * 2 ** Math.floor(41 * random() - 20);
    buffer.high[k] = high;
    (buffer.low as Float64Array)[k] = high * 2 ** -54 * (2 * random() - 1);
  }
  return buffer;
}

function exactAt({ high, low }: Intermediate, k: number): bigint {
  return unitsOf(high[k]) + unitsOf((low as Float64Array)[k]);
}

const size = (x: bigint) => (x < 0n ? -x : x);
const larger = (a: bigint, b: bigint) => (a - b > 0n ? a : b);
const smaller = (a: bigint, b: bigint) => (a - b < 0n ? a : b);

/** The exact result, and the number that errors are measured by. */
const arithmetic: Readonly<Record<BinaryOp, (a: bigint, b: bigint) => readonly [result: bigint, scale: bigint]>> = {
  add: (a, b) => [a + b, larger(size(a), size(b))],
  sub: (a, b) => [a - b, larger(size(a), size(b))],
  mul: (a, b) => [(a * b) >> units, size((a * b) >> units)],
  div: (a, b) => [(a << units) / b, size((a << units) / b)],
  max: (a, b) => [larger(a, b), 0n],
  min: (a, b) => [smaller(a, b), 0n],
};

describe.each(Object.keys(arithmetic) as BinaryOp[])('%s of pairs', (op) => {
  const exact = arithmetic[op];

  function expectExact(out: Intermediate, a: (k: number) => bigint, b: (k: number) => bigint): void {
    for (let k = 0; k < out.high.length; k++) {
      const [expected, scale] = exact(a(k), b(k));
      expect(size(exactAt(out, k) - expected) <= scale >> 100n, `element ${k}`).toBe(true);
      expect(Math.abs((out.low as Float64Array)[k])).toBeLessThanOrEqual(Math.abs(out.high[k]) * 2 ** -53);
    }
  }

  test('is off by less than 2⁻¹⁰⁰', () => {
    const [a, b, out] = [pairs(), pairs(), intermediate(count)];
    basis.binary(asBuffer(out), op, operand(a), operand(b), whole);
    expectExact(
      out,
      (k) => exactAt(a, k),
      (k) => exactAt(b, k),
    );
  });

  test('distinguishes numbers that differ in what they are rounded by', () => {
    const [a, b, out] = [pairs(), intermediate(count), intermediate(count)];
    b.high.set(a.high);
    (b.low as Float64Array).set((a.low as Float64Array).map((low, k) => low * [-1, 0.5, 1.9, 1][k % 4]));
    basis.binary(asBuffer(out), op, operand(a), operand(b), whole);
    expectExact(
      out,
      (k) => exactAt(a, k),
      (k) => exactAt(b, k),
    );
  });

  test.each([
    [
      [5, 4, 3],
      [5, 1, 3],
    ],
    [
      [5, 4, 3],
      [1, 4, 1],
    ],
    [
      [5, 12, 1],
      [5, 1, 1],
    ],
    [
      [5, 12, 1],
      [1, 12, 1],
    ],
  ] as const)('broadcasts %j and %j, a pair and a plain buffer', (extent, other) => {
    const length = extent[0] * extent[1] * extent[2];
    const [a, b, out] = [pairs(length), pairs(other[0] * other[1] * other[2]).high, intermediate(length)];
    const at = (k: number) => {
      const inner = k % extent[2];
      const c = Math.floor(k / extent[2]) % extent[1];
      const o = Math.floor(k / extent[2] / extent[1]);
      return ((other[0] === 1 ? 0 : o) * other[1] + (other[1] === 1 ? 0 : c)) * other[2] + (other[2] === 1 ? 0 : inner);
    };
    basis.binary(asBuffer(out), op, operand(a, extent), operand(b, other), extent);
    expectExact(
      out,
      (k) => exactAt(a, k),
      (k) => unitsOf(b[at(k)]),
    );
    basis.binary(asBuffer(out), op, operand(b, other), operand(a, extent), extent);
    expectExact(
      out,
      (k) => unitsOf(b[at(k)]),
      (k) => exactAt(a, k),
    );
    basis.binary(asBuffer(out), op, operand(a, extent), 0.3, extent);
    expectExact(
      out,
      (k) => exactAt(a, k),
      () => unitsOf(0.3),
    );
    // In place, an element that is written before its turn would be read as the operand.
    basis.binary(asBuffer(out), op, operand(a, extent), operand(b, other), extent);
    basis.binary(asBuffer(a), op, operand(a, extent), operand(b, other), extent);
    expect([a.high, a.low]).toEqual([out.high, out.low]);
    const [plain, inPlace] = [new Float64Array(length), Float64Array.from(a.high)];
    basis.binary(plain, op, operand(inPlace, extent), operand(b, other), extent);
    basis.binary(inPlace, op, operand(inPlace, extent), operand(b, other), extent);
    expect(inPlace).toEqual(plain);
  });

  test('into a buffer of the dtype rounds once', () => {
    const [a, b, out, pair] = [pairs(), pairs(), new Float64Array(count), intermediate(count)];
    basis.binary(out, op, operand(a), operand(b), whole);
    basis.binary(asBuffer(pair), op, operand(a), operand(b), whole);
    expect(out).toEqual(pair.high);
    for (const [x, y] of [
      [operand(a), operand(b.high)],
      [operand(b.high), operand(a)],
    ]) {
      basis.binary(out, op, x, y, whole);
      basis.binary(asBuffer(pair), op, x, y, whole);
      expect(out).toEqual(pair.high);
    }
  });

  test('keeps both parts of results down to 2⁻⁹⁶⁸', () => {
    const [a, b, out, small, ofSmall] = [pairs(), pairs(), ...Array.from({ length: 3 }, () => intermediate(count))];
    const unit = 2 ** -920;
    const scale = (to: Intermediate, from: Intermediate, by: number) => {
      to.high.set(from.high.map((value) => value * by));
      to.low?.set((from.low as Float64Array).map((value) => value * by));
    };
    scale(small, a, unit);
    if (op !== 'mul' && op !== 'div') scale(b, b, unit);
    basis.binary(asBuffer(ofSmall), op, operand(small), operand(b), whole);
    if (op !== 'mul' && op !== 'div') scale(b, b, 1 / unit);
    basis.binary(asBuffer(out), op, operand(a), operand(b), whole);
    for (let k = 0; k < count; k++) {
      expect(ofSmall.high[k]).toBe(out.high[k] * unit);
      const rest = (ofSmall.low as Float64Array)[k] - (out.low as Float64Array)[k] * unit;
      expect(Math.abs(rest)).toBeLessThanOrEqual(2 ** -1072);
    }
  });

  test('gives what float64 does for float64 operands, from the smallest number to the largest', () => {
    const length = 20000;
    const extent: Extent = [1, 1, length];
    const numbers = () => Float64Array.from({ length }, () => (2 * random() - 1) * 2 ** (2090 * random() - 1070));
    const [x, b, out, plain] = [numbers(), numbers(), intermediate(length), new Float64Array(length)];
    const a = intermediate(length);
    a.high.set(x);
    a.low?.fill(0);
    basis.binary(asBuffer(out), op, operand(a, extent), operand(b, extent), extent);
    basis.binary(plain, op, operand(x, extent), operand(b, extent), extent);
    const others = [...out.high.keys()].filter((k) => out.high[k] !== plain[k]);
    expect(others.map((k) => [x[k], b[k], out.high[k], plain[k]])).toEqual([]);
  });

  test('gives what float64 does where that is not finite', () => {
    const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 1.7e308, -1.7e308, 1e-300, 1];
    const extent: Extent = [values.length, values.length, 1];
    const [a, b] = [intermediate(values.length), Float64Array.from(values)];
    a.high.set(values);
    a.low?.fill(0);
    const [out, plain] = [intermediate(values.length ** 2), new Float64Array(values.length ** 2)];
    const [of, by] = [
      [values.length, 1, 1],
      [1, values.length, 1],
    ] as const;
    basis.binary(asBuffer(out), op, operand(a, of), operand(b, by), extent);
    basis.binary(plain, op, operand(b, of), operand(b, by), extent);
    for (const [k, value] of plain.entries()) {
      if (Number.isFinite(value)) expect(Math.abs(out.high[k] - value)).toBeLessThanOrEqual(Math.abs(value) * 2 ** -52);
      else expect([out.high[k], out.low?.[k]]).toEqual([value, 0]);
    }
  });
});

/** exp by Taylor's series of x / 2¹², squared twelve times. */
function exponential(x: bigint): bigint {
  const one = 1n << units;
  let [sum, term] = [one, one];
  for (let n = 1n; n < 40n; n++) {
    term = ((term * (x >> 12n)) >> units) / n;
    sum += term;
  }
  for (let n = 0; n < 12; n++) sum = (sum * sum) >> units;
  return sum;
}

/** A pair within the logarithm's and the exponential's domain. */
function positive(most: number): Intermediate {
  const x = pairs();
  for (let k = 0; k < count; k++) {
    const high = x.high[k];
    x.high[k] = Math.abs(high) % most;
    (x.low as Float64Array)[k] = x.high[k] * 2 ** -54 * (2 * random() - 1);
  }
  return x;
}

test('the exponential of a pair has the digits of both parts', () => {
  const [x, out] = [positive(90), intermediate(count)];
  basis.unary(asBuffer(out), 'exp', asBuffer(x), count);
  for (let k = 0; k < count; k++) {
    const expected = exponential(exactAt(x, k));
    expect(size(exactAt(out, k) - expected) <= expected >> 57n, `exp(${x.high[k]})`).toBe(true);
  }
  basis.unary(asBuffer(out), 'exp', Float64Array.of(710, -800, Number.NaN, 1), 4);
  expect([...out.high.subarray(0, 4)]).toEqual([Number.POSITIVE_INFINITY, 0, Number.NaN, Math.E]);
  expect([...(out.low as Float64Array).subarray(0, 3)]).toEqual([0, 0, 0]);
});

test('the logarithm of a pair is that of both parts, rounded', () => {
  const [x, out] = [positive(1000), intermediate(count)];
  basis.unary(asBuffer(out), 'log', asBuffer(x), count);
  for (let k = 0; k < count; k++) {
    const error = size(exponential(exactAt(out, k)) - exactAt(x, k));
    expect(error <= exactAt(x, k) / BigInt(Math.floor(2 ** 53 / (1 + Math.abs(out.high[k]))))).toBe(true);
  }
  // 1 + 2⁻⁶⁰: its logarithm is in the low part alone.
  const near = new Intermediate(Float64Array.of(1), Float64Array.of(2 ** -60));
  basis.unary(asBuffer(out), 'log', asBuffer(near), 1);
  expect(out.high[0]).toBe(2 ** -60);
});

test('the opposite of a pair', () => {
  const [x, out] = [pairs(), intermediate(count)];
  basis.unary(asBuffer(out), 'neg', asBuffer(x), count);
  for (let k = 0; k < count; k++) expect(exactAt(out, k)).toBe(-exactAt(x, k));
});

test('sums and maxima of rows of pairs', () => {
  const rows = { outer: 2, classes: 25, inner: 4 };
  const [x, out, plain] = [pairs(), intermediate(8), new Float64Array(8)];
  // The largest two of a row differ in what they are rounded by.
  for (const [k, low] of [
    [0, -1],
    [40, 1],
    [80, 0],
  ]) {
    x.high[k] = 2 ** 21;
    (x.low as Float64Array)[k] = low * 2 ** -34;
  }
  const valuesOf = (row: number) =>
    Array.from({ length: 25 }, (_, c) => exactAt(x, (Math.floor(row / 4) * 25 + c) * 4 + (row % 4)));
  basis.reduce(asBuffer(out), 'max', asBuffer(x), rows);
  for (let row = 0; row < 8; row++) expect(exactAt(out, row)).toBe(valuesOf(row).reduce(larger));
  basis.reduce(asBuffer(out), 'sum', asBuffer(x), rows);
  for (let row = 0; row < 8; row++) {
    const error = size(exactAt(out, row) - valuesOf(row).reduce((sum, value) => sum + value));
    expect(error <= valuesOf(row).map(size).reduce(larger) >> 95n).toBe(true);
  }
  basis.reduce(plain, 'sum', asBuffer(x), rows);
  expect(plain).toEqual(out.high);
  for (const [value, expected] of [
    [Number.NaN, Number.NaN],
    [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
  ]) {
    x.high[4] = value;
    for (const op of ['sum', 'max'] as const) {
      basis.reduce(asBuffer(out), op, asBuffer(x), rows);
      expect([out.high[0], out.low?.[0]], op).toEqual([expected, 0]);
    }
  }
});

test('selections and transpositions move both parts, 0 for what a plain buffer is rounded by', () => {
  const rows = { outer: 2, classes: 5, inner: 3 };
  const extent: Extent = [2, 5, 3];
  const [x, y, out] = [pairs(30), pairs(30).high, intermediate(30)];
  const condition = Uint8Array.from({ length: 5 }, (_, c) => c % 2);
  for (const [a, b] of [
    [x, y],
    [y, x],
  ] as const) {
    basis.select(
      asBuffer(out),
      { buffer: condition, extent: [1, 5, 1] },
      operand(a, extent),
      operand(b, extent),
      extent,
    );
    for (let k = 0; k < 30; k++) {
      const chosen = (Math.floor(k / 3) % 5) % 2 === 1 ? a : b;
      const [high, low] = chosen instanceof Intermediate ? [chosen.high[k], chosen.low?.[k]] : [chosen[k], 0];
      expect([out.high[k], out.low?.[k]]).toEqual([high, low]);
    }
  }
  basis.transpose(asBuffer(out), asBuffer(x), rows);
  const from = (k: number) => (Math.floor(k / 15) * 5 + (k % 5)) * 3 + (Math.floor(k / 5) % 3);
  for (let k = 0; k < 30; k++) expect(exactAt(out, k)).toBe(exactAt(x, from(k)));
  basis.transpose(asBuffer(out), y, rows);
  for (let k = 0; k < 30; k++) expect([out.high[k], out.low?.[k]]).toEqual([y[from(k)], 0]);
});

describe('kernels', () => {
  const rows = { outer: 1, classes: 4, inner: 1 };
  const s = Float32Array.of(0.1, 0.2, 0.3, 0.4);
  const g = Float64Array.of(1 / 3, 2 / 3, -1 / 7, 5);

  test('compute in float64 with an intermediate operand, and round once into a buffer of the dtype', () => {
    const cotangent = backend.alloc(4, 'float32', 'intermediate') as unknown as Intermediate;
    cotangent.high.set(g);
    const [double, single, other] = [
      new Float64Array(4),
      new Float32Array(4),
      backend.alloc(4, 'float32', 'intermediate'),
    ];
    backend.vjp(double, Float64Array.from(s), g, rows, { temperature: 1 });
    backend.vjp(single, s, asBuffer(cotangent), rows, { temperature: 1 });
    expect(single).toEqual(Float32Array.from(double));
    backend.vjp(other, s, asBuffer(cotangent), rows, { temperature: 1 });
    expect((other as unknown as Intermediate).high).toEqual(double);
    for (const buffer of [cotangent, other]) backend.free(buffer as unknown as CpuBuffer);
  });

  test('write pairs that are rounded to float64, over whatever the buffer had', () => {
    const out = intermediate(4);
    out.low?.fill(7);
    backend.vjp(asBuffer(out), Float64Array.from(s), asBuffer(new Intermediate(g, new Float64Array(4))), rows, {
      temperature: 1,
    });
    expect([...(out.low as Float64Array)]).toEqual([0, 0, 0, 0]);
    backend.free(asBuffer(out));
  });

  test.each([0, 1, 2])(
    'throw ERR_OUT_OF_MEMORY, and write nothing, without memory to compute in float64: argument %i',
    (large) => {
      const direction = backend.alloc(4, 'float32', 'intermediate') as unknown as Intermediate;
      const [out, p] = [Float32Array.of(7, 7, 7, 7), Float32Array.from(s)];
      const [first, second, third] = [out, p, Float32Array.from(g)].map((array, k) =>
        k === large ? Object.defineProperty(array, 'length', { value: 2 ** 50 }) : array,
      );
      expect(() =>
        backend.kernels.softmaxHvp(first, second, third, asBuffer(direction), rows, { temperature: 1 }),
      ).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_MEMORY' }));
      expect([out[0], out[3]]).toEqual([7, 7]);
      backend.free(asBuffer(direction));
    },
  );

  test('decline as they do without, and leave the result as it is', () => {
    const out = Float32Array.of(7);
    const cotangent = intermediate(1);
    const kernels = { ...backend.kernels };
    expect(
      kernels.logSoftmaxVjp(
        out,
        Float64Array.of(0),
        asBuffer(cotangent),
        { outer: 1, classes: 1, inner: 1 },
        { temperature: 1e-310 },
      ),
    ).toBe(false);
    expect([...out]).toEqual([7]);
    backend.free(asBuffer(cotangent));
  });
});

test('freed intermediate buffers give their memory to others', () => {
  const storage = createStorage();
  const first = storage.alloc(1000, 'float64', 'intermediate') as Intermediate;
  storage.free(first);
  const taken = [storage.alloc(1000, 'float64'), storage.alloc(1000, 'float64')];
  for (const part of [first.high, first.low]) expect(taken.some((array) => array === part)).toBe(true);
  const single = storage.alloc(1000, 'float32', 'intermediate') as Intermediate;
  expect([single.high.length, single.low]).toEqual([1000, null]);
  storage.free(single);
  expect(storage.alloc(1000, 'float64')).toBe(single.high);
});
