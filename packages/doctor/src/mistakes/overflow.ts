import { type Candidate, candidate, cotangents, each, entries, lossFactors, type Mistake } from '../form.js';
import { innerProducts } from '../host-softmax.js';
import type { Problem } from '../problem.js';

/** Where exp leaves the range of the floats: NaN and infinities that appear in known rows. */

interface Precision {
  readonly name: string;
  round(value: number): number;
}

const precisions: readonly Precision[] = [
  { name: 'float64', round: (value) => value },
  { name: 'float32', round: Math.fround },
];

/**
 * The rows in which something leaves the range of the floats: exp(x / T) without a shift, or a target's probability that
 * is rounded to 0. One list for each way; empty ones are left out.
 */
export function brokenRows(problem: Problem): readonly { id: string; formula: string; rows: ReadonlySet<number> }[] {
  const { s, y, f } = problem;
  return precisions
    .flatMap((precision) => {
      const { name, round } = precision;
      const overflowing = new Set<number>();
      unshifted(problem, precision)?.forEach((_value, k, values) => {
        const first = k - (k % f);
        if (k === first && !isDistribution(values.subarray(first, first + f))) overflowing.add(k / f);
      });
      const lost = new Set<number>();
      y?.forEach((value, k) => {
        if (value > 0 && round(s[k]) === 0) lost.add(Math.floor(k / f));
      });
      return [
        { id: missingMaxShift.id, formula: `exp(x) leaves ${name}`, rows: overflowing },
        { id: underflow.id, formula: `s of the target is 0 in ${name}`, rows: lost },
      ];
    })
    .filter(({ rows }) => rows.size > 0);
}

function isDistribution(s: Float64Array): boolean {
  let sum = 0;
  for (const value of s) sum += value;
  return sum > 0.5 && sum < 1.5;
}

/** exp(x / T) / Σ exp(x / T) without a shift; null where no row overflows or vanishes. */
function unshifted({ x, n, f, temperature }: Problem, { round }: Precision): Float64Array | null {
  if (!x) return null;
  const s = new Float64Array(n * f);
  let broken = false;
  for (let first = 0; first < n * f; first += f) {
    let sum = 0;
    for (let k = first; k < first + f; k++) {
      s[k] = round(Math.exp(x[k] / temperature));
      sum = round(sum + s[k]);
    }
    broken ||= sum === 0 || sum === Number.POSITIVE_INFINITY;
    for (let k = first; k < first + f; k++) s[k] /= sum;
  }
  return broken ? s : null;
}

export const missingMaxShift: Mistake = {
  id: 'missing-max-shift',
  name: 'maximum not subtracted',
  what: 'NaN in exactly the rows where exp(x) overflows (or all of it vanishes): the softmax was computed without taking off the maximum',
  why: 'exp overflows past 88.7 in float32 and 709.8 in float64, and Infinity / Infinity is NaN. softmax(x) = softmax(x − max x), and exp of that is at most 1.',
  goal: 'softmax',
  forms: [
    {
      kind: 'gradient',
      expressions: ['np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)', 'np.exp(x) / np.sum(np.exp(x))'],
      gives: (problem) =>
        precisions.flatMap((precision) => {
          const s = unshifted(problem, precision);
          return s ? brokenGradients(problem, s, ` in ${precision.name}, s without the shift`) : [];
        }),
    },
    {
      kind: 'jacobian',
      expressions: [],
      gives: (problem) =>
        precisions.flatMap((precision) => {
          const s = unshifted(problem, precision);
          if (!s) return [];
          const values = entries(problem, (i, j, same) => (s[i] * ((same ? 1 : 0) - s[j])) / problem.temperature);
          return [candidate(`diag(s) − s sᵀ in ${precision.name}, s without the shift`, values)];
        }),
    },
  ],
};

function brokenGradients(problem: Problem, s: Float64Array, note: string): Candidate[] {
  const { y, n, f, temperature } = problem;
  const diagonal = s.map((value) => (value * (1 - value)) / temperature);
  const found = [candidate(`s ⊙ (1 − s)${note}`, diagonal)];
  for (const g of problem.g ? cotangents(problem).slice(0, 1) : []) {
    const inner = innerProducts(s, g.values, n, f);
    const values = each(problem, (k, row) => (s[k] * (g.values[k] - inner[row])) / temperature);
    found.push({ formula: `s ⊙ (g − ⟨s, g⟩)${note}`, values, terms: g.terms });
  }
  for (const { factor, over } of lossFactors(problem)) {
    if (y)
      found.push(
        candidate(
          `s − y${over}${note}`,
          each(problem, (k) => ((s[k] - y[k]) * factor) / temperature),
        ),
      );
  }
  return found;
}

/** The target's probability is 0 in float32 or float64, and −y / s infinite. */
export const underflow: Mistake = {
  id: 'underflow',
  name: "the target's probability underflows",
  what: "infinities or NaN in exactly the rows whose target's probability is too small for a float and so 0: −y / s divides by it",
  why: 'exp(x − max) is 0 below a gap of 104 in float32 and 745 in float64. −y / s, and log s, then leave the floats, though s − y, which they should become, is of size 1. The fused gradient never divides.',
  forms: [
    {
      kind: 'gradient',
      expressions: [],
      gives: (problem) => {
        const { y, n, f, temperature } = problem;
        if (!y) return [];
        return precisions.flatMap(({ name, round }) => {
          const s = problem.s.map(round);
          if (!y.some((value, k) => value > 0 && s[k] === 0)) return [];
          return lossFactors(problem).flatMap(({ factor, over }) => {
            const g = s.map((value, k) => (y[k] === 0 ? 0 : (-y[k] / value) * factor));
            const inner = innerProducts(s, g, n, f);
            const through = each(problem, (k, row) => (s[k] * (g[k] - inner[row])) / temperature);
            return [candidate(`−y / s${over} in ${name}`, g), candidate(`J (−y / s)${over} in ${name}`, through)];
          });
        });
      },
    },
  ],
};
