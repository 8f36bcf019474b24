import { rowIndices } from '../../../reference/functions.js';
import type { Backend, HostArray } from '../../../src/index.js';
import { assert, assertClose } from '../../check.js';
import { cotangents } from '../../inputs.js';
import { allOperations } from '../../operations/all.js';
import type { Operation } from '../../operations/operation.js';
import { operationPrecision } from '../../precision.js';
import { callOptions, expectation, statedFor, tensorsOf } from '../../problem.js';
import type { Problem } from '../../statement.js';
import { type Law, problemIn, spread } from './law.js';

/** The second derivatives. */
export const hvpLaws: readonly Law[] = [
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
    name: 'hvp-of-an-offset',
    composable: true,
    appliesTo: (operation) => isHvp(operation) && operation.takes.includes('temperature'),
    run: (backend, operation) =>
      hvpOfOffset(backend, operation, problemIn(backend, { shape: [3, 7], input: 'narrow' })),
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
];

function isHvp({ member }: Operation): boolean {
  return member === 'hvp';
}

/** The operands of an hvp: the point at which it is taken, the cotangent, the tangent, and the target if it is a tensor. */
const cotangentAt = 1;
const tangentAt = 2;

/** An hvp along a given tangent, with its bound. */
function along(backend: Backend, operation: Operation, problem: Problem, tangent: Float64Array) {
  return withOperands(backend, operation, problem, (values, k) => (k === tangentAt ? tangent : values));
}

/** An hvp of operands that are moved without a change of the result: what is expected and its bound are those before. */
async function withOperands(
  backend: Backend,
  operation: Operation,
  problem: Problem,
  given: (values: Float64Array, k: number) => Float64Array,
  move: (values: Float64Array, k: number) => Float64Array = (values) => values,
) {
  const stated = statedFor(operation, problem).operands.map((operand, k) => ({
    ...operand,
    values: given(operand.values, k),
  }));
  const before = stated.map(({ values }) => values);
  const expected = operation.expected(before, problem);
  const precision = operationPrecision(backend.supports, problem.dtype);
  const tolerance = operation.tolerance(precision, before, expected, problem);
  const operands = stated.map((operand, k) => ({ ...operand, values: move(operand.values, k) }));
  const tensors = tensorsOf(backend, operands, problem);
  const result = operation.apply(tensors, callOptions(operation, problem), problem);
  try {
    return { result: await result.data(), expected, tolerance };
  } finally {
    for (const made of [result, ...tensors]) made.dispose();
  }
}

/** ⟨u, H v⟩ = ⟨v, H u⟩ over each row. */
async function hvpSymmetric(backend: Backend, operation: Operation, problem: Problem): Promise<void> {
  const { values, dtype, rows } = problem;
  const u = cotangents(values.length, dtype, 2, 'one');
  const v = cotangents(values.length, dtype, 2, 'other');
  const [ofU, ofV] = await Promise.all([along(backend, operation, problem, u), along(backend, operation, problem, v)]);
  const indices = rowIndices(rows);
  const inner = (a: ArrayLike<number>, b: ArrayLike<number>) =>
    indices.map((at) => at.reduce((sum, i) => sum + (a[i] ?? Number.NaN) * (b[i] ?? Number.NaN), 0));
  const size = (a: ArrayLike<number>, b: ArrayLike<number>) => inner(Array.from(a, Math.abs), Array.from(b, Math.abs));
  const left = size(u, ofV.tolerance);
  const right = size(v, ofU.tolerance);
  assertClose(
    `⟨u, H v⟩ of ${operation.name}, compared with ⟨v, H u⟩`,
    inner(u, ofV.result),
    inner(v, ofU.result),
    left.map((error, r) => error + (right[r] ?? Number.NaN)),
  );
}

/** H · 1 = 0: adding a constant to all logits changes no derivative. */
async function hvpOfShift(backend: Backend, operation: Operation, problem: Problem): Promise<void> {
  const { result, tolerance } = await along(
    backend,
    operation,
    problem,
    new Float64Array(problem.values.length).fill(1),
  );
  assertClose(`${operation.name} along a tangent of ones`, result, new Float64Array(result.length), tolerance);
}

/**
 * H (t + c) = H t, as accurately as without c, because t + c is exact: multiples of 1/8 with a constant that leaves no more digits for them.
 * No probability is above ½. softmax.hvp and softmin.hvp do not depend on a constant in the cotangent, either.
 */
async function hvpOfOffset(backend: Backend, operation: Operation, problem: Problem): Promise<void> {
  const offset = offsets[problem.dtype];
  const isDirection = (k: number) => k === tangentAt || (k === cotangentAt && /^soft(max|min)\./.test(operation.name));
  const { result, expected, tolerance } = await withOperands(
    backend,
    operation,
    problem,
    (values, k) => (isDirection(k) ? values.map((value) => Math.round(value * 8) / 8) : values),
    (values, k) => (isDirection(k) ? values.map((value) => value + offset) : values),
  );
  assertClose(`${operation.name} of directions + ${offset}`, result, expected, tolerance);
}

const offsets = { float16: 96, float32: 2 ** 20, float64: 2 ** 48 } as const;

/** The derivative of the reference's vjp along the tangent: Richardson's extrapolation of central differences, accurate to 1e-9 of its size. */
async function hvpEqualsDifferences(backend: Backend, operation: Operation, problem: Problem): Promise<void> {
  const [, cotangent, tangent] = statedFor(operation, problem).operands;
  assert(cotangent !== undefined && tangent !== undefined, `${operation.name} takes no cotangent and tangent`);
  const { result, tolerance } = await along(backend, operation, problem, tangent.values);
  const vjp = namedAs(operation.name.replace('.hvp', '.vjp'));
  const isOfLogits = vjp.operands(problem).at(0)?.values === problem.values;
  const forward = (x: Float64Array) => (isOfLogits ? x : namedAs(vjp.name.replace('.vjp', '')).expected([x], problem));
  const at = (h: number) =>
    vjp.expected([forward(moved(problem.values, tangent.values, h)), cotangent.values], problem);
  const slope = (h: number) => {
    const before = at(-h);
    return at(h).map((value, i) => (value - (before[i] ?? Number.NaN)) / (2 * h));
  };
  const [coarse, fine] = [slope(step), slope(step / 2)];
  const differences = fine.map((value, i) => (4 * value - (coarse[i] ?? Number.NaN)) / 3);
  const largest = differences.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  // The operand of the hvp is rounded; the function's output in the differences is not.
  assertClose(
    `${operation.name}, compared with differences of ${vjp.name}`,
    result as HostArray,
    differences,
    Array.from(tolerance, (bound) => 2 * bound + 1e-9 * largest),
  );
}

/**
 * The vjp of the double backward equals the hvp: both are the gradient of ⟨h, vjp(s, g)⟩ with respect to the logits. The double backward rounds
 * its result in between, so the bound is that of the vjp at the rounded operand plus the effect of that operand's error.
 */
async function doubleBackwardMakesHvp(backend: Backend, operation: Operation, problem: Problem): Promise<void> {
  const vjp = namedAs(operation.name.replace('.doubleBackward', '.vjp'));
  const hvp = namedAs(operation.name.replace('.doubleBackward', '.hvp'));
  const { operands } = statedFor(operation, problem);
  const [s] = operands;
  assert(s !== undefined, `${operation.name} takes no probabilities`);
  const tensors = tensorsOf(backend, operands, problem);
  const options = callOptions(operation, problem);
  const precision = operationPrecision(backend.supports, problem.dtype);
  const between = operation.apply(tensors, options, problem);
  const result = vjp.apply([...tensors.slice(0, 1), between], options, problem);
  try {
    const given = Float64Array.from(await between.data());
    const errors = expectation(backend, operation, problem).tolerance;
    const ofVjp = vjp.tolerance(precision, [s.values, given], vjp.expected([s.values, given], problem), problem);
    const { expected } = expectation(backend, hvp, problem);
    // |J| times the errors of the operand, row by row: s_i (e_i + ⟨s, e⟩) / T.
    const { temperature = 1 } = problem.parameters;
    const carried = new Float64Array(given.length);
    for (const at of rowIndices(problem.rows)) {
      const mean = at.reduce((sum, i) => sum + (s.values[i] ?? Number.NaN) * (errors[i] ?? Number.NaN), 0);
      for (const i of at) {
        carried[i] = ((s.values[i] ?? Number.NaN) * ((errors[i] ?? Number.NaN) + mean)) / Math.abs(temperature);
      }
    }
    assertClose(
      `${vjp.name} of ${operation.name}, compared with ${hvp.name}`,
      await result.data(),
      expected,
      carried.map((error, i) => error + 2 * (ofVjp[i] ?? Number.NaN)),
    );
  } finally {
    for (const made of [between, result, ...tensors]) made.dispose();
  }
}

/** Logits moved along a tangent. */
function moved(x: Float64Array, tangent: Float64Array, h: number): Float64Array {
  return x.map((value, i) => value + h * (tangent[i] ?? Number.NaN));
}

/** Its error is of order h⁴ + ε/h. */
const step = 2 ** -10;

function namedAs(name: string): Operation {
  const found = allOperations.find((operation) => operation.name === name);
  if (!found) throw new Error(`unknown operation '${name}'`);
  return found;
}
