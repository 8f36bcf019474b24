import type { Backend, BinaryOp, Extent, FloatDType, UnaryOp } from '../../../src/index.js';
import { type ConformanceCase, defineKernelCase, dtypeSuffix } from '../../case.js';
import { assertClose } from '../../check.js';
import { rounded } from '../../inputs.js';
import { runKernel } from '../../kernel.js';
import { type Precision, precisionOf } from '../../tolerance.js';
import { basisOf, boundTo, extent, positions, type Side, sideValues, valueAt } from './operands.js';
import { ieeeOf, requirementsOf } from './requirements.js';

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

const finiteArguments: Record<UnaryOp, readonly number[]> = {
  neg: [0, 1, -1, 2.5, -1e4, 1e-3],
  exp: [0, 1, -1, 0.5, -10, 10, -50, -80, -87, -100, -120, 1e-3],
  log: [1, 1.001, 0.999, 2, 0.5, Math.E, 1e-3, 1e4, 6e-5],
};

const nonFiniteArguments: readonly number[] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];

/** `unary` and `binary`. */
export function elementwiseCases(dtype: FloatDType): readonly ConformanceCase[] {
  const requires = requirementsOf(dtype);
  const ieee = ieeeOf(dtype);
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
  ];
}

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
