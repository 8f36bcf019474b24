import type { Backend, Basis, Extent, Rows } from '../../src/index.js';
import { type ConformanceCase, defineKernelCase, type Requirements } from '../case.js';
import { cotangents, cycledTo, type InputName } from '../inputs.js';
import { assertExample, type Example } from './primitives/example.js';
import { basisOf } from './primitives/operands.js';
import { reduction } from './primitives/reduction.js';
import { transposition } from './primitives/transposition.js';
import { enqueue, exampleOf, type RequiredName, required } from './required.js';

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
  ofKernel('softmax', 'spread', ';axis=1;input=spread'),
  ofKernel('vjp', 'narrow'),
  ofKernel('jacobian', 'narrow'),
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

function ofKernel(name: RequiredName, input: InputName, settings = ''): ConformanceCase {
  const size = { classes: 3, inner: 1 };
  const elements = count * size.classes ** (name === 'jacobian' ? 2 : 1);
  const id = `${name}/many-rows:shape=${count}x${size.classes}${settings}`;
  const pattern: Pattern = (backend, { outer, classes }) =>
    exampleOf(backend, required[name], { shape: [outer, classes], axis: 1, input, dtype });
  return manyRowsCase(id, name, { elements }, size, pattern, (backend, out, buffers, rows) =>
    enqueue(backend, name, out, buffers, rows),
  );
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
