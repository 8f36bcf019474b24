import { softmax, softmaxVjp } from '../../reference/functions.js';
import type { Backend, FloatDType, Rows } from '../../src/index.js';
import { type ConformanceCase, defineKernelCase, dtypeSuffix } from '../case.js';
import { assertClose } from '../check.js';
import { cotangents, logits, rounded } from '../inputs.js';
import { memoized, memoizedFor } from '../memo.js';
import { operations } from '../operations/all.js';
import { type CrossEntropySetting, crossEntropyOperations, settingParameters } from '../operations/cross-entropy.js';
import type { Operation } from '../operations/operation.js';
import { precisionIn, problemOf } from '../problem.js';
import type { ProblemStatement } from '../statement.js';
import { checkEach, integers, sizesFrom } from '../sweep.js';
import { type Precision, softmaxTolerance, softmaxVjpTolerance } from '../tolerance.js';
import { type Call, callsOf, checkCalls, largeCallsOf } from './large.js';
import { runRequired } from './required.js';

/** Lengths that are tested by one case: all short ones, or some from one power of two to the next. */
interface Octave {
  readonly lengths: readonly number[];
  readonly dtypes: readonly FloatDType[];
}

const octaves: readonly Octave[] = [
  { lengths: integers(2, 63), dtypes: ['float32', 'float64'] },
  ...integers(6, 12).map(
    (k): Octave => ({ lengths: sizesFrom(k), dtypes: k < 10 ? ['float32', 'float64'] : ['float32'] }),
  ),
  // Few, because they are long. A test of each remainder of a shorter row tests the same lines of a kernel.
  ...integers(13, 16).map(
    (k): Octave => ({
      lengths: k < 16 ? [1 << k, 3 * (1 << (k - 1)) + 3] : [1 << k, (1 << (k + 1)) + 2],
      dtypes: ['float32'],
    }),
  ),
];

/** From this length on, expected values are computed in float64, not in double-double arithmetic: for float32 it is enough, and fast. */
const long = 1024;

/** The required kernels `softmax` and `vjp` on rows whose last entries count most. */
const ofKernels: readonly ConformanceCase[] = octaves.flatMap(({ lengths, dtypes }) =>
  dtypes.flatMap((dtype) => {
    const classes = Math.max(...lengths);
    const parameters = `classes=${Math.min(...lengths)}..${classes};input=ending${dtypeSuffix(dtype)}`;
    const define = (
      name: 'softmax' | 'vjp',
      check: (backend: Backend, dtype: FloatDType, length: number) => Promise<void>,
    ) =>
      defineKernelCase(`${name}/lengths:${parameters}`, { dtype, classes }, (backend) =>
        checkEach(
          lengths,
          (length) => `${length} classes`,
          (length) => check(backend, dtype, length),
        ),
      );
    return [define('softmax', assertSoftmax), define('vjp', assertVjp)];
  }),
);

const problem = memoized((dtype: FloatDType, classes: number) => {
  const rows: Rows = { outer: 1, classes, inner: 1 };
  const x = logits('ending', [1, classes], 1, dtype);
  const expected = classes < long ? softmax(x, rows) : softmaxInFloat64(x);
  const s = expected.map((value) => rounded(value, dtype));
  const g = cotangents(classes, dtype);
  g[classes - 1] = 1.5;
  const ofVjp = classes < long ? softmaxVjp(s, g, rows) : vjpInFloat64(s, g);
  return {
    rows,
    x,
    expected,
    toleranceOf: memoizedFor((precision: Precision) => softmaxTolerance(precision, x, expected, rows)),
    s,
    g,
    ofVjp,
    toleranceOfVjp: memoizedFor((precision: Precision) => softmaxVjpTolerance(precision, s, g, ofVjp, rows)),
  };
});

/** A row whose last entry has nearly half of the sum, and one whose last logit is so large that exp overflows if the maximum is taken without it. */
async function assertSoftmax(backend: Backend, dtype: FloatDType, classes: number): Promise<void> {
  const { rows, x, expected, toleranceOf } = problem(dtype, classes);
  const precision = precisionIn(backend, dtype, 'kernel');
  const last = logits('last', [1, classes], 1, dtype);
  const oneHot = new Float64Array(classes);
  oneHot[classes - 1] = 1;
  const values = new Float64Array(2 * classes);
  values.set(x);
  values.set(last, classes);
  const actual = await runRequired(backend, 'softmax', dtype, [values], { ...rows, outer: 2 });
  assertClose(`softmax of ${classes} classes`, actual.subarray(0, classes), expected, toleranceOf(precision));
  const near = new Float64Array(classes).fill(64 * precision.unit);
  assertClose(`softmax of ${classes} classes, the last one 1`, actual.subarray(classes), oneHot, near);
}

async function assertVjp(backend: Backend, dtype: FloatDType, classes: number): Promise<void> {
  const { rows, s, g, ofVjp, toleranceOfVjp } = problem(dtype, classes);
  const actual = await runRequired(backend, 'vjp', dtype, [s, g], rows);
  assertClose(`vjp of ${classes} classes`, actual, ofVjp, toleranceOfVjp(precisionIn(backend, dtype, 'kernel')));
}

function softmaxInFloat64(x: Float64Array): Float64Array {
  const max = x.reduce((a, b) => Math.max(a, b));
  const exponentials = x.map((value) => Math.exp(value - max));
  const sum = exponentials.reduce((a, b) => a + b);
  return exponentials.map((value) => value / sum);
}

function vjpInFloat64(s: Float64Array, g: Float64Array): Float64Array {
  const mean = s.reduce((sum, p, c) => sum + p * (g[c] ?? Number.NaN), 0);
  return s.map((p, c) => p * ((g[c] ?? Number.NaN) - mean));
}

const setting: CrossEntropySetting = { target: 'probabilities', reduction: 'none' };

/** The other operations over rows that may have a kernel of their own. */
const ofOperations: readonly (readonly [operation: Operation, parameters: string])[] = [
  ...operations
    .filter(
      ({ name, member }) =>
        ['logSoftmax', 'logSumExp', 'logSoftmax.vjp', 'logSoftmax.jvp'].includes(name) ||
        (member === 'hvp' && !['softmin.hvp', 'sigmoid.hvp'].includes(name)),
    )
    .map((operation) => [operation, ''] as const),
  ...crossEntropyOperations(setting)
    .filter(({ member }) => member === 'loss' || member === 'gradient')
    .map((operation) => [operation, `;${settingParameters(setting)}`] as const),
];

const statements: readonly ProblemStatement[] = integers(6, 11).flatMap((k) =>
  [2 ** k, 2 ** k * 1.5 + 3, ...(k < 9 ? [2 ** k * 1.25 + 6] : [])].map(
    (classes): ProblemStatement => ({ shape: [1, classes], axis: 1, input: 'ending' }),
  ),
);
/** Where the maximum without the last entry makes exp overflow. */
const last: readonly ProblemStatement[] = [99, 771, 3075].map((classes) => ({
  shape: [1, classes],
  axis: 1,
  input: 'last',
}));

function operationCase(operation: Operation, parameters: string): ConformanceCase {
  const all = ['values', 'loss', 'gradient'].includes(operation.member) ? [...statements, ...last] : statements;
  const calls = [...callsOf(operation, all), ...largeCalls(operation)];
  const kernel = operation.needs(problemOf({ shape: [1, 3], axis: 1, input: 'ending' }));
  const id = `row-groups/lengths:operation=${operation.name}${parameters};classes=64..3075`;
  return defineKernelCase(id, { dtype: 'float32', classes: 3075, ...(kernel !== undefined && { kernel }) }, (backend) =>
    checkCalls(backend, calls),
  );
}

/** Large problems of the operations that have none in `row-groups`. Soft targets are not 0 where logits are −Infinity, and their losses infinite. */
function largeCalls(operation: Operation): readonly Call[] {
  const { name, member, family } = operation;
  if (family === 'cross-entropy')
    return largeCallsOf(operation).filter(({ statement }) => statement.input !== 'behind');
  return name === 'logSumExp' || member === 'vjp' || member === 'jvp' ? largeCallsOf(operation) : [];
}

/** Rows of lengths between those at which kernels usually switch, with the most important entry last. */
export const rowLengths: readonly ConformanceCase[] = [
  ...ofKernels,
  ...ofOperations.map(([operation, parameters]) => operationCase(operation, parameters)),
];
