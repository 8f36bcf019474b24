import type { Backend, Extent, FloatDType } from '../../../src/index.js';
import { type ConformanceCase, defineKernelCase, dtypeSuffix } from '../../case.js';
import { assertClose } from '../../check.js';
import { runKernel } from '../../kernel.js';
import { basisOf, boundTo, extent, type Position, positions, type Side, sideValues, valueAt } from './operands.js';
import { ieeeOf, requirementsOf } from './requirements.js';

const rowsOfExtent: Extent = [2, 1, 4];

/** The operands of every form of `select` that core uses: condition, a, b. */
const selections: readonly (readonly [condition: Extent, a: Side, b: Side])[] = [
  [[1, 3, 4], rowsOfExtent, rowsOfExtent],
  [[1, 3, 4], rowsOfExtent, 0],
  [rowsOfExtent, extent, 0],
  [[2, 3, 1], extent, 0],
  [extent, rowsOfExtent, rowsOfExtent],
  [extent, rowsOfExtent, extent],
  [extent, extent, extent],
  [extent, extent, 1.5],
  [extent, -2, extent],
  [extent, -2, 1.5],
];

/** `select`. */
export function selectionCases(dtype: FloatDType): readonly ConformanceCase[] {
  const requires = requirementsOf(dtype);
  const ieee = ieeeOf(dtype);
  const suffix = dtypeSuffix(dtype);
  return [
    ...(['bool', 'float'] as const).map((condition) =>
      defineKernelCase(`basis/select:condition=${condition}${suffix}`, requires, (backend) =>
        select(backend, condition === 'bool' ? 'bool' : dtype, dtype),
      ),
    ),
    defineKernelCase(`basis/select:operands=any${suffix}`, requires, (backend) => selectBroadcast(backend, dtype)),
    defineKernelCase(`basis/select:values=non-finite${suffix}`, ieee, (backend) => selectNonFinite(backend, dtype)),
  ];
}

async function select(backend: Backend, conditionDType: FloatDType | 'bool', dtype: FloatDType): Promise<void> {
  const conditionExtent: Extent = [1, 3, 4];
  const condition = [1, 0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 0].map((value, i) =>
    conditionDType === 'bool' || value ? value : -(i % 2),
  );
  const a = { side: extent, values: sideValues(extent, dtype, 'left') };
  const rowExtent: Extent = [2, 1, 4];
  const row = { side: rowExtent, values: sideValues(rowExtent, dtype, 'right') };
  const isChosen = (at: Position) => valueAt({ side: conditionExtent, values: condition }, at) > 0;
  const operands = [
    { values: condition, dtype: conditionDType },
    { values: a.values, dtype },
    { values: row.values, dtype },
  ];
  const actual = await runKernel(backend, { length: 24, dtype }, operands, (out, [chosen, left, right]) =>
    basisOf(backend).select(
      out,
      { buffer: chosen, extent: conditionExtent },
      { buffer: left, extent },
      { buffer: right, extent: rowExtent },
      extent,
    ),
  );
  const expected = positions(extent).map((at) => valueAt(isChosen(at) ? a : row, at));
  assertClose('basis.select', actual, expected, new Float64Array(24));
  const constants = await runKernel(backend, { length: 24, dtype }, operands.slice(0, 1), (out, [chosen]) =>
    basisOf(backend).select(out, { buffer: chosen, extent: conditionExtent }, 2, -3, extent),
  );
  const chosen = positions(extent).map((at) => (isChosen(at) ? 2 : -3));
  assertClose('basis.select between constants', constants, chosen, new Float64Array(24));
}

/** `select` with operands that broadcast in all the ways that core needs. */
async function selectBroadcast(backend: Backend, dtype: FloatDType): Promise<void> {
  for (const [condition, a, b] of selections) {
    const sides = { condition, a, b };
    const values = {
      condition: sideValues(condition, dtype, 'condition'),
      a: sideValues(a, dtype, 'left'),
      b: sideValues(b, dtype, 'right'),
    };
    const names = (['condition', 'a', 'b'] as const).filter((name) => typeof sides[name] !== 'number');
    const operands = names.map((name) => ({ values: values[name], dtype }));
    const actual = await runKernel(backend, { length: 24, dtype }, operands, (out, buffers) => {
      const operand = boundTo(buffers);
      basisOf(backend).select(out, operand(condition), operand(a), operand(b), extent);
    });
    const at = (name: 'condition' | 'a' | 'b', position: Position) =>
      valueAt({ side: sides[name], values: values[name] }, position);
    const expected = positions(extent).map((place) => at(at('condition', place) > 0 ? 'a' : 'b', place));
    assertClose(`basis.select of ${[condition, a, b].join(' and ')}`, actual, expected, new Float64Array(24));
  }
}

async function selectNonFinite(backend: Backend, dtype: FloatDType): Promise<void> {
  const whole: Extent = [1, 1, 4];
  const a = [1, Number.NaN, Number.POSITIVE_INFINITY, 4];
  const b = [Number.NaN, 2, 3, Number.NEGATIVE_INFINITY];
  const operands = [
    { values: [1, 0, 0, 1], dtype: 'bool' as const },
    { values: a, dtype },
    { values: b, dtype },
  ];
  const actual = await runKernel(backend, { length: 4, dtype }, operands, (out, [condition, left, right]) =>
    basisOf(backend).select(
      out,
      { buffer: condition, extent: whole },
      { buffer: left, extent: whole },
      { buffer: right, extent: whole },
      whole,
    ),
  );
  assertClose('basis.select: values that are not selected have no effect', actual, [1, 2, 3, 4], new Float64Array(4));
  const removed = await runKernel(backend, { length: 4, dtype }, operands.slice(0, 2), (out, [condition, left]) =>
    basisOf(backend).select(
      out,
      { buffer: condition, extent: whole },
      { buffer: left, extent: whole },
      Number.NEGATIVE_INFINITY,
      whole,
    ),
  );
  const minus = Number.NEGATIVE_INFINITY;
  assertClose('basis.select of −Infinity', removed, [1, minus, minus, 4], new Float64Array(4));
}
