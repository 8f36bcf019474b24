import { rowIndices, rowValues, softmax, softmaxJacobian, softmaxVjp } from '../../reference/functions.js';
import type { Backend, Basis, Extent, Rows } from '../../src/index.js';
import { type ConformanceCase, defineKernelCase } from '../case.js';
import { assertClose } from '../check.js';
import { cotangents, logits, rounded } from '../inputs.js';
import { type HostOperand, plain, runKernel } from '../kernel.js';
import {
  precisionOf,
  softmaxJacobianTolerance,
  softmaxTolerance,
  softmaxVjpTolerance,
  summation,
} from '../tolerance.js';
import { basisOf } from './basis.js';

/** More than the workgroups that a dispatch has in one dimension of a GPU. */
const count = 65537;

/** The number of different rows, which repeat. Its reference and its bound serve all rows. */
const period = 16;

const dtype = 'float32';

/** Inputs of one period, its result, and the bound of each element. */
interface Pattern {
  readonly operands: readonly Float64Array[];
  readonly expected: ArrayLike<number>;
  readonly tolerance: ArrayLike<number>;
}

/** Runs a kernel on `count` rows. `classes` and `inner` are those of the inputs. */
type Run = (backend: Backend, out: unknown, buffers: readonly unknown[], rows: Rows) => void;

/** The three required kernels and the primitives of the basis, on more rows than one dispatch has workgroups. */
export const manyRows: readonly ConformanceCase[] = [
  ofKernel('softmax', 3, ';axis=1;input=spread', softmaxPattern, (backend, out, [x], rows) =>
    backend.softmax(out, x, rows, plain),
  ),
  ofKernel('vjp', 3, '', vjpPattern, (backend, out, [s, g], rows) => backend.vjp(out, s, g, rows, plain)),
  ofKernel('jacobian', 3, '', jacobianPattern, (backend, out, [s], rows) => backend.jacobian(out, s, rows, plain)),
  ofPrimitive('unary', (basis, out, [x], { outer, classes }) => basis.unary(out, 'neg', x, outer * classes), {
    expected: ([x]) => -x,
  }),
  ofPrimitive(
    'binary',
    (basis, out, [x, y], rows) => {
      const extent = extentOf(rows);
      basis.binary(out, 'max', { buffer: x, extent }, { buffer: y, extent }, extent);
    },
    { expected: ([x, y]) => Math.max(x, y) },
  ),
  ofPrimitive(
    'select',
    (basis, out, [x, y], rows) => {
      const extent = extentOf(rows);
      basis.select(out, { buffer: x, extent }, { buffer: y, extent }, 2, extent);
    },
    { expected: ([x, y]) => (x > 0 ? y : 2) },
  ),
  basisCase('reduce:op=sum', reducePattern('sum'), 5, 1, (backend, out, [x], rows) =>
    basisOf(backend).reduce(out, 'sum', x, rows),
  ),
  basisCase('reduce:op=max', reducePattern('max'), 5, 1, (backend, out, [x], rows) =>
    basisOf(backend).reduce(out, 'max', x, rows),
  ),
  basisCase('transpose', transposePattern, 3, 2, (backend, out, [x], rows) => basisOf(backend).transpose(out, x, rows)),
];

const extentOf = ({ outer, classes, inner }: Rows): Extent => [outer, classes, inner];

function ofKernel(
  name: 'softmax' | 'vjp' | 'jacobian',
  classes: number,
  settings: string,
  pattern: (backend: Backend, rows: Rows) => Pattern,
  run: Run,
): ConformanceCase {
  const elements = count * classes * (name === 'jacobian' ? classes : 1);
  return defineKernelCase(`${name}/many-rows:shape=${count}x${classes}${settings}`, { dtype, elements }, (backend) =>
    assertMany(name, backend, pattern, classes, 1, run),
  );
}

function basisCase(
  name: string,
  pattern: (backend: Backend, rows: Rows) => Pattern,
  classes: number,
  inner: number,
  run: Run,
): ConformanceCase {
  const primitive = name.replace(/:.*/, '');
  const settings = name.slice(primitive.length + 1);
  const id = `basis/many-rows:primitive=${primitive}${settings && `;${settings}`}`;
  const requires = { dtype, features: ['basis'], elements: count * classes * inner } as const;
  return defineKernelCase(id, requires, (backend) =>
    assertMany(`basis.${primitive}`, backend, pattern, classes, inner, run),
  );
}

/** A primitive that works element by element, without a rounding error. */
function ofPrimitive(
  name: 'unary' | 'binary' | 'select',
  run: (basis: Basis<unknown>, out: unknown, buffers: readonly unknown[], rows: Rows) => void,
  { expected }: { readonly expected: (operands: readonly [number, number]) => number },
): ConformanceCase {
  const pattern = (_: Backend, { classes }: Rows): Pattern => {
    const x = cotangents(period * classes, dtype, 3, 'left');
    const y = cotangents(period * classes, dtype, 3, 'right');
    return {
      operands: [x, y],
      expected: x.map((value, k) => expected([value, y[k] ?? Number.NaN])),
      tolerance: new Float64Array(x.length),
    };
  };
  return basisCase(name, pattern, 5, 1, (backend, out, buffers, rows) => run(basisOf(backend), out, buffers, rows));
}

async function assertMany(
  what: string,
  backend: Backend,
  patternOf: (backend: Backend, rows: Rows) => Pattern,
  classes: number,
  inner: number,
  run: Run,
): Promise<void> {
  const pattern = patternOf(backend, { outer: period, classes, inner });
  const repeated = (values: ArrayLike<number>): Float64Array => {
    const each = values.length / period;
    const out = new Float64Array(count * each);
    for (let start = 0; start < out.length; start += values.length)
      out.set(Array.from(values).slice(0, out.length - start), start);
    return out;
  };
  const expected = repeated(pattern.expected);
  const operands = pattern.operands.map((values): HostOperand => ({ values: repeated(values), dtype }));
  const actual = await runKernel(backend, { length: expected.length, dtype }, operands, (out, buffers) =>
    run(backend, out, buffers, { outer: count, classes, inner }),
  );
  assertClose(what, actual, expected, repeated(pattern.tolerance));
}

function softmaxPattern(backend: Backend, rows: Rows): Pattern {
  const x = logits('spread', [rows.outer, rows.classes], 1, dtype);
  const expected = softmax(x, rows);
  return {
    operands: [x],
    expected,
    tolerance: softmaxTolerance(precisionOf(backend.supports, dtype), x, expected, rows),
  };
}

function probabilitiesOf(rows: Rows): Float64Array {
  return softmax(logits('narrow', [rows.outer, rows.classes], 1, dtype), rows).map((value) => rounded(value, dtype));
}

function vjpPattern(backend: Backend, rows: Rows): Pattern {
  const s = probabilitiesOf(rows);
  const g = cotangents(s.length, dtype);
  const expected = softmaxVjp(s, g, rows);
  const tolerance = softmaxVjpTolerance(precisionOf(backend.supports, dtype), s, g, expected, rows);
  return { operands: [s, g], expected, tolerance };
}

function jacobianPattern(backend: Backend, rows: Rows): Pattern {
  const s = probabilitiesOf(rows);
  const expected = softmaxJacobian(s, rows);
  const tolerance = softmaxJacobianTolerance(precisionOf(backend.supports, dtype), s, expected, rows);
  return { operands: [s], expected, tolerance };
}

function reducePattern(op: 'sum' | 'max') {
  return (backend: Backend, rows: Rows): Pattern => {
    const x = cotangents(rows.outer * rows.classes, dtype, 3, `reduce ${op}`);
    const { unit, floor } = precisionOf(backend.supports, dtype);
    const each = rowIndices(rows).map((at) => rowValues(x, at));
    return {
      operands: [x],
      expected: each.map((row) => (op === 'max' ? Math.max(...row) : row.reduce((a, b) => a + b, 0))),
      tolerance: each.map((row) =>
        op === 'max' ? 0 : unit * summation(rows.classes) * row.reduce((a, b) => a + Math.abs(b), 0) + floor,
      ),
    };
  };
}

function transposePattern(_: Backend, { outer, classes, inner }: Rows): Pattern {
  const x = cotangents(outer * classes * inner, dtype, 3, 'transpose');
  const expected = new Float64Array(x.length);
  for (let o = 0, n = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++)
      for (let c = 0; c < classes; c++) expected[n++] = x[(o * classes + c) * inner + i] ?? Number.NaN;
  }
  return { operands: [x], expected, tolerance: new Float64Array(x.length) };
}
