import { at } from '../at.js';
import { cotangent, cotangents } from '../cotangents.js';
import { candidate, jacobian } from '../define-form.js';
import { jacobianEntries } from '../derivatives.js';
import type { Candidate, Mistake } from '../form.js';
import { rowMaxima, rowSums } from '../host-softmax.js';
import { labelsOf } from '../labels.js';
import { inEachLayer } from '../layer-formulas.js';
import { byIndex, each, onFirstUse } from '../numbers.js';
import type { Problem } from '../problem.js';
import { minusOther, ofOtherRows, rowsFrom, through, withProbabilities } from './other-operands.js';
import { endClasses, withClassZeroed } from './right.js';
import { changed, sameAsRight, unlessRight } from './unless-right.js';

/** The correct formula in a loop over rows or classes that starts, ends, resets or indexes in the wrong place. */

/** The first row and the last one, of several. */
function endsOf({ n }: Problem): readonly (readonly [row: number, words: string])[] {
  if (n < 2) return [];
  return [
    [0, 'row 0'],
    [n - 1, 'the last row'],
  ];
}

/** True if the probabilities of some row are not those of the given one. */
function differs(problem: Problem, row: number): boolean {
  const { s, f } = problem;
  return s.some((value, k) => Math.abs(value - at(s, row * f + (k % f))) > sameAsRight);
}

const oneRowForAll: Mistake = {
  id: 'one-row-for-all',
  name: 'one row used for all rows',
  what: 'the probabilities, the Jacobian, the upstream gradient, the target or the gradient of the first or the last row, used for every row',
  why: 'Every row has its own s_n, J_n, g_n and y_n: dx_n = J_n g_n. A loop that overwrites J or s leaves those of the last row, an index 0 those of the first; [[0] * f] * n and Array(n).fill(row) are n times the same row.',
  forms: [
    unlessRight({
      gives: (problem) => endsOf(problem).flatMap(([row, words]) => ofOtherRows(problem, () => row, words)),
    }),
    ...[0, 1].map((end) =>
      changed(end === 0 ? ' of row 0 in all rows' : ' of the last row in all rows', ({ n, f }, valueAt) => {
        const first = end * (n - 1) * f;
        return (k) => valueAt(first + (k % f));
      }),
    ),
    {
      kind: 'jacobian',
      expressions: [],
      gives: (problem) =>
        endsOf(problem)
          .filter(([row]) => differs(problem, row))
          .map(([row, words]) => {
            const s = rowsFrom(problem, problem.s, () => row);
            return candidate(`the Jacobian of ${words} in all rows`, jacobianEntries(problem, s));
          }),
    },
    {
      kind: 'one jacobian for the batch',
      expressions: [],
      gives: (problem) =>
        endsOf(problem).map(([row, words]) => {
          const { s, f } = problem;
          const one = { ...problem, n: 1, s: s.slice(row * f, (row + 1) * f) };
          return candidate(`the Jacobian of ${words} alone`, jacobianEntries(one));
        }),
    },
  ],
};

/** Sums over the rows so far, or over all of them. */
function summedRows(all: boolean): (problem: Problem, valueAt: (k: number) => number) => Float64Array {
  return ({ n, f }, valueAt) => {
    const sums = new Float64Array(n * f);
    for (let k = 0; k < n * f; k++) sums[k] = valueAt(k) + (k < f ? 0 : at(sums, k - f));
    return all ? sums.map((_, k) => at(sums, (n - 1) * f + (k % f))) : sums;
  };
}

function summedClasses({ n, f }: Problem, valueAt: (k: number) => number): Float64Array {
  const sums = new Float64Array(n * f);
  for (let k = 0; k < n * f; k++) sums[k] = valueAt(k) + (k % f === 0 ? 0 : at(sums, k - 1));
  return sums;
}

/** Sums of one number a row over the rows so far. */
function running(values: Float64Array): Float64Array {
  let sum = 0;
  return values.map((value) => {
    sum += value;
    return sum;
  });
}

/** The largest number of multiplications to spend on the sums of Jacobians. */
const affordable = 1e7;

/** Σ_{m ≤ n} J_m g_n, without the Jacobians of all rows at once. */
function summedJacobians({ s, n, f, temperature }: Problem, g: Float64Array): Float64Array {
  const matrix = new Float64Array(f * f);
  const result = new Float64Array(n * f);
  for (let first = 0; first < n * f; first += f) {
    for (let i = 0; i < f; i++) {
      for (let j = 0; j < f; j++) {
        const entry = (at(s, first + i) * ((i === j ? 1 : 0) - at(s, first + j))) / temperature;
        matrix[i * f + j] = at(matrix, i * f + j) + entry;
        result[first + i] = at(result, first + i) + at(matrix, i * f + j) * at(g, first + j);
      }
    }
  }
  return result;
}

const notReset: Mistake = {
  id: 'not-reset',
  neutral: true,
  name: 'sum not reset',
  what: 'sums that go on where the next row, or the next class, must start from 0: running totals in place of one sum each',
  why: inEachLayer(
    (of) =>
      `A buffer or variable that adds up (dx, J, ⟨s, g⟩, Σ exp x, a one-hot row) must be set to 0 for every row, and the sum of ${of.sums}; PyTorch's .grad adds up until zero_grad(). Declared outside of the loop, it carries the rows before.`,
  ),
  forms: [
    changed(', added up over the rows so far', summedRows(false), {
      expressions: ['np.cumsum(dx, axis=0)', 'dx.cumsum(axis=0)'],
    }),
    changed(', added up over the classes so far', summedClasses, {
      expressions: ['np.cumsum(dx, axis=1)', 'dx.cumsum(axis=1)'],
    }),
    changed(', added up over all rows, in every row', summedRows(true)),
    unlessRight({
      gives: (problem) => {
        const { s, g, y, n, f, temperature } = problem;
        if (n < 2) return [];
        const hasLabels = labelsOf(problem) !== null;
        const known = cotangents(problem).filter(({ symbol }) => symbol === 'g' || hasLabels);
        const found: Candidate[] = known.map(({ symbol, values, inner, terms }) => {
          const sums = running(inner);
          const ofG = symbol === 'g' ? '' : `, g = ${symbol}`;
          return {
            formula: `s ⊙ (g − ⟨s, g⟩)${ofG}, ⟨s, g⟩ added up over the rows so far`,
            values: (k) => (at(s, k) * (at(values, k) - at(sums, Math.floor(k / f)))) / temperature,
            terms: (k) => byIndex(terms)(k) + (at(s, k) * Math.abs(at(sums, Math.floor(k / f)))) / temperature,
          };
        });
        if (g && n * f * f <= affordable) {
          found.push(
            candidate(
              'Σ_m J_m g_n, over the rows m so far',
              onFirstUse(() => summedJacobians(problem, g)),
            ),
          );
        }
        for (const { sums, e, written } of exponentialSums(problem)) {
          const other = e.map((value, k) => value / at(sums, Math.floor(k / f)));
          found.push(...withProbabilities(problem, other, `Σ ${written} added up over the rows so far`));
        }
        if (y && hasLabels) {
          const hot = summedRows(false)(problem, (k) => at(y, k)).map((value) => Math.min(value, 1));
          found.push(...minusOther(problem, hot, 'y with the ones of the rows before'));
        }
        return found;
      },
    }),
    {
      ...jacobian('Σ_m J_m over the rows m so far', [], (problem) => {
        const { n, f } = problem;
        if (n < 2 || n * n * f * f > affordable) return null;
        const entry = jacobianEntries(problem);
        return (k) => {
          let sum = 0;
          for (let own = k; own >= 0; own -= f * f) sum += entry(own);
          return sum;
        };
      }),
      ofBatch: true,
    },
  ],
};

/** exp(x) and exp(x − max x) with the running totals of their sums. */
function exponentialSums({ x, n, f, temperature }: Problem) {
  if (!x) return [];
  const largest = rowMaxima(x, n, f);
  return [
    { written: 'exp(x)', e: x.map((value) => Math.exp(value / temperature)) },
    {
      written: 'exp(x − max x)',
      e: x.map((value, k) => Math.exp((value - at(largest, Math.floor(k / f))) / temperature)),
    },
  ]
    .map(({ written, e }) => ({ written, e, sums: running(rowSums(e, n, f)) }))
    .filter(({ sums }) => sums.every((sum) => Number.isFinite(sum) && sum > 0));
}

const classSkipped: Mistake = {
  id: 'class-skipped',
  name: 'first or last class skipped',
  what: 'a formula without class 0, or without the last class: its number left at 0, or its term left out of a sum',
  why: 'Every class counts in Σ exp x, in ⟨s, g⟩ and in dx: a loop over the classes goes from 0 to K − 1, both included. In JavaScript `if (target)` is false for class 0.',
  forms: [
    unlessRight({
      gives: (problem) =>
        endClasses(problem).flatMap(([skipped, words]) => withClassZeroed(problem, skipped, `, 0 for ${words}`)),
    }),
    unlessRight({
      gives: (problem) =>
        endClasses(problem).flatMap(([skipped, words]) => {
          const { s, g, y, f, temperature } = problem;
          const isSkipped = (k: number) => k % f === skipped;
          const found: Candidate[] = [];
          if (g) {
            const some = g.map((value, k) => (isSkipped(k) ? 0 : value));
            const { inner, terms } = cotangent(problem, 'g', some);
            found.push({
              formula: `s ⊙ (g − ⟨s, g⟩), ⟨s, g⟩ without ${words}`,
              values: each(problem, (k, row) => (at(s, k) * (at(g, k) - at(inner, row))) / temperature),
              terms: (k) => byIndex(terms)(k) + (at(s, k) * Math.abs(at(g, k))) / temperature,
            });
            found.push(through(problem, cotangent(problem, 'g', some), `, g without ${words}`));
          }
          const others = s.map((value, k) => value / (1 - at(s, k - (k % f) + skipped)));
          if (others.every(Number.isFinite)) {
            found.push(...withProbabilities(problem, others, `Σ exp x without ${words}`));
          }
          if (y && labelsOf(problem)?.includes(skipped)) {
            const some = y.map((value, k) => (isSkipped(k) ? 0 : value));
            found.push(...minusOther(problem, some, `y without ${words}`));
          }
          return found;
        }),
    }),
  ],
};

/** Rows moved down by one and up by one. */
const moves = [
  { by: 1, words: 'the row before' },
  { by: -1, words: 'the row after' },
] as const;

export const rowsShifted: Mistake = {
  id: 'rows-shifted',
  name: 'rows of other samples',
  what: 'the probabilities, the upstream gradient, the target or the whole gradient of other rows: of the row before or after, or in another order',
  why: 'Row n of the gradient belongs to row n of the logits, of the upstream gradient and of the target: dx_n = J_n g_n. An index that is one too high or too low, np.roll, or a target that was read from the next batch line shifts one against the other; shuffling or sorting one of them alone mixes them.',
  forms: [
    unlessRight({
      gives: (problem) => {
        const { n } = problem;
        if (n < 2) return [];
        return moves
          .slice(0, n === 2 ? 1 : 2)
          .flatMap(({ by, words }) => ofOtherRows(problem, (row) => (row + n - by) % n, words));
      },
    }),
    ...moves.flatMap(({ by, words }) => [
      changed(` of ${words}, around the ends`, (problem, valueAt) => {
        const { n, f } = problem;
        return (k) => valueAt((k + (n - by) * f) % (n * f));
      }),
      changed(` of ${words}, and 0 where there is none`, ({ n, f }, valueAt) => (k) => {
        const from = k - by * f;
        return from < 0 || from >= n * f ? 0 : valueAt(from);
      }),
    ]),
  ],
};

export const loops: readonly Mistake[] = [oneRowForAll, notReset, classSkipped, rowsShifted];
