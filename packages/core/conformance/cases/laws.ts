import { type Backend, type HostArray, type Tensor, tensor } from '../../src/index.js';
import { isRequired } from '../../src/ops/evaluate.js';
import { type ConformanceCase, defineCase, defineKernelCase, firstDType, type Requirements } from '../case.js';
import { assert, assertClose, assertSame, assertThrows } from '../check.js';
import { withoutKernels } from '../counted.js';
import { exact } from '../exact.js';
import { cycled } from '../inputs.js';
import { garbage } from '../kernel.js';
import { allOperations } from '../operations/all.js';
import { type CallOptions, isSecond, type Operation } from '../operations/operation.js';
import { callOptions, evaluate, expectation, problemOf, requirementsOf, statedFor, tensorsOf } from '../problem.js';
import type { Problem, ProblemStatement } from '../statement.js';
import { doubleBackwardMakesHvp, hvpEqualsDifferences, hvpOfShift, hvpSymmetric } from './hvp-laws.js';

const statement: ProblemStatement = { shape: [3, 4], axis: 1, input: 'ramp' };

/** A law that holds for every operation, written once. */
interface Law {
  readonly name: string;
  readonly composable: boolean;
  requires?(operation: Operation): Requirements;
  appliesTo?(operation: Operation): boolean;
  run(backend: Backend, operation: Operation): Promise<void>;
}

/** Rows from nearly uniform to nearly one-hot. */
const spread: Partial<ProblemStatement> = { shape: [3, 7], input: 'spread' };

function isHvp({ member }: Operation): boolean {
  return member === 'hvp';
}

/** The effect on a result of adding a constant to all logits. */
const shifts: Readonly<Record<string, 'nothing' | 'adds'>> = {
  softmax: 'nothing',
  softmin: 'nothing',
  logSoftmax: 'nothing',
  logSumExp: 'adds',
  'logSumExp.gradient': 'nothing',
  'crossEntropy.loss': 'nothing',
  'crossEntropy.gradient': 'nothing',
};

const ieee: Requirements = { features: ['nonFinite: ieee'] };

const laws: readonly Law[] = [
  { name: 'out-equals-allocated', composable: true, run: outEqualsAllocated },
  { name: 'out-may-be-an-operand', composable: false, run: outMayBeAnOperand },
  {
    name: 'in-place-equals-allocated',
    composable: false,
    requires: () => ({ features: ['inPlace'], classes: 1100 }),
    appliesTo: ({ takes }) => takes.includes('axis'),
    run: inPlaceEqualsAllocated,
  },
  { name: 'operands-unchanged', composable: true, run: operandsUnchanged },
  { name: 'deterministic', composable: true, run: deterministic },
  { name: 'axis', composable: false, appliesTo: ({ takes }) => takes.includes('axis'), run: axisEqualsTransposed },
  { name: 'shift', composable: true, appliesTo: ({ name }) => name in shifts, run: shift },
  {
    name: 'fused-equals-composed',
    composable: false,
    requires: () => ({ features: ['kernels', 'basis'] }),
    run: fusedEqualsComposed,
  },
  {
    name: 'remembers-its-call',
    composable: true,
    // The log-probability of a masked entry is −Infinity.
    requires: ({ family }) => ({ kernel: null, ...(family === 'log-softmax' && ieee) }),
    appliesTo: ({ forward }) => forward !== undefined,
    run: remembersItsCall,
  },
  {
    name: 'masked-directions',
    composable: true,
    requires: () => ({ kernel: null, ...ieee }),
    appliesTo: takesMaskedDirection,
    run: maskedDirections,
  },
  {
    name: 'hvp-symmetric',
    composable: true,
    appliesTo: isHvp,
    run: (backend, operation) => hvpSymmetric(backend, operation, problemIn(backend, spread)),
  },
  {
    name: 'hvp-of-a-shift',
    composable: true,
    appliesTo: (operation) => isHvp(operation) && operation.takes.includes('temperature'),
    run: (backend, operation) => hvpOfShift(backend, operation, problemIn(backend, spread)),
  },
  {
    name: 'hvp-equals-differences',
    composable: true,
    appliesTo: isHvp,
    run: (backend, operation) => hvpEqualsDifferences(backend, operation, problemIn(backend, { temperature: 2 })),
  },
  {
    name: 'double-backward-makes-hvp',
    composable: true,
    appliesTo: ({ member }) => member === 'double-backward',
    run: (backend, operation) => doubleBackwardMakesHvp(backend, operation, problemIn(backend, { temperature: 2 })),
  },
  { name: 'used-after-dispose', composable: false, run: usedAfterDispose },
  { name: 'backend-mismatch', composable: false, run: backendMismatch },
  { name: 'wrong-operands', composable: false, run: wrongOperands },
  { name: 'empty', composable: false, run: empty },
];

/** Every law for every operation, and the error of an operation on a backend that cannot run it. */
export const lawCases: readonly ConformanceCase[] = [
  ...laws.flatMap(({ name, composable, requires, appliesTo, run }) =>
    allOperations
      .filter((operation) => appliesTo?.(operation) ?? true)
      .map((operation) => {
        const needs = needsOf(operation);
        const define = composable ? defineCase : defineKernelCase;
        return define(`laws/${name}:operation=${operation.name}`, { ...needs, ...requires?.(operation) }, (backend) =>
          run(backend, operation),
        );
      }),
  ),
  ...allOperations.flatMap((operation) => {
    const { kernel } = requirementsOf(operation, problemOf(statement));
    if (kernel === undefined || isRequired(kernel)) return [];
    return [
      defineKernelCase(`laws/unsupported:operation=${operation.name}`, { lacks: kernel }, async (backend) => {
        const problem = problemIn(backend);
        await assertThrows(operation.name, 'ERR_UNSUPPORTED', () => evaluate(backend, operation, problem));
      }),
    ];
  }),
];

/** The requirements of a law about an operation: a basis where the required kernels may decline. */
function needsOf(operation: Operation): Requirements {
  const { dtype: _, ...needs } = requirementsOf(operation, problemOf(statement));
  return isRequired(needs.kernel) ? { ...needs, kernel: null } : needs;
}

function problemIn(backend: Backend, other: Partial<ProblemStatement> = {}): Problem {
  return problemOf({ ...statement, dtype: firstDType(backend), ...other });
}

/** Calls `body` with the operands as tensors, and disposes them. */
async function withTensors(
  backend: Backend,
  operation: Operation,
  problem: Problem,
  body: (tensors: readonly Tensor[], options: CallOptions) => Promise<void>,
): Promise<void> {
  const tensors = tensorsOf(backend, statedFor(operation, problem).operands, problem);
  try {
    await body(tensors, callOptions(operation, problem));
  } finally {
    for (const operand of tensors) operand.dispose();
  }
}

/** Calls `body` with each operand in turn, among newly made tensors. */
async function withEachOperand(
  backend: Backend,
  operation: Operation,
  problem: Problem,
  body: (operand: Tensor, k: number, tensors: readonly Tensor[], options: CallOptions) => Promise<void>,
): Promise<void> {
  const { length } = statedFor(operation, problem).operands;
  for (let k = 0; k < length; k++) {
    await withTensors(backend, operation, problem, async (tensors, options) => {
      const operand = tensors[k];
      assert(operand !== undefined, `${operation.name} has no operand ${k}`);
      await body(operand, k, tensors, options);
    });
  }
}

async function take(result: Tensor): Promise<HostArray> {
  try {
    return await result.data();
  } finally {
    result.dispose();
  }
}

/** With `out`, the same bits are written into that tensor, which is returned. */
async function outEqualsAllocated(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend);
  await withTensors(backend, operation, problem, async (tensors, options) => {
    const allocated = operation.apply(tensors, options, problem);
    const { shape, dtype, size } = allocated;
    const out = tensor(garbage(size, dtype), { shape, dtype, backend });
    const result = operation.apply(tensors, { ...options, out }, problem);
    assert(result === out, `${operation.name}: the result is not the tensor given as out`);
    const [expected, actual] = await Promise.all([take(allocated), take(out)]);
    assertSame(`${operation.name} into out`, actual, expected);
  });
}

/** An operand with the result's shape may be `out`, whether or not the backend works in place. */
async function outMayBeAnOperand(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend);
  const expected = await evaluate(backend, operation, problem);
  const shape = await shapeOfResult(backend, operation, problem);
  await withEachOperand(backend, operation, problem, async (out, k, tensors, options) => {
    if (out.shape.join() !== shape.join()) return;
    operation.apply(tensors, { ...options, out }, problem);
    assertSame(`${operation.name} into its operand ${k}`, await out.data(), expected);
  });
}

/** Rows of the lengths at which kernels switch methods, most of them with the largest logit near the end. */
const inPlaceShapes = [
  [2, 2],
  [5, 17],
  [3, 67],
  [2, 300],
  [1, 1100],
] as const;

/** A result that overwrites one of its operands has the same bits as in a tensor of its own. */
async function inPlaceEqualsAllocated(backend: Backend, operation: Operation): Promise<void> {
  const dtypes = backend.supports.dtypes.filter((dtype) => dtype !== 'float16');
  for (const dtype of dtypes) {
    for (const shape of inPlaceShapes) {
      for (const input of ['spread', 'mixed'] as const) {
        const problem = problemOf({ shape, axis: 1, input, dtype });
        const expected = await evaluate(backend, operation, problem);
        if (expected.length !== problem.values.length) return;
        await withEachOperand(backend, operation, problem, async (out, _, tensors, options) => {
          if (out.shape.join() !== shape.join()) return;
          operation.apply(tensors, { ...options, out }, problem);
          assertSame(`${operation.name} of ${shape.join('x')} in place`, await out.data(), expected);
        });
      }
    }
  }
}

async function shapeOfResult(backend: Backend, operation: Operation, problem: Problem): Promise<readonly number[]> {
  let shape: readonly number[] = [];
  await withTensors(backend, operation, problem, async (tensors, options) => {
    const result = operation.apply(tensors, options, problem);
    shape = result.shape;
    result.dispose();
  });
  return shape;
}

async function operandsUnchanged(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend);
  await withTensors(backend, operation, problem, async (tensors, options) => {
    const result = operation.apply(tensors, options, problem);
    const { operands } = statedFor(operation, problem);
    const after = await Promise.all(tensors.map((operand) => operand.data()));
    result.dispose();
    for (const [k, { values }] of operands.entries()) {
      assertSame(`operand ${k} after ${operation.name}`, after[k] ?? [], values);
    }
  });
}

/** Same input, same backend: same bits. */
async function deterministic(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend);
  const [first, second] = await Promise.all([
    evaluate(backend, operation, problem),
    evaluate(backend, operation, problem),
  ]);
  assertSame(`${operation.name}, the second time`, second, first);
}

/** An operation over axis k equals the one over the last axis of the transposed operands; a negative axis counts from the end. */
async function axisEqualsTransposed(backend: Backend, operation: Operation): Promise<void> {
  const shape = [2, 3, 4];
  const overAxis = (axis: number) => {
    const problem = problemIn(backend, { shape, axis, input: 'spread' });
    const { expected, tolerance } = expectation(backend, operation, problem);
    return withTensors(backend, operation, problem, async (tensors, options) => {
      const negative = axis - shape.length;
      const result = await take(operation.apply(tensors, { ...options, axis: negative }, problem));
      assertClose(`${operation.name} over axis ${negative} of 2x3x4`, result, expected, tolerance);
    });
  };
  await Promise.all([0, 1, 2].map(overAxis));
}

/** softmax(x + c) = softmax(x), logSumExp(x + c) = logSumExp(x) + c: multiples of 1/8 and c = 96, so that x + c is exact. */
async function shift(backend: Backend, operation: Operation): Promise<void> {
  const plain = problemIn(backend, { shape: [3, 7] });
  const original = { ...plain, values: plain.values.map((value) => Math.round(value * 8) / 8) };
  const moved = { ...original, values: original.values.map((value) => value + 96) };
  const { expected, tolerance } = expectation(backend, operation, moved);
  const [before, after] = await Promise.all([
    evaluate(backend, operation, original),
    evaluate(backend, operation, moved),
  ]);
  const change = shifts[operation.name] === 'adds' ? 96 : 0;
  assertClose(`${operation.name} of logits + 96`, after, expected, tolerance);
  const both = tolerance.length === before.length ? Array.from(tolerance, (value) => 2 * value) : tolerance;
  assertClose(
    `${operation.name} of logits and of logits + 96`,
    after,
    before.map((value) => value + change),
    both,
  );
}

/** A derivative uses the axis, temperature and mask of the call that made its operand, and refuses options that contradict them. */
async function remembersItsCall(backend: Backend, operation: Operation): Promise<void> {
  const options = { shape: [2, 3, 4], axis: 1, input: 'spread', temperature: 2, mask: 'full' } as const;
  const problem = problemIn(backend, options);
  await withTensors(backend, operation, problem, async ([, ...directions], said) => {
    const { shape, dtype, values } = problem;
    const x = tensor(values, { shape, dtype, backend });
    const y = operation.forward?.(x, said) ?? x;
    const copy = tensor(await y.data(), { shape, dtype, backend });
    const [remembered, told] = await Promise.all([
      take(operation.apply([y, ...directions], {}, problem)),
      take(operation.apply([copy, ...directions], said, problem)),
    ]);
    assertSame(
      `${operation.name} of an operand that remembers its options, compared with explicit options`,
      remembered,
      told,
    );
    const repeated = await take(operation.apply([y, ...directions], said, problem));
    assertSame(`${operation.name} of an operand that remembers its options, given explicitly as well`, repeated, told);
    for (const wrong of [{ axis: 0 }, { temperature: 3 }, { mask: { data: [true], shape: [1] } }]) {
      const what = `${operation.name} with another ${Object.keys(wrong)[0]} than in the call that made its operand`;
      await assertThrows(what, 'ERR_VALUE', () => operation.apply([y, ...directions], wrong, problem));
    }
    for (const made of [x, y, copy]) made.dispose();
  });
}

function takesMaskedDirection(operation: Operation): boolean {
  return operation.takes.includes('mask') && maskedDirectionsOf(operation).length > 0;
}

/** Which operands are directions: cotangents or tangents with an entry for each logit. */
function maskedDirectionsOf({ member, family }: Operation): readonly number[] {
  const isByRow = family === 'log-sum-exp' || family === 'cross-entropy';
  if (isSecond(member)) return isByRow ? [2] : [1, 2];
  if (member === 'vjp') return isByRow ? [] : [1];
  return member === 'jvp' ? [1] : [];
}

/** A cotangent or tangent has no effect at masked entries, even if it is NaN there. */
async function maskedDirections(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend, { shape: [4, 6], input: 'spread', mask: 'full' });
  const others = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  await withTensors(backend, operation, problem, async (tensors, options) => {
    const { shape, dtype, parameters } = problem;
    const directions = maskedDirectionsOf(operation);
    const wild = await Promise.all(
      tensors.map(async (operand, k) => {
        if (!directions.includes(k)) return operand;
        const values = (await operand.data()).map((value, i) => (parameters.mask?.[i] ? value : cycled(others, i)));
        return tensor(values, { shape, dtype, backend });
      }),
    );
    const result = (operands: readonly Tensor[]) => take(operation.apply(operands, options, problem));
    const [expected, actual] = await Promise.all([result(tensors), result(wild)]);
    for (const operand of wild) if (!tensors.includes(operand)) operand.dispose();
    assertSame(`${operation.name} with NaN and infinities where the mask is 0`, actual, expected);
  });
}

async function fusedEqualsComposed(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend, { shape: [3, 7], input: 'spread' });
  const { tolerance } = expectation(backend, operation, problem);
  const [fused, composed] = await Promise.all([
    evaluate(backend, operation, problem),
    evaluate(withoutKernels(backend), operation, problem),
  ]);
  assertClose(
    `${operation.name}, fused compared with composed`,
    fused,
    composed,
    Array.from(tolerance, (value) => 2 * value),
  );
}

/** A disposed operand or out is refused before anything is allocated. */
async function usedAfterDispose(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend);
  await withEachOperand(backend, operation, problem, async (operand, k, tensors, options) => {
    operand.dispose();
    await assertThrows(`${operation.name} of a disposed operand ${k}`, 'ERR_DISPOSED', () =>
      operation.apply(tensors, options, problem),
    );
  });
  await withTensors(backend, operation, problem, async (tensors, options) => {
    const out = operation.apply(tensors, options, problem);
    out.dispose();
    out.dispose();
    assert(out.disposed, `${operation.name}: a disposed result does not say so`);
    await assertThrows(`${operation.name} into a disposed out`, 'ERR_DISPOSED', () =>
      operation.apply(tensors, { ...options, out }, problem),
    );
    await assertThrows('data of a disposed result', 'ERR_DISPOSED', () => out.data());
  });
}

/** Two backends can be used side by side; tensors of both in one call are refused. */
async function backendMismatch(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend);
  const other = await exact.open();
  await withTensors(backend, operation, problem, (here, options) =>
    withTensors(other, operation, problem, async (there) => {
      for (const [k, elsewhere] of there.entries()) {
        if (k === 0) continue;
        const mixed = here.map((operand, i) => (i === k ? elsewhere : operand));
        await assertThrows(`${operation.name} with operand ${k} elsewhere`, 'ERR_BACKEND_MISMATCH', () =>
          operation.apply(mixed, options, problem),
        );
      }
      const out = operation.apply(there, options, problem);
      await assertThrows(`${operation.name} with out elsewhere`, 'ERR_BACKEND_MISMATCH', () =>
        operation.apply(here, { ...options, out }, problem),
      );
    }),
  );
  await other.close();
}

/** Wrong dtypes, shapes and axes throw errors with the documented codes. */
async function wrongOperands(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend);
  await withTensors(backend, operation, problem, async (tensors, options) => {
    const integers = tensor(new Int32Array(12), { shape: [3, 4], backend });
    const longer = tensor(new Float32Array(15), { shape: [3, 5], dtype: problem.dtype, backend });
    await assertThrows(`${operation.name} of integers`, 'ERR_DTYPE', () =>
      operation.apply([integers, ...tensors.slice(1)], options, problem),
    );
    for (let k = 1; k < tensors.length; k++) {
      const mixed = tensors.map((operand, i) => (i === k ? longer : operand));
      await assertThrows(`${operation.name} with operand ${k} of another shape`, 'ERR_SHAPE', () =>
        operation.apply(mixed, options, problem),
      );
    }
    await assertThrows(`${operation.name} into an out of another shape`, 'ERR_SHAPE', () =>
      operation.apply(tensors, { ...options, out: longer }, problem),
    );
    for (const axis of operation.takes.includes('axis') ? [2, -3, 0.5] : []) {
      await assertThrows(`${operation.name} over axis ${axis}`, 'ERR_AXIS', () =>
        operation.apply(tensors, { ...options, axis }, problem),
      );
    }
    for (const temperature of operation.takes.includes('temperature') ? [0, -1, Number.NaN] : []) {
      await assertThrows(`${operation.name} at temperature ${temperature}`, 'ERR_VALUE', () =>
        operation.apply(tensors, { ...options, temperature }, problem),
      );
    }
    for (const mask of operation.takes.includes('mask') ? [{ data: new Uint8Array(5), shape: [5] }] : []) {
      await assertThrows(`${operation.name} with a mask of another shape`, 'ERR_SHAPE', () =>
        operation.apply(tensors, { ...options, mask }, problem),
      );
    }
    integers.dispose();
    longer.dispose();
  });
}

/** No rows: the result is empty, and no kernel is called. */
async function empty(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend, { shape: [0, 4] });
  const { expected } = statedFor(operation, problem);
  assertSame(`${operation.name} of 0x4`, await evaluate(backend, operation, problem), expected);
}
