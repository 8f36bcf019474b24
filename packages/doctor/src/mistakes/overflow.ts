import { at } from '../at.js';
import { rangeOf } from '../compare.js';
import { cotangents, lossFactors } from '../cotangents.js';
import { candidate } from '../define-form.js';
import { vjp } from '../derivatives.js';
import type { Candidate, Form, Mistake } from '../form.js';
import { dividedBy } from '../formula.js';
import { innerProducts, rowMaxima } from '../host-softmax.js';
import { each, entries } from '../numbers.js';
import { oncePerProblem } from '../once-per-problem.js';
import type { Problem } from '../problem.js';

/** Mistakes by which exp overflows or underflows, so that NaN or infinities appear in predictable rows. */

interface Precision {
  readonly name: string;
  round(value: number): number;
}

const precisions: readonly Precision[] = [
  { name: 'float64', round: (value) => value },
  { name: 'float32', round: Math.fround },
];

/** What is subtracted from the logits before exp, by index. */
interface Shift {
  readonly written: string;
  /** True if no row can overflow or vanish, judged by the minimum and maximum over the rows of each row's largest exponent. */
  inRange(exponents: { readonly least: number; readonly most: number }, f: number): boolean;
  of(x: Float64Array, problem: Problem): (k: number) => number;
}

const noShift: Shift = {
  written: 's without the shift',
  inRange: ({ least, most }, f) => most < largestExponent - Math.log(f) && least > leastExponent,
  of: () => () => 0,
};

/** True if the largest entry of every row is so close to the shift that its exponential does not vanish. */
function areNear({ least, most }: { readonly least: number; readonly most: number }): boolean {
  return least - most > leastExponent;
}

const batchShifts: readonly Shift[] = [
  {
    written: 's shifted by the largest logit of the batch',
    inRange: areNear,
    of: (x) => {
      const largest = largestValue(x);
      return () => largest;
    },
  },
  {
    written: "s shifted by each column's largest logit",
    inRange: areNear,
    of: (x, { f }) => {
      const largest = new Float64Array(f).fill(Number.NEGATIVE_INFINITY);
      for (let first = 0; first < x.length; first += f) {
        for (let i = 0; i < f; i++) largest[i] = Math.max(at(largest, i), at(x, first + i));
      }
      return (k) => at(largest, k % f);
    },
  },
];

function largestValue(x: Float64Array): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const value of x) most = Math.max(most, value);
  return most;
}

/** The rows in which a mistake overflows or underflows in some precision. */
interface BrokenRows {
  readonly id: string;
  readonly formula: string;
  readonly rows: ReadonlySet<number>;
}

/**
 * The rows that overflow or underflow: by exp(x / T) without a shift or with the shift of another row, or by a division by a
 * probability that is rounded to 0. One list for each cause, float64 first; empty lists are left out.
 */
export function brokenRows(problem: Problem): readonly BrokenRows[] {
  const { s, y, g, f } = problem;
  return precisions
    .flatMap((precision) => {
      const { name, round } = precision;
      const lost = new Set<number>();
      (y ?? g)?.forEach((value, k) => {
        if (value !== 0 && round(at(s, k)) === 0) lost.add(Math.floor(k / f));
      });
      return [
        { id: underflow.id, formula: `s of the ${y ? 'target' : 'upstream'} is 0 in ${name}`, rows: lost },
        { id: missingMaxShift.id, formula: `exp(x) leaves ${name}`, rows: brokenBy(problem, precision, noShift) },
        ...batchShifts.map((shift) => ({
          id: batchMaxShift.id,
          formula: `${shift.written} leaves ${name}`,
          rows: brokenBy(problem, precision, shift),
        })),
      ];
    })
    .filter(({ rows }) => rows.size > 0);
}

function brokenBy(problem: Problem, precision: Precision, shift: Shift): ReadonlySet<number> {
  const { f } = problem;
  const broken = new Set<number>();
  for (const { s } of shiftedSoftmaxes(problem, shift, [precision])) {
    for (let first = 0; first < s.length; first += f) {
      if (!isDistribution(s.subarray(first, first + f))) broken.add(first / f);
    }
  }
  return broken;
}

function isDistribution(s: Float64Array): boolean {
  let sum = 0;
  for (const value of s) sum += value;
  return sum > 0.5 && sum < 1.5;
}

/** exp((x − shift) / T) / Σ exp((x − shift) / T) in each of the precisions in which a row overflows or underflows. */
function shiftedSoftmaxes(
  problem: Problem,
  shift: Shift,
  inPrecisions: readonly Precision[] = precisions,
): readonly { readonly s: Float64Array; readonly name: string }[] {
  const { x } = problem;
  const exponents = exponentsOf(problem);
  if (!x || !exponents || shift.inRange(exponents, problem.f)) return [];
  const by = shift.of(x, problem);
  return inPrecisions.flatMap((precision) => {
    const s = shiftedSoftmax(problem, x, precision, by);
    return s ? [{ s, name: precision.name }] : [];
  });
}

function shiftedSoftmax(
  problem: Problem,
  x: Float64Array,
  { round }: Precision,
  by: (k: number) => number,
): Float64Array | null {
  const { n, f, temperature, masked } = problem;
  const s = x.map((value, k) => round(Math.exp((value - by(k)) / temperature)));
  let broken = false;
  for (let first = 0; first < n * f; first += f) {
    const sum = s.subarray(first, first + f).reduce((total, value) => round(total + value), 0);
    // A row in which every entry is masked is 0 without any mistake.
    if (sum === 0 && masked && !masked.keep.subarray(first, first + f).includes(1)) continue;
    broken ||= sum === 0 || sum === Number.POSITIVE_INFINITY;
    for (let k = first; k < first + f; k++) s[k] = at(s, k) / sum;
  }
  return broken ? s : null;
}

/** The range of exponents in which a sum of exponentials neither overflows nor underflows in float32. */
const largestExponent = 88;
const leastExponent = -87;

/** The least and the greatest of the rows' largest x / T; null if the logits are not known. */
const exponentsOf = oncePerProblem(
  ({ x, n, f, temperature }) => x && rangeOf(rowMaxima(x, n, f).map((value) => value / temperature)),
);

/** The correct formulas, computed from a softmax that overflowed or underflowed. */
function brokenForms(shifts: readonly Shift[], expressions: readonly string[]): readonly Form[] {
  const softmaxes = (problem: Problem) =>
    shifts.flatMap((shift) =>
      shiftedSoftmaxes(problem, shift).map(({ s, name }) => ({ s, note: ` in ${name}, ${shift.written}` })),
    );
  return [
    {
      kind: 'gradient',
      ofBatch: true,
      expressions,
      gives: (problem) => softmaxes(problem).flatMap(({ s, note }) => brokenGradients(problem, s, note)),
    },
    {
      kind: 'jacobian',
      expressions: [],
      gives: (problem) =>
        softmaxes(problem).map(({ s, note }) => {
          const values = entries(
            problem,
            (i, j, same) => (at(s, i) * ((same ? 1 : 0) - at(s, j))) / problem.temperature,
          );
          return candidate(`diag(s) − s sᵀ${note}`, values);
        }),
    },
  ];
}

const missingMaxShift: Mistake = {
  id: 'missing-max-shift',
  name: 'maximum not subtracted',
  what: 'NaN in exactly the rows where exp(x) overflows (or all of it vanishes): the softmax was computed without taking off the maximum',
  why: 'exp overflows past 88.7 in float32 and 709.8 in float64, and Infinity / Infinity is NaN. softmax(x) = softmax(x − max x), and exp of that is at most 1.',
  goal: 'softmax',
  forms: brokenForms([noShift], ['np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)']),
};

const batchMaxShift: Mistake = {
  id: 'batch-max-shift',
  name: "another row's maximum subtracted",
  what: 'NaN in exactly the rows whose logits are far below the largest of the batch: all of exp(x − max x) vanishes there',
  why: 'The shift must be the maximum of the row itself, x.max(axis=1, keepdims=True): with that of the whole batch (np.max(x)), exp underflows to 0 in rows more than 104 below it in float32, 745 in float64, and 0 / 0 is NaN.',
  goal: 'softmax',
  forms: brokenForms(batchShifts, [
    'np.exp(x - np.max(x)) / np.exp(x - np.max(x)).sum(axis=1, keepdims=True)',
    'np.exp(x - x.max(axis=0)) / np.exp(x - x.max(axis=0)).sum(axis=1, keepdims=True)',
  ]),
};

function brokenGradients(problem: Problem, s: Float64Array, note: string): Candidate[] {
  const { y, n, f, temperature } = problem;
  const diagonal = s.map((value) => (value * (1 - value)) / temperature);
  const found = [candidate(`s ⊙ (1 − s)${note}`, diagonal)];
  for (const g of problem.g ? cotangents(problem).slice(0, 1) : []) {
    const inner = innerProducts(s, g.values, n, f);
    const values = each(problem, (k, row) => (at(s, k) * (at(g.values, k) - at(inner, row))) / temperature);
    found.push({ formula: `s ⊙ (g − ⟨s, g⟩)${note}`, values, terms: g.terms });
  }
  for (const { factor, over } of lossFactors(problem)) {
    if (y)
      found.push(
        candidate(
          `${dividedBy('s − y', over)}${note}`,
          each(problem, (k) => ((at(s, k) - at(y, k)) * factor) / temperature),
        ),
      );
  }
  return found;
}

/** A division by a probability that is 0 in float32 or float64. */
export const underflow: Mistake = {
  id: 'underflow',
  name: 'division by a probability that underflows',
  what: 'infinities or NaN in exactly the rows where a probability that is divided by is too small for a float and so 0: −y / s of the target, or g / s of the upstream',
  why: 'exp(x − max) is 0 below a gap of 104 in float32 and 745 in float64. −y / s, and log s, then leave the floats, though s − y, which they should become, is of size 1. The fused gradient never divides.',
  forms: [
    {
      kind: 'gradient',
      ofBatch: true,
      expressions: [],
      gives: (problem) => {
        const { y, g } = problem;
        return precisions.flatMap((precision) => {
          const { name, round } = precision;
          const isLost = (value: number, k: number) => value !== 0 && round(at(problem.s, k)) === 0;
          const lossUpstreams = y?.some(isLost) ? lossFactors(problem) : [];
          const upstream = g?.some(isLost) ? g : null;
          if (lossUpstreams.length === 0 && !upstream) return [];
          const s = problem.s.map(round);
          const found = lossUpstreams.flatMap(({ factor, over }) =>
            divided(problem, s, y?.map((value) => -value * factor) ?? null, `−y / s${over}`, name),
          );
          if (!upstream) return found;
          return [
            ...found,
            ...divided(problem, s, upstream, 'g / s', name),
            ...whereDivided(problem, s, upstream, precision),
          ];
        });
      },
    },
  ],
};

/** The numerators divided by the probabilities, and the product of that with the Jacobian. */
function divided(
  problem: Problem,
  s: Float64Array,
  numerators: Float64Array | null,
  written: string,
  name: string,
): Candidate[] {
  if (!numerators) return [];
  const { n, f, temperature } = problem;
  const g = numerators.map((value, k) => (value === 0 ? 0 : value / at(s, k)));
  const inner = innerProducts(s, g, n, f);
  const through = each(problem, (k, row) => (at(s, k) * (at(g, k) - at(inner, row))) / temperature);
  return [candidate(`${written} in ${name}`, g), candidate(`J (${written}) in ${name}`, through)];
}

/** The correct product with NaN in the rows in which g / s is infinite; none if exp itself overflows, which is reported instead. */
function whereDivided(problem: Problem, s: Float64Array, g: Float64Array, precision: Precision): Candidate[] {
  if (shiftedSoftmaxes(problem, noShift, [precision]).length > 0) return [];
  const { f } = problem;
  const lost = new Set<number>();
  g.forEach((value, k) => {
    if (value !== 0 && at(s, k) === 0) lost.add(Math.floor(k / f));
  });
  const values = vjp(problem, g).map((value, k) => (lost.has(Math.floor(k / f)) ? Number.NaN : value));
  return [candidate(`s ⊙ (g − ⟨s, g⟩), NaN by g / s in ${precision.name}`, values)];
}

export const overflows: readonly Mistake[] = [missingMaxShift, batchMaxShift, underflow];
