import { explanations } from './catalogue.js';
import { fitFactor, type Given, isFloat32, measure, noiseLevels, relativeErrors } from './compare.js';
import type { Candidate, Form, Kind, Mistake } from './form.js';
import { brokenRows } from './mistakes/overflow.js';
import { jacobianEntries, rightLoss, rightProduct } from './mistakes/right.js';
import type { Problem } from './problem.js';
import type { Reading } from './reading.js';

/** An explanation with how far it is from the given numbers. */
export interface Match {
  readonly id: string;
  readonly mistake: Mistake;
  readonly form: Form | null;
  readonly kind: Kind;
  readonly formula: string;
  readonly error: number;
}

/** What the search found at the noise level at which something fits. */
export interface Findings {
  /** The explanations that fit and that nothing tells apart; the best first. */
  readonly matches: readonly Match[];
  /** All others, the best first. */
  readonly others: readonly Match[];
}

/** An explanation fits below this relative error: four printed digits, or half precision. */
const fits = 1e-3;
/** A single number fits much by chance. */
const fitsSingle = 1e-5;
/** The winner must be this much nearer than every other. */
const margin = 30;
/** Fewest numbers that can differ freely for which a constant factor is looked for. */
const enough = 4;

const scaledMistake: Mistake = {
  id: 'scaled',
  name: 'right but for a constant factor',
  what: 'the right derivative times a constant that is neither the batch size nor the temperature',
  why: 'A factor of its own (a learning rate, a loss weight, a 2 from a squared error, a backward pass that ran twice and added up) is in the gradient.',
  forms: [],
};

/** Compares the given numbers with what every known mistake gives. */
export function search(problem: Problem, readings: readonly Reading[]): Findings {
  const numbers = readings[0].data;
  // First without any allowance: numbers that a formula gives in their leading digits are no rounding noise. Where all
  // are 0 there are no digits.
  const zero = numbers.every((value) => value === 0);
  const all = noiseLevels(problem.f, isFloat32(numbers));
  const levels = zero ? all.slice(1) : all;
  const finest = all[1].relative;
  const given = readings.map((reading) => ({ ...reading, given: measure(reading.data) }));
  const ranked = levels.map((): Match[] => []);
  for (const mistake of explanations) {
    const best: (Match | undefined)[] = levels.map(() => undefined);
    for (const form of mistake.forms) {
      for (const reading of given) {
        if (reading.kind !== form.kind) continue;
        for (const candidate of form.gives(problem)) {
          relativeErrors(reading.given, candidate, levels).forEach((error, level) => {
            if (error >= (best[level]?.error ?? Number.POSITIVE_INFINITY)) return;
            best[level] = { id: mistake.id, mistake, form, kind: form.kind, formula: candidate.formula, error };
          });
        }
      }
    }
    best.forEach((match, level) => {
      if (match) ranked[level].push(match);
    });
  }
  for (const list of ranked) list.sort((a, b) => a.error - b.error);
  const most = numbers.length === 1 ? fitsSingle : fits;
  for (let level = 0; level < levels.length; level++) {
    const found = divide(ranked[level], most, Math.max(levels[level].relative, finest));
    if (found.matches.length > 0) return found;
    const only = level === 0 ? (byFactor(problem, given) ?? byPattern(problem, given)) : null;
    if (only) return { matches: [only], others: ranked[0] };
  }
  return { matches: [], others: ranked[0] };
}

/** Cuts the ranking after the explanations that cannot be told from the best one. */
function divide(ranked: readonly Match[], most: number, resolution: number): Findings {
  if (ranked.length === 0 || ranked[0].error > most) return { matches: [], others: ranked };
  const apart = margin * Math.max(ranked[0].error, resolution);
  const first = ranked.findIndex(({ error }) => error > apart);
  const end = first < 0 ? ranked.length : first;
  return { matches: ranked.slice(0, end), others: ranked.slice(end) };
}

type GivenReading = Reading & { readonly given: Given };

/** The right derivative times a constant that no known mistake has. */
function byFactor(problem: Problem, readings: readonly GivenReading[]): Match | null {
  const { n, f } = problem;
  if (n * (f - 1) < enough) return null;
  for (const { kind, given } of readings) {
    for (const candidate of rights(problem, kind)) {
      const fit = fitFactor(given, candidate);
      if (!fit || fit.error > fits) continue;
      const formula = `${Number(fit.factor.toPrecision(6))} × (${candidate.formula})`;
      return { id: scaledMistake.id, mistake: scaledMistake, form: null, kind, formula, error: fit.error };
    }
  }
  return null;
}

function rights(problem: Problem, kind: Kind): readonly Candidate[] {
  if (kind === 'gradient') return [...rightProduct.gives(problem), ...rightLoss.gives(problem)];
  if (kind !== 'jacobian') return [];
  return [{ formula: 'diag(s) − s sᵀ', values: jacobianEntries(problem), terms: problem.s }];
}

/** NaN and infinities in exactly the rows that are known to break, where the other rows are of an unknown making. */
function byPattern(problem: Problem, readings: readonly GivenReading[]): Match | null {
  for (const { kind, data } of readings) {
    if (kind !== 'gradient' && kind !== 'jacobian') continue;
    const each = data.length / problem.n;
    const seen = new Set<number>();
    data.forEach((value, k) => {
      if (!Number.isFinite(value)) seen.add(Math.floor(k / each));
    });
    if (seen.size === 0) continue;
    for (const { id, formula, rows } of brokenRows(problem)) {
      const mistake = explanations.find((candidate) => candidate.id === id);
      if (!mistake || rows.size !== seen.size || [...rows].some((row) => !seen.has(row))) continue;
      return { id, mistake, form: null, kind, formula: `${formula} in exactly the rows that are not finite`, error: 0 };
    }
  }
  return null;
}
