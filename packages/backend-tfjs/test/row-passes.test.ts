import { expect, test } from 'vitest';
import {
  centred,
  exponentials,
  max,
  type RowPass,
  slopes,
  softmax,
  sum,
  sumOfOthers,
} from '../src/verbs/row-passes.js';

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
type Row = readonly number[];

/** The results of a pass over the rows of each operand: as many for each row as it has classes, or one. */
function computed<T extends Float32Array[]>(
  pass: RowPass<T>,
  operands: readonly (readonly Row[])[],
  perRow = operands[0][0].length,
): readonly Row[] {
  const [first] = operands;
  const out = new Float32Array(first.length * perRow);
  pass(out, first[0].length, ...(operands.map((rows) => Float32Array.from(rows.flat())) as T));
  return first.map((_, row) => [...out.subarray(row * perRow, (row + 1) * perRow)]);
}

const ulpOf = (x: number): number => Math.max(2 ** (Math.floor(Math.log2(Math.abs(x))) - 23), 2 ** -149);
const total = (row: Row): number => row.reduce((a, b) => a + b, 0);
/** Numbers that float32 has: from −1 to 1, another sequence for each seed. */
const numbers = (length: number, seed: number): Row =>
  Array.from({ length }, (_, k) => Math.fround(Math.sin(seed * 131 + k * 7)));

/** Every remainder of a length by 4, and lengths of one and more groups of 4. */
const lengths = [1, 2, 3, 4, 5, 6, 7, 8, 9, 131];

test('the exponential of a gap is within 0.63 ULP', () => {
  const step = 106 / 5000;
  const rows = [0, 1].map((row) => Array.from({ length: 5001 }, (_, i) => Math.fround(7 + row / 3 - step * i)));
  const shifts = rows.map(([first]) => [first]);
  for (const divisor of [1, 8]) {
    for (const [row, actual] of computed(exponentials(divisor), [rows, shifts]).entries()) {
      const worst = actual.reduce((most, value, i) => {
        const exact = Math.exp((rows[row][i] - rows[row][0]) / divisor);
        return Math.max(most, Math.abs(value - exact) / ulpOf(exact));
      }, 0);
      expect(worst).toBeLessThan(0.63);
    }
  }
});

test('the exponential of an infinite or undefined gap, in a group of four and after it', () => {
  const row = [0, -infinity, infinity, nan, -105, -104];
  expect(computed(exponentials(1), [[row], [[0]]])).toEqual([[1, 0, infinity, nan, 0, 0]]);
  const turned = [-104, nan, -1e30, 0, -infinity, infinity];
  expect(computed(exponentials(1), [[turned], [[0]]])).toEqual([[0, nan, 0, 1, 0, infinity]]);
});

/** Probabilities of a row in float64. */
const softmaxOf = (row: Row, divisor: number): Row => {
  const terms = row.map((x) => Math.exp((x - Math.max(...row)) / divisor));
  return terms.map((e) => e / total(terms));
};

test.each(lengths)('softmax: every entry of %s classes is within 1.6 ULP', (classes) => {
  const rows = [0, 1, 2].map((row) => numbers(classes, row).map((x) => Math.fround(x * 40 - row)));
  for (const divisor of [1, 0.5, 2.75]) {
    for (const [row, actual] of computed(softmax(divisor), [rows]).entries()) {
      for (const [k, expected] of softmaxOf(rows[row], divisor).entries()) {
        expect(Math.abs(actual[k] - expected) / ulpOf(expected), `row ${row}, ${k}`).toBeLessThan(1.6);
      }
    }
  }
});

test('softmax: an entry far below the others gets 0 at every position, and changes no other', () => {
  for (const low of [-105, -1e30, -infinity]) {
    const rows = Array.from({ length: 10 }, (_, at) => Array.from({ length: 10 }, (__, k) => (k === at ? low : k / 8)));
    for (const [at, actual] of computed(softmax(1), [rows]).entries()) {
      expect(actual[at]).toBe(0);
      for (const [k, expected] of softmaxOf(rows[at], 1).entries()) expect(actual[k]).toBeCloseTo(expected, 7);
    }
  }
});

test.each([nan, infinity])('softmax: %s at any position makes its own row NaN', (special) => {
  const rows = Array.from({ length: 10 }, (_, at) =>
    Array.from({ length: 9 }, (__, k) => (k === at ? special : k - at)),
  );
  const results = computed(softmax(1), [rows]);
  for (const actual of results.slice(0, 9)) expect(actual).toEqual(new Array(9).fill(nan));
  expect(total(results[9])).toBeCloseTo(1, 6);
});

test('softmax: a row of only −Infinity is NaN, and one of equal logits is constant', () => {
  const rows = [-infinity, 3e38, -3e38, 0].map((value) => new Array<number>(6).fill(value));
  const expected = [nan, ...new Array(3).fill(Math.fround(1 / 6))];
  expect(computed(softmax(1), [rows])).toEqual(expected.map((p) => new Array(6).fill(p)));
});

test.each(lengths)('the sum and the maximum of %s numbers, wherever the largest and a NaN are', (classes) => {
  const plain = numbers(classes, 3);
  const rows = plain.map((_, at) => plain.map((x, k) => (k === at ? 5 : x)));
  expect(computed(max, [rows], 1)).toEqual(rows.map(() => [5]));
  expect(computed(max, [rows.map((row) => row.map((x) => -x))], 1)).toEqual(
    rows.map((row) => [Math.max(...row.map((x) => -x))]),
  );
  expect(computed(sum, [rows], 1)).toEqual(rows.map((row) => [Math.fround(total(row))]));
  const undefinedRows = plain.map((_, at) => plain.map((x, k) => (k === at ? nan : x)));
  expect(computed(max, [undefinedRows], 1)).toEqual(rows.map(() => [nan]));
  expect(computed(sum, [undefinedRows], 1)).toEqual(rows.map(() => [nan]));
});

test('the first 1 of each row is left out of its sum', () => {
  const rows = [
    [2 ** -30, 1, 2 ** -60, 1],
    [1, nan, 0.5, 0.25],
    [2 ** -30, 2 ** -60, 2 ** -70, 1],
    [1, 2 ** -30, 2 ** -60, 2 ** -62],
  ];
  const expected = [1 + 2 ** -30 + 2 ** -60, nan, 2 ** -30 + 2 ** -60, 2 ** -30 + 2 ** -60 + 2 ** -62];
  expect(computed(sumOfOthers, [rows], 1)).toEqual(expected.map((x) => [Math.fround(x)]));
});

test('slopes are p Σ q − q, without cancellation in a row that is nearly one-hot', () => {
  const rows = Array.from({ length: 12 }, (_, row) =>
    Array.from({ length: 7 }, (__, k) => (k === (row * 3 + 1) % 7 ? 1 : 2 ** -(3 * row + (k % 3)))),
  );
  const weights = rows.map((_, row) => [0, 0.125, 0, 0.125, 0.75, 0.125, row / 16]);
  for (const [row, actual] of computed(slopes, [rows, weights]).entries()) {
    for (const [k, value] of actual.entries()) {
      const others = (of: Row) => total(of.filter((_, j) => j !== k));
      const [e, q] = [rows[row], weights[row]];
      const expected = (e[k] * others(q) - q[k] * others(e)) / total(e);
      expect(Math.abs(value - expected), `${row}, ${k}`).toBeLessThanOrEqual(Math.abs(expected) * 2 ** -23);
    }
  }
});

test.each(lengths)('v − ⟨p, v⟩ of %s classes, without cancellation, and whatever all v have in common', (classes) => {
  for (const [top, common] of [
    [null, 0],
    [null, 1e6],
    [0, 0],
    [classes - 1, 1e6],
  ] as const) {
    const v = numbers(classes, 5).map((x) => Math.fround(x + common));
    const logits = numbers(classes, 7).map((x, k) => (k === top ? 20 : x));
    const p = softmaxOf(logits, 1).map(Math.fround);
    const [actual] = computed(centred, [[p], [v]]);
    for (const [k, value] of actual.entries()) {
      const expected = total(p.map((q, j) => q * (v[k] - v[j])));
      const terms = total(p.map((q, j) => q * Math.abs(v[k] - v[j])));
      expect(Math.abs(value - expected), `${k}, largest ${top}, ${common}`).toBeLessThanOrEqual(terms * 2 ** -23);
    }
  }
});
