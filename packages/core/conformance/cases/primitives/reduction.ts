import { rowIndices, rowValues } from '../../../reference/functions.js';
import type { Backend, FloatDType, ReduceOp, Rows } from '../../../src/index.js';
import { type ConformanceCase, defineKernelCase, dtypeSuffix } from '../../case.js';
import { cotangents, rounded } from '../../inputs.js';
import { precisionOf, summation } from '../../tolerance.js';
import { assertExample, type Example } from './example.js';
import { basisOf } from './operands.js';
import { requirementsOf } from './requirements.js';

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

/** `reduce`. */
export function reductionCases(dtype: FloatDType): readonly ConformanceCase[] {
  const requires = requirementsOf(dtype);
  const suffix = dtypeSuffix(dtype);
  return (['sum', 'max'] as const).flatMap((op) =>
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
  const reduced = (row: readonly number[]) =>
    op === 'max' ? row.reduce((a, b) => Math.max(a, b)) : row.reduce((a, b) => a + b, 0);
  const tolerance = rowsOfX.map((row) => {
    const size = row.reduce((a, b) => a + Math.abs(b), 0);
    const bound = op === 'max' ? 0 : precision.unit * summation(classes) * size + precision.floor;
    return precision.stored(bound, reduced(row));
  });
  return { operands: [x], expected: rowsOfX.map(reduced), tolerance };
}

async function reduce(backend: Backend, op: ReduceOp, dtype: FloatDType, rows: Rows): Promise<void> {
  await assertExample(`basis.reduce ${op}`, backend, dtype, reduction(backend, op, dtype, rows), (out, [buffer]) =>
    basisOf(backend).reduce(out, op, buffer, rows),
  );
}
