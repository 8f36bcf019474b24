import { describe, expect, test } from 'vitest';
import { type Form, sizeOfKind } from '../src/form.js';
import type { ProblemInput } from '../src/input.js';
import { rightJacobian, rightProduct } from '../src/mistakes/right.js';
import { rightLoss } from '../src/mistakes/right-loss.js';
import { byIndex } from '../src/numbers.js';
import { readProblem } from '../src/problem.js';
import { softmax } from './attempts.js';
import { normal } from './random.js';

/**
 * Of inputs that were printed with few digits, every result is known within a bound only. The bound must allow for the worst that rounding to these digits
 * can do to all inputs at once, and must not be much larger: then it would excuse mistakes.
 */

const rows = 2;
const classes = 4;
/** Half of the last of 3 decimals. */
const half = 0.0005;

type Operand = 'logits' | 'probabilities' | 'confident' | 'upstream' | 'target';
type Matrix = readonly (readonly number[])[];

function matrix(seed: number, size: number): Matrix {
  const next = normal(seed);
  return Array.from({ length: rows }, () => Array.from({ length: classes }, () => Number((size * next()).toFixed(3))));
}
const printed = (values: Matrix): Matrix => values.map((row) => row.map((value) => Number(value.toFixed(3))));
const logits = matrix(1, 1);
const operands: Readonly<Record<Operand, Matrix>> = {
  logits,
  probabilities: [
    [0.245, 0.128, 0.335, 0.292],
    [0.412, 0.287, 0.052, 0.249],
  ],
  confident: [
    [0.905, 0.021, 0.033, 0.041],
    [0.112, 0.087, 0.752, 0.049],
  ],
  upstream: matrix(2, 1),
  target: printed(softmax(matrix(3, 1), 1, (value) => value)),
};

/** The numbers of a form, and how far they may be off. */
function given(form: Form, input: ProblemInput) {
  const problem = readProblem(input);
  const [candidate] = form.gives(problem);
  if (!candidate) throw new Error('the form gives nothing');
  const { values, open } = candidate;
  const size = sizeOfKind(form.kind, problem);
  const numbers = (of: typeof values) => Array.from({ length: size }, (_, k) => byIndex(of)(k));
  return { values: numbers(values), open: open ? numbers(open) : null };
}

/** The sum of what each of the operands' numbers can change, by the half of a digit. */
function worst(
  form: Form,
  input: ProblemInput,
  names: readonly Operand[],
  nameOf = (name: Operand) => String(name),
): number[] {
  const { values } = given(form, input);
  const sum = values.map(() => 0);
  for (const name of names) {
    for (let k = 0; k < rows * classes; k++) {
      const changed = (by: number) =>
        operands[name].map((row, n) => row.map((value, i) => value + (n * classes + i === k ? by : 0)));
      const up = given(form, { ...input, [nameOf(name)]: changed(half) }).values;
      const down = given(form, { ...input, [nameOf(name)]: changed(-half) }).values;
      values.forEach((value, i) => {
        sum[i] += Math.max(Math.abs(up[i] - value), Math.abs(down[i] - value));
      });
    }
  }
  return sum;
}

const layers = [undefined, 'sigmoid', 'log-softmax'] as const;
const settings = layers.flatMap((layer) =>
  [0.5, 1, 2].flatMap((temperature) =>
    (layer === undefined && temperature === 1 ? (['logits', 'probabilities'] as const) : (['logits'] as const)).map(
      (signal) => ({ layer, temperature, signal }),
    ),
  ),
);

const withOptions = [
  ['that with label smoothing', rightLoss, ['target'], { labelSmoothing: 0.2 }, false],
  ['that with class weights', rightLoss, ['target'], { weight: [0.5, 2, 1, 1.5], reduction: 'sum' }, false],
] as const;

describe.each(settings)(
  'of layer $layer at temperature $temperature, with $signal',
  ({ layer, temperature, signal }) => {
    const more = { temperature, ...(layer && { layer }), [signal]: operands[signal] } as ProblemInput;
    test.each([
      ['the product', rightProduct, ['upstream'], {}, false],
      ['the Jacobian', rightJacobian, [], {}, layer === 'log-softmax'],
      ['the gradient of a loss', rightLoss, ['target'], {}, layer === 'sigmoid'],
      ['that of a mean', rightLoss, ['target'], { reduction: 'mean' }, layer === 'sigmoid'],
      ...(layer === 'sigmoid' ? [] : withOptions),
    ] as const)('%s may be off by what rounding can do, and not by much more', (_, form, others, options, isExact) => {
      const input = { ...more, ...options, ...Object.fromEntries(others.map((name) => [name, operands[name]])) };
      const { open } = given(form, input);
      const most = worst(form, input, [signal, ...others]);
      if (!open) throw new Error('the results are not known within a bound');
      // Entries that no operand changes are known exactly.
      expect(open.map((value) => value === 0)).toEqual(most.map((value) => value === 0));
      const shares = most.map((value, k) => value / open[k]).filter((share) => !Number.isNaN(share));
      expect(Math.max(...shares)).toBeLessThanOrEqual(1);
      expect(Math.max(...shares)).toBeGreaterThan(0.25);
      // A hundredth is for products of errors.
      if (isExact) expect(Math.min(...shares)).toBeGreaterThan(0.98);
    });
  },
);

test('the Jacobian of printed probabilities above ½, whose diagonal is computed from the other entries', () => {
  const input = { probabilities: operands.confident };
  const { open } = given(rightJacobian, input);
  if (!open) throw new Error('the Jacobian is not known within a bound');
  const shares = worst(rightJacobian, input, ['confident'], () => 'probabilities').map((value, k) => value / open[k]);
  expect(Math.max(...shares)).toBeLessThanOrEqual(1);
  expect(Math.min(...shares)).toBeGreaterThan(0.25);
});

test('results of inputs with all their digits are not open', () => {
  const more = { logits: logits.map((row) => row.map((value) => value * Math.PI)), upstream: matrix(5, Math.E) };
  const exact = { ...more, upstream: more.upstream.map((row) => row.map((value) => value / 3)) };
  expect(given(rightProduct, exact).open).toBeNull();
  // One operand with few digits is enough.
  expect(given(rightProduct, { ...exact, upstream: operands.upstream }).open).not.toBeNull();
  expect(given(rightProduct, { ...exact, logits }).open).not.toBeNull();
});
