import { rowIndices, rowValues } from '../../../reference/functions.js';
import type { Backend, FloatDType, ReduceOp, Rows } from '../../../src/index.js';
import { type ConformanceCase, defineKernelCase, dtypeOnly, dtypeSuffix } from '../../case.js';
import { cotangents, rounded } from '../../inputs.js';
import { precisionOf, summation } from '../../tolerance.js';
import { assertExample, type Example } from './example.js';
import { basisOf } from './operands.js';
import { ieeeOf, requirementsOf } from './requirements.js';

const ops = ['sum', 'max'] as const;

const reductions: readonly Rows[] = [
  { outer: 4, classes: 1, inner: 1 },
  { outer: 3, classes: 7, inner: 1 },
  { outer: 2, classes: 5, inner: 3 },
  { outer: 1, classes: 67, inner: 9 },
  { outer: 2, classes: 1025, inner: 1 },
  { outer: 3, classes: 130, inner: 1 },
  { outer: 2, classes: 99, inner: 5 },
  { outer: 1, classes: 65537, inner: 1 },
];

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;

/** The first and the last number of each row, and all between them. */
const nonFiniteRows: readonly (readonly [first: number, last: number, between: number])[] = [
  [nan, 1, 1],
  [1, nan, 1],
  [nan, infinity, -1],
  [infinity, nan, 1],
  [infinity, 1, 1],
  [1, -infinity, -1],
  [-infinity, infinity, 1],
  [-infinity, -infinity, -infinity],
];

/** Eight rows one after the other, or side by side. */
const nonFiniteReductions: readonly Rows[] = [
  { outer: 8, classes: 5, inner: 1 },
  { outer: 2, classes: 5, inner: 4 },
  { outer: 8, classes: 130, inner: 1 },
  { outer: 1, classes: 130, inner: 8 },
];

/** `reduce`. */
export function reductionCases(dtype: FloatDType): readonly ConformanceCase[] {
  const requires = requirementsOf(dtype);
  const suffix = dtypeSuffix(dtype);
  const nonFinite = defineKernelCase(
    `basis/reduce-non-finite${dtypeOnly(dtype)}`,
    { ...ieeeOf(dtype), classes: 130 },
    async (backend) => {
      for (const rows of nonFiniteReductions) {
        for (const op of ops) await reduceNonFinite(backend, op, dtype, rows);
      }
    },
  );
  const finite = ops.flatMap((op) =>
    reductions
      .filter(({ classes }) => dtype === 'float32' || classes < 65537)
      .map((rows) =>
        defineKernelCase(
          `basis/reduce:op=${op};rows=${rows.outer}x${rows.classes}x${rows.inner}${suffix}`,
          { ...requires, classes: rows.classes },
          (backend) => reduce(backend, op, dtype, rows),
        ),
      ),
  );
  return [...finite, nonFinite];
}

export function reduction(backend: Backend, op: ReduceOp, dtype: FloatDType, rows: Rows): Example {
  const precision = precisionOf(backend.supports, dtype);
  const { outer, classes, inner } = rows;
  const x = cotangents(outer * classes * inner, dtype, 3, `reduce ${op}`);
  rowIndices(rows).forEach((at, row) => {
    // The last entry is the largest, in the next row the one before it, and so on: a maximum without the last entries is wrong, and so is
    // a sum without them.
    const largest = at[classes - 1 - (row % classes)];
    const most = 4 + (row % 8) + classes / 16;
    if (largest !== undefined) x[largest] = rounded(most, dtype);
    // Every second row is below 0: a maximum that starts from 0 is wrong there.
    if (op === 'max' && row % 2 === 1) for (const i of at) x[i] = rounded((x[i] ?? Number.NaN) - 2 * most, dtype);
  });
  const rowsOfX = rowIndices(rows).map((at) => rowValues(x, at));
  const reduced = reductionOf(op);
  const tolerance = rowsOfX.map((row) => {
    const size = row.reduce((a, b) => a + Math.abs(b), 0);
    const bound = op === 'max' ? 0 : precision.unit * summation(classes) * size + precision.floor;
    return precision.stored(bound, reduced(row));
  });
  return { operands: [x], expected: rowsOfX.map(reduced), tolerance };
}

function reductionOf(op: ReduceOp): (row: readonly number[]) => number {
  return (row) => (op === 'max' ? row.reduce((a, b) => Math.max(a, b)) : row.reduce((a, b) => a + b, 0));
}

async function reduce(backend: Backend, op: ReduceOp, dtype: FloatDType, rows: Rows): Promise<void> {
  await assertExample(`basis.reduce ${op}`, backend, dtype, reduction(backend, op, dtype, rows), (out, [buffer]) =>
    basisOf(backend).reduce(out, op, buffer, rows),
  );
}

/** A NaN makes the result NaN wherever it is, and so does a sum of opposite infinities. */
async function reduceNonFinite(backend: Backend, op: ReduceOp, dtype: FloatDType, rows: Rows): Promise<void> {
  const x = new Float64Array(rows.outer * rows.classes * rows.inner);
  for (const [row, at] of rowIndices(rows).entries()) {
    const [first = nan, last = nan, between = nan] = nonFiniteRows[row] ?? [];
    at.forEach((i, k) => {
      x[i] = k === 0 ? first : k === rows.classes - 1 ? last : between;
    });
  }
  const expected = rowIndices(rows).map((at) => reductionOf(op)(rowValues(x, at)));
  const tolerance = new Float64Array(expected.length);
  await assertExample(`basis.reduce ${op}`, backend, dtype, { operands: [x], expected, tolerance }, (out, [buffer]) =>
    basisOf(backend).reduce(out, op, buffer, rows),
  );
}
