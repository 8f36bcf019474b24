import { rowIndices, rowValues } from '../../reference/functions.js';
import type {
  Backend,
  Basis,
  BinaryOp,
  Extent,
  FloatDType,
  Operand,
  ReduceOp,
  Rows,
  UnaryOp,
} from '../../src/index.js';
import {
  type ConformanceCase,
  defineKernelCase,
  dtypeOnly,
  dtypeSuffix,
  floatDTypes,
  type Requirements,
} from '../case.js';
import { assertClose } from '../check.js';
import { cotangents, rounded } from '../inputs.js';
import { runKernel, upload } from '../kernel.js';
import { type Precision, precisionOf, summation } from '../tolerance.js';

const extent: Extent = [2, 3, 4];

/** An operand of a binary case: its extent, or a constant. */
type Side = Extent | number;

const broadcasts: readonly { readonly name: string; readonly a: Side; readonly b: Side }[] = [
  { name: 'same', a: extent, b: extent },
  { name: 'row', a: extent, b: [2, 1, 4] },
  { name: 'classes', a: [1, 3, 1], b: extent },
  { name: 'block', a: extent, b: [1, 3, 4] },
  { name: 'inner', a: [2, 3, 1], b: [1, 1, 4] },
  { name: 'one', a: [1, 1, 1], b: extent },
  { name: 'constant-right', a: extent, b: 1.5 },
  { name: 'constant-left', a: 1, b: extent },
];

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

/** The sizes of two operands in one dimension of the result. */
const sizesOf = (size: number) =>
  [
    [size, size],
    [1, size],
    [size, 1],
  ] as const;

/** Every pair of operands that broadcast to `extent`. */
const everyBroadcast = sizesOf(extent[0]).flatMap(([ao, bo]) =>
  sizesOf(extent[1]).flatMap(([ac, bc]) =>
    sizesOf(extent[2]).map(([ai, bi]): readonly [Extent, Extent] => [
      [ao, ac, ai],
      [bo, bc, bi],
    ]),
  ),
);

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

const finiteArguments: Record<UnaryOp, readonly number[]> = {
  neg: [0, 1, -1, 2.5, -1e4, 1e-3],
  exp: [0, 1, -1, 0.5, -10, 10, -50, -80, -87, -100, -120, 1e-3],
  log: [1, 1.001, 0.999, 2, 0.5, Math.E, 1e-3, 1e4, 6e-5],
};

const nonFiniteArguments: readonly number[] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];

/** The five primitives of a basis, for each float dtype of the backend. */
export const basis: readonly ConformanceCase[] = floatDTypes.flatMap((dtype) => {
  const requires: Requirements = { dtype, features: ['basis'] };
  const ieee: Requirements = { dtype, features: ['basis', 'nonFinite: ieee'] };
  const suffix = dtypeSuffix(dtype);
  return [
    ...(['neg', 'exp', 'log'] as const).flatMap((op) => [
      defineKernelCase(`basis/unary:op=${op}${suffix}`, requires, (backend) =>
        unary(
          backend,
          op,
          dtype,
          finiteArguments[op].map((x) => rounded(x, dtype)),
        ),
      ),
      defineKernelCase(`basis/unary:op=${op};values=non-finite${suffix}`, ieee, (backend) =>
        unary(backend, op, dtype, nonFiniteArguments),
      ),
    ]),
    ...(['add', 'sub', 'mul', 'div', 'max', 'min'] as const).flatMap((op) => [
      ...broadcasts.map(({ name, a, b }) =>
        defineKernelCase(`basis/binary:op=${op};operands=${name}${suffix}`, requires, (backend) =>
          binary(backend, op, dtype, a, b),
        ),
      ),
      defineKernelCase(`basis/binary:op=${op};values=non-finite${suffix}`, ieee, (backend) =>
        binaryNonFinite(backend, op, dtype),
      ),
    ]),
    defineKernelCase(`basis/binary:op=sub;operands=any${suffix}`, requires, async (backend) => {
      for (const [a, b] of everyBroadcast) await binary(backend, 'sub', dtype, a, b);
    }),
    ...(['sum', 'max'] as const).flatMap((op) =>
      reductions
        .filter(({ classes }) => dtype === 'float32' || classes < 65537)
        .map((rows) =>
          defineKernelCase(
            `basis/reduce:op=${op};rows=${rows.outer}x${rows.classes}x${rows.inner}${suffix}`,
            { ...requires, classes: rows.classes },
            (backend) => reduce(backend, op, dtype, rows),
          ),
        ),
    ),
    ...(['bool', 'float'] as const).map((condition) =>
      defineKernelCase(`basis/select:condition=${condition}${suffix}`, requires, (backend) =>
        select(backend, condition === 'bool' ? 'bool' : dtype, dtype),
      ),
    ),
    defineKernelCase(`basis/select:operands=any${suffix}`, requires, (backend) => selectBroadcast(backend, dtype)),
    defineKernelCase(`basis/select:values=non-finite${suffix}`, ieee, (backend) => selectNonFinite(backend, dtype)),
    ...[
      { outer: 2, classes: 3, inner: 4 },
      { outer: 1, classes: 17, inner: 33 },
      { outer: 3, classes: 37, inner: 35 },
    ].map((rows) =>
      defineKernelCase(
        `basis/transpose:rows=${rows.outer}x${rows.classes}x${rows.inner}${suffix}`,
        requires,
        (backend) => transpose(backend, dtype, rows),
      ),
    ),
    defineKernelCase(`basis/in-place${dtypeOnly(dtype)}`, { dtype, features: ['basis', 'inPlace'] }, (backend) =>
      inPlace(backend, dtype),
    ),
  ];
});

const unaryFunctions: Record<UnaryOp, (x: number) => number> = { neg: (x) => -x, exp: Math.exp, log: Math.log };

const binaryFunctions: Record<BinaryOp, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  max: Math.max,
  min: Math.min,
};

/** Errors of one primitive, in units of the result: 1 ULP for arithmetic, which may round either way. */
function unaryTolerance(precision: Precision, op: UnaryOp, x: number, expected: number): number {
  const units = {
    neg: 0,
    exp: (precision.exp(Math.abs(x)) - Math.abs(x) + 1) * Math.abs(expected),
    log: precision.log(expected),
  };
  return precision.stored(precision.unit * units[op] + (op === 'neg' ? 0 : precision.floor), expected);
}

function binaryTolerance(precision: Precision, op: BinaryOp, expected: number): number {
  const units = { add: 2, sub: 2, mul: 2, div: 5, max: 0, min: 0 };
  const exact = op === 'max' || op === 'min';
  const tolerance = precision.unit * units[op] * Math.abs(expected) + (exact ? 0 : precision.floor);
  return precision.stored(tolerance, expected);
}

async function unary(backend: Backend, op: UnaryOp, dtype: FloatDType, x: readonly number[]): Promise<void> {
  const precision = precisionOf(backend.supports, dtype);
  const expected = x.map(unaryFunctions[op]);
  const actual = await runKernel(backend, { length: x.length, dtype }, [{ values: x, dtype }], (out, [buffer]) =>
    basisOf(backend).unary(out, op, buffer, x.length),
  );
  assertClose(
    `basis.unary ${op} of [${x.join(', ')}]`,
    actual,
    expected,
    x.map((value) => unaryTolerance(precision, op, value, unaryFunctions[op](value))),
  );
}

async function binary(backend: Backend, op: BinaryOp, dtype: FloatDType, a: Side, b: Side): Promise<void> {
  const precision = precisionOf(backend.supports, dtype);
  const left = { side: a, values: sideValues(a, dtype, 'left') };
  const right = { side: b, values: sideValues(b, dtype, 'right') };
  const expected = positions(extent).map((at) => binaryFunctions[op](valueAt(left, at), valueAt(right, at)));
  const operands = [left, right]
    .filter(({ side }) => typeof side !== 'number')
    .map(({ values }) => ({ values, dtype }));
  const actual = await runKernel(backend, { length: expected.length, dtype }, operands, (out, buffers) => {
    const operand = boundTo(buffers);
    basisOf(backend).binary(out, op, operand(a), operand(b), extent);
  });
  const tolerance = expected.map((value) => binaryTolerance(precision, op, value));
  assertClose(`basis.binary ${op}`, actual, expected, tolerance);
}

async function binaryNonFinite(backend: Backend, op: BinaryOp, dtype: FloatDType): Promise<void> {
  const specials = [0, 1, -1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const pairs = specials.flatMap((a) => specials.map((b) => ({ a, b })));
  const whole: Extent = [1, 1, pairs.length];
  const operands = [
    { values: pairs.map(({ a }) => a), dtype },
    { values: pairs.map(({ b }) => b), dtype },
  ];
  const actual = await runKernel(backend, { length: pairs.length, dtype }, operands, (out, [left, right]) =>
    basisOf(backend).binary(out, op, { buffer: left, extent: whole }, { buffer: right, extent: whole }, whole),
  );
  const expected = pairs.map(({ a, b }) => binaryFunctions[op](a, b));
  assertClose(`basis.binary ${op}`, actual, expected, new Float64Array(pairs.length));
}

/** Operands of a kernel, its result, and the bound of each element. */
export interface Example {
  readonly operands: readonly Float64Array[];
  readonly expected: ArrayLike<number>;
  readonly tolerance: ArrayLike<number>;
}

export function reduction(backend: Backend, op: ReduceOp, dtype: FloatDType, rows: Rows): Example {
  const precision = precisionOf(backend.supports, dtype);
  const { outer, classes, inner } = rows;
  const x = cotangents(outer * classes * inner, dtype, 3, `reduce ${op}`);
  rowIndices(rows).forEach((at, row) => {
    // The last entry is the largest, in the next row the one before it, and so on: a maximum without the last entries is wrong, and so is
    // a sum without them.
    const largest = at[classes - 1 - (row % classes)];
    if (largest !== undefined) x[largest] = rounded(4 + (row % 8) + classes / 16, dtype);
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

export async function assertExample(
  what: string,
  backend: Backend,
  dtype: FloatDType,
  { operands, expected, tolerance }: Example,
  enqueue: (out: unknown, buffers: readonly unknown[]) => void,
): Promise<void> {
  const given = operands.map((values) => ({ values, dtype }));
  assertClose(what, await runKernel(backend, { length: expected.length, dtype }, given, enqueue), expected, tolerance);
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

async function inPlace(backend: Backend, dtype: FloatDType): Promise<void> {
  const whole: Extent = [1, 1, 4];
  const x = [1, -2, 0.5, 4];
  const operands = [{ values: [2, 2, 4, 0.25], dtype }];
  const actual = await runKernel(backend, { length: 4, dtype }, [...operands, { values: x, dtype }], (out, [b, a]) => {
    basisOf(backend).unary(a, 'neg', a, 4);
    basisOf(backend).binary(a, 'mul', { buffer: a, extent: whole }, { buffer: b, extent: whole }, whole);
    basisOf(backend).binary(b, 'sub', { buffer: a, extent: whole }, { buffer: b, extent: whole }, whole);
    basisOf(backend).select(out, { buffer: a, extent: whole }, { buffer: b, extent: whole }, 0, whole);
  });
  assertClose('basis primitives whose out is one of their operands', actual, [0, 2, 0, 0], new Float64Array(4));
  const all = (buffer: unknown) => ({ buffer, extent: whole });
  const into = async (
    what: string,
    expected: readonly number[],
    run: (basis: Basis<unknown>, c: unknown, a: unknown, b: unknown) => unknown,
  ) => {
    const given = [
      [1, -1, 0, 2],
      [5, 6, 7, 8],
      [-5, -6, -7, -8],
    ].map((values) => upload(backend, { values, dtype }));
    const [c, a, b] = given;
    const out = run(basisOf(backend), c, a, b);
    assertClose(what, await backend.read(out), expected, new Float64Array(4));
    for (const buffer of given) backend.free(buffer);
  };
  await into('basis.binary of one buffer, into it', [2, -2, 0, 4], (basis, c) => {
    basis.binary(c, 'add', all(c), all(c), whole);
    return c;
  });
  for (const k of [0, 1, 2]) {
    await into(`basis.select into operand ${k}`, [5, -6, -7, 8], (basis, c, a, b) => {
      const out = [c, a, b][k];
      basis.select(out, all(c), all(a), all(b), whole);
      return out;
    });
  }
  await into('basis.select of one buffer, into it', [1, -1, 0, 2], (basis, c) => {
    basis.select(c, all(c), all(c), all(c), whole);
    return c;
  });
}

type Position = readonly [outer: number, classIndex: number, inner: number];

/** The index triples of an extent, in row-major order. */
function positions([outer, classes, inner]: Extent): readonly Position[] {
  return Array.from({ length: outer * classes * inner }, (_, i) => [
    Math.floor(i / (classes * inner)),
    Math.floor(i / inner) % classes,
    i % inner,
  ]);
}

/** The value of an operand at a position of the result. */
function valueAt({ side, values }: { readonly side: Side; readonly values: ArrayLike<number> }, at: Position): number {
  return values[broadcastIndex(side, at)] ?? Number.NaN;
}

function broadcastIndex(side: Side, [o, c, i]: Position): number {
  if (typeof side === 'number') return 0;
  const [outer, classes, inner] = side;
  return ((outer === 1 ? 0 : o) * classes + (classes === 1 ? 0 : c)) * inner + (inner === 1 ? 0 : i);
}

/** Values of an operand, away from 0 so that no quotient is extreme. */
function sideValues(side: Side, dtype: FloatDType, seed: string): ArrayLike<number> {
  if (typeof side === 'number') return [side];
  const values = cotangents(side[0] * side[1] * side[2], dtype, 3, seed);
  return values.map((value) => rounded(value + Math.sign(value), dtype));
}

/** Makes the operands of the sides in order: constants stay constants, and each other side gets the next buffer. */
function boundTo(buffers: readonly unknown[]): (side: Side) => Operand<unknown> {
  let next = 0;
  return (side) => (typeof side === 'number' ? side : { buffer: buffers[next++], extent: side });
}

/** @throws Error on a backend to which the case does not apply */
export function basisOf<B>({ basis }: Backend<B>): Basis<B> {
  if (basis === undefined) throw new Error('the backend has no basis');
  return basis;
}
