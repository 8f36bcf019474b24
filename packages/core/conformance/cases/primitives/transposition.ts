import type { Backend, FloatDType, Rows } from '../../../src/index.js';
import { type ConformanceCase, defineKernelCase, dtypeSuffix } from '../../case.js';
import { cotangents } from '../../inputs.js';
import { assertExample, type Example } from './example.js';
import { basisOf, positions } from './operands.js';
import { requirementsOf } from './requirements.js';

/** `transpose`. */
export function transpositionCases(dtype: FloatDType): readonly ConformanceCase[] {
  const requires = requirementsOf(dtype);
  const suffix = dtypeSuffix(dtype);
  return [
    { outer: 2, classes: 3, inner: 4 },
    { outer: 1, classes: 17, inner: 33 },
    { outer: 3, classes: 37, inner: 35 },
  ].map((rows) =>
    defineKernelCase(`basis/transpose:rows=${rows.outer}x${rows.classes}x${rows.inner}${suffix}`, requires, (backend) =>
      transpose(backend, dtype, rows),
    ),
  );
}

export function transposition(dtype: FloatDType, { outer, classes, inner }: Rows): Example {
  const x = cotangents(outer * classes * inner, dtype, 3, 'transpose');
  const expected = positions([outer, inner, classes]).map(
    ([o, i, c]) => x[(o * classes + c) * inner + i] ?? Number.NaN,
  );
  return { operands: [x], expected, tolerance: new Float64Array(x.length) };
}

async function transpose(backend: Backend, dtype: FloatDType, rows: Rows): Promise<void> {
  await assertExample('basis.transpose', backend, dtype, transposition(dtype, rows), (out, [buffer]) =>
    basisOf(backend).transpose(out, buffer, rows),
  );
}
