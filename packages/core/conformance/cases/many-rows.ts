import { softmax, softmaxJacobian, softmaxVjp } from '../../reference/functions.js';
import type { Backend, Basis, Extent, Rows } from '../../src/index.js';
import { type ConformanceCase, defineKernelCase, type Requirements } from '../case.js';
import { cotangents, cycledTo, logits } from '../inputs.js';
import { plain } from '../kernel.js';
import { precisionOf, softmaxJacobianTolerance, softmaxTolerance, softmaxVjpTolerance } from '../tolerance.js';
import { probabilities } from './jacobian.js';
import { assertExample, type Example } from './primitives/example.js';
import { basisOf } from './primitives/operands.js';
import { reduction } from './primitives/reduction.js';
import { transposition } from './primitives/transposition.js';

/** More than the workgroups that a dispatch has in one dimension of a GPU. */
export const count = 65537;

/** The number of different rows, which repeat. Their reference and their bound serve all rows. */
export const period = 16;

const dtype = 'float32';

/** One period of an example. */
type Pattern = (backend: Backend, rows: Rows) => Example;

/** Runs a kernel on `count` rows. `classes` and `inner` are those of the inputs. */
type Run<On> = (on: On, out: unknown, buffers: readonly unknown[], rows: Rows) => void;

/** The three required kernels and the primitives of the basis, on more rows than one dispatch has workgroups. */
export const manyRows: readonly ConformanceCase[] = [
  ofKernel('softmax', ';axis=1;input=spread', softmaxPattern, (backend, out, [x], rows) =>
    backend.softmax(out, x, rows, plain),
  ),
  ofKernel('vjp', '', vjpPattern, (backend, out, [s, g], rows) => backend.vjp(out, s, g, rows, plain)),
  ofKernel('jacobian', '', jacobianPattern, (backend, out, [s], rows) => backend.jacobian(out, s, rows, plain)),
  ofPrimitive(
    'unary',
    elementwise((x) => -x),
    (basis, out, [x], { outer, classes }) => basis.unary(out, 'neg', x, outer * classes),
  ),
  ofPrimitive('binary', elementwise(Math.max), (basis, out, [x, y], rows) => {
    const extent = extentOf(rows);
    basis.binary(out, 'max', { buffer: x, extent }, { buffer: y, extent }, extent);
  }),
  ofPrimitive(
    'select',
    elementwise((x, y) => (x > 0 ? y : 2)),
    (basis, out, [x, y], rows) => {
      const extent = extentOf(rows);
      basis.select(out, { buffer: x, extent }, { buffer: y, extent }, 2, extent);
    },
  ),
  ...(['sum', 'max'] as const).map((op) =>
    ofPrimitive(
      `reduce;op=${op}`,
      (backend, rows) => reduction(backend, op, dtype, rows),
      (basis, out, [x], rows) => basis.reduce(out, op, x, rows),
    ),
  ),
  ofPrimitive(
    'transpose',
    (_, rows) => transposition(dtype, rows),
    (basis, out, [x], rows) => basis.transpose(out, x, rows),
    { classes: 3, inner: 2 },
  ),
];

const extentOf = ({ outer, classes, inner }: Rows): Extent => [outer, classes, inner];

function ofKernel(
  name: 'softmax' | 'vjp' | 'jacobian',
  settings: string,
  pattern: Pattern,
  run: Run<Backend>,
): ConformanceCase {
  const size = { classes: 3, inner: 1 };
  const elements = count * size.classes ** (name === 'jacobian' ? 2 : 1);
  const id = `${name}/many-rows:shape=${count}x${size.classes}${settings}`;
  return manyRowsCase(id, name, { elements }, size, pattern, run);
}

/** @param primitive its name, and the settings of the case after a semicolon */
function ofPrimitive(
  primitive: string,
  pattern: Pattern,
  run: Run<Basis<unknown>>,
  size = { classes: 5, inner: 1 },
): ConformanceCase {
  const requires: Requirements = { features: ['basis'], elements: count * size.classes * size.inner };
  const what = `basis.${primitive.replace(/;.*/, '')}`;
  return manyRowsCase(`basis/many-rows:primitive=${primitive}`, what, requires, size, pattern, (backend, ...call) =>
    run(basisOf(backend), ...call),
  );
}

function manyRowsCase(
  id: string,
  what: string,
  requires: Requirements,
  size: Pick<Rows, 'classes' | 'inner'>,
  pattern: Pattern,
  run: Run<Backend>,
): ConformanceCase {
  return defineKernelCase(id, { dtype, ...requires }, (backend) => {
    const { operands, expected, tolerance } = pattern(backend, { outer: period, ...size });
    const all: Example = {
      operands: operands.map(repeated),
      expected: repeated(expected),
      tolerance: repeated(tolerance),
    };
    return assertExample(what, backend, dtype, all, (out, buffers) =>
      run(backend, out, buffers, { outer: count, ...size }),
    );
  });
}

/** The values of one period as often as there are rows. */
function repeated(values: ArrayLike<number>): Float64Array {
  return cycledTo((values.length / period) * count, values);
}

/** Of a primitive that works element by element, without a rounding error. */
function elementwise(expected: (x: number, y: number) => number): Pattern {
  return (_, { outer, classes }) => {
    const x = cotangents(outer * classes, dtype, 3, 'left');
    const y = cotangents(outer * classes, dtype, 3, 'right');
    return {
      operands: [x, y],
      expected: x.map((value, k) => expected(value, y[k] ?? Number.NaN)),
      tolerance: new Float64Array(x.length),
    };
  };
}

function softmaxPattern({ supports }: Backend, rows: Rows): Example {
  const x = logits('spread', [rows.outer, rows.classes], 1, dtype);
  const expected = softmax(x, rows);
  return { operands: [x], expected, tolerance: softmaxTolerance(precisionOf(supports, dtype), x, expected, rows) };
}

function vjpPattern({ supports }: Backend, rows: Rows): Example {
  const s = probabilities(dtype, [rows.outer, rows.classes], 1, 'narrow');
  const g = cotangents(s.length, dtype);
  const expected = softmaxVjp(s, g, rows);
  const tolerance = softmaxVjpTolerance(precisionOf(supports, dtype), s, g, expected, rows);
  return { operands: [s, g], expected, tolerance };
}

function jacobianPattern({ supports }: Backend, rows: Rows): Example {
  const s = probabilities(dtype, [rows.outer, rows.classes], 1, 'narrow');
  const expected = softmaxJacobian(s, rows);
  return {
    operands: [s],
    expected,
    tolerance: softmaxJacobianTolerance(precisionOf(supports, dtype), s, expected, rows),
  };
}
