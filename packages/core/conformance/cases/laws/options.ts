import { type Backend, type Tensor, tensor } from '../../../src/index.js';
import type { Requirements } from '../../case.js';
import { assertSame, assertThrows } from '../../check.js';
import { cycled, largestFinite } from '../../inputs.js';
import { isSecond, type Operation } from '../../operations/operation.js';
import { callOptions, statedFor, tensorsOf } from '../../problem.js';
import { isRowwise } from '../trial.js';
import { ieee, type Law, problemIn, take, withTensors } from './law.js';

/** A derivative respects the axis, the temperature and the mask. */
export const optionLaws: readonly Law[] = [
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
    requires: ofMasked,
    appliesTo: takesMaskedDirection,
    run: maskedDirections,
  },
  {
    name: 'masked-entries',
    composable: true,
    requires: ofMasked,
    appliesTo: ({ takes, member, family }) =>
      takes.includes('mask') && member !== 'values' && !isRowwise(family, member),
    run: maskedEntries,
  },
];

/** One kernel of a derivative takes the mask; core composes it for the others. */
function ofMasked({ family, member }: Operation): Requirements {
  const isVjp = (family === 'softmax' || family === 'softmin') && (member === 'vjp' || member === 'jvp');
  return { kernel: isVjp ? 'maskedVjp' : null, ...ieee };
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

/** A derivative is 0 at masked entries, and in the rows of a Jacobian for them, whatever its operands are at the entries that the mask keeps. */
async function maskedEntries(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend, { shape: [4, 6], input: 'spread', mask: 'full' });
  const { values, dtype, parameters, rows } = problem;
  const isMasked = (i: number) => parameters.mask?.[i] === 0;
  // The sum of several of the largest number overflows.
  const others = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, largestFinite[dtype]];
  const { operands } = statedFor(operation, problem);
  const isTarget = (k: number) => operation.name.endsWith('[tensor]') && k === operands.length - 1;
  for (const [k, operand] of operands.entries()) {
    for (const other of isTarget(k) ? [] : others) {
      const isByRow = operand.values.length !== values.length;
      const wild = { ...operand, values: operand.values.map((value, i) => (!isByRow && isMasked(i) ? value : other)) };
      const tensors = tensorsOf(
        backend,
        operands.map((given, i) => (i === k ? wild : given)),
        problem,
      );
      const result = await take(operation.apply(tensors, callOptions(operation, problem), problem));
      for (const made of tensors) made.dispose();
      const perEntry = result.length > values.length ? rows.classes : 1;
      const ofMasked = result.filter((_, i) => isMasked(Math.floor(i / perEntry)));
      const what = `${operation.name} at masked entries, with ${other} elsewhere in operand ${k}`;
      assertSame(what, ofMasked, new Float64Array(ofMasked.length));
    }
  }
}
