import { type Backend, fromBuffer } from '../../../src/index.js';
import { assertSame } from '../../check.js';
import { plain, upload } from '../../kernel.js';
import type { Operand, Operation } from '../../operations/operation.js';
import { callOptions, checkValues, problemOf, requirementsOf, statedFor, tensorsOf } from '../../problem.js';
import type { ProblemStatement } from '../../statement.js';
import { checkEach } from '../../sweep.js';
import { type Law, problemIn, take } from './law.js';

/** A result depends on the operands and options of its own call, and on nothing else. */
export const stateLaws: readonly Law[] = [
  {
    name: 'calls-in-turn',
    composable: false,
    requires(operation) {
      const needs = callsOf(operation).map((statement) => requirementsOf(operation, problemOf(statement)));
      const kernels = needs.flatMap(({ kernel }) => (kernel === undefined ? [] : [kernel]));
      const [kernel = undefined] = [...kernels.filter((name) => name === null), ...kernels];
      const features = needs.flatMap((need) => need.features ?? []).slice(0, 1);
      return { ...(kernel !== undefined && { kernel }), ...(features.length > 0 && { features }) };
    },
    // The members of `linearize` are other operations under another name.
    appliesTo: ({ takes, member }) => takes.includes('temperature') && member !== 'diagonal' && member !== 'to-dense',
    run: callsInTurn,
  },
  {
    name: 'one-tensor-for-all-operands',
    composable: false,
    appliesTo: (operation) => directionsLikeLogits(operation) > 0,
    run: oneTensorForAll,
  },
];

/** Calls with and without a mask and a temperature, of the same rows and of others with the same number of elements. */
function callsOf({ takes }: Operation): readonly ProblemStatement[] {
  const mask = takes.includes('mask') ? ({ mask: 'row' } as const) : {};
  const rows = { shape: [4, 6], axis: 1, input: 'narrow' } as const;
  return [
    { ...rows, ...mask, input: 'ramp' },
    rows,
    { ...rows, ...mask, temperature: 3 },
    { ...rows, temperature: 3 },
    { ...rows, input: 'ramp' },
    { ...rows, shape: [6, 4] },
    { ...rows, axis: 0 },
    rows,
  ];
}

/** Every call is enqueued before the first result is read: no call may use what another one was given. */
async function callsInTurn(backend: Backend, operation: Operation): Promise<void> {
  const calls = callsOf(operation).map((statement) => problemIn(backend, statement));
  await checkEach(
    [...calls.keys()],
    (k) => `call ${k + 1} of ${calls.length}`,
    async (k) => {
      const problem = calls[k];
      if (problem !== undefined) await checkValues(backend, operation, problem);
    },
  );
  await overwrittenInTurn(backend, operation);
}

/** What a kernel wrote over an operand counts at the next call: results that are kept must not outlive what they were computed from. */
async function overwrittenInTurn(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend, {});
  const { operands } = statedFor(operation, problem);
  const { dtype, rows, values } = problem;
  const other = upload(backend, { values: values.toReversed(), dtype });
  const isLikeLogits = operands.map(({ shape }) => shape.join() === problem.shape.join());
  const buffers = operands.map((operand, k) =>
    isLikeLogits[k] ? upload(backend, { values: operand.values, dtype }) : null,
  );
  /** Tensors over buffers, because core may refuse numbers from the host that no function has as its output. */
  const over = (given: readonly Operand[], on: readonly unknown[]) =>
    given.flatMap((operand, k) =>
      isLikeLogits[k] ? fromBuffer(backend, on[k], operand.shape, dtype) : tensorsOf(backend, [operand], problem),
    );
  const tensors = over(operands, buffers);
  const options = callOptions(operation, problem);
  const first = take(operation.apply(tensors, options, problem));
  for (const buffer of buffers) if (buffer !== null) backend.softmax(buffer, other, rows, plain);
  const [, second] = await Promise.all([first, take(operation.apply(tensors, options, problem))]);
  const current = await Promise.all(
    tensors.map(
      async (one, k): Promise<Operand> => ({
        ...operands[k],
        values: Float64Array.from(await one.data()),
        shape: one.shape,
      }),
    ),
  );
  const fresh = over(
    current,
    current.map((operand, k) => (isLikeLogits[k] ? upload(backend, { values: operand.values, dtype }) : null)),
  );
  assertSame(
    `${operation.name} of an operand that a kernel wrote over`,
    second,
    await take(operation.apply(fresh, options, problem)),
  );
  for (const made of [...tensors, ...fresh]) made.dispose();
  backend.free(other);
}

/** How many operands after the first one have an entry for each logit. */
function directionsLikeLogits({ member, family }: Operation): number {
  const isByRow = family === 'log-sum-exp' || family === 'cross-entropy';
  if (member === 'hvp' || member === 'double-backward') return isByRow ? 1 : 2;
  if (member === 'jvp') return 1;
  return member === 'vjp' && !isByRow ? 1 : 0;
}

/** The same tensor as every operand with an entry for each logit, and as `out`, gives the same bits as separate tensors of the same values. */
async function oneTensorForAll(backend: Backend, operation: Operation): Promise<void> {
  for (const statement of [{}, { shape: [5, 17] }]) {
    const problem = problemIn(backend, statement);
    const { operands } = statedFor(operation, problem);
    const isTarget = (k: number) => operation.name.endsWith('[tensor]') && k === operands.length - 1;
    const isLikeFirst = operands.map(
      ({ shape, dtype }, k) => dtype === undefined && !isTarget(k) && shape.join() === problem.shape.join(),
    );
    const [first] = operands;
    const equal = operands.map((operand, k) => (isLikeFirst[k] && first ? first : operand));
    const apart = tensorsOf(backend, equal, problem);
    const [one] = tensorsOf(backend, equal.slice(0, 1), problem);
    if (one === undefined) return;
    const together = apart.map((operand, k) => (isLikeFirst[k] ? one : operand));
    const options = callOptions(operation, problem);
    const [expected, actual] = await Promise.all([
      take(operation.apply(apart, options, problem)),
      take(operation.apply(together, options, problem)),
    ]);
    assertSame(`${operation.name} with one tensor for several operands`, actual, expected);
    if (expected.length === problem.values.length) {
      operation.apply(together, { ...options, out: one }, problem);
      assertSame(`${operation.name} with one tensor for several operands and out`, await one.data(), expected);
    }
    for (const made of [one, ...apart]) made.dispose();
  }
}
