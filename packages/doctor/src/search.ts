import { explanations } from './catalogue.js';
import {
  fitFactor,
  type Given,
  isFloat32,
  measure,
  type Noise,
  noiseLevels,
  relativeErrors,
  sampleStep,
  standsOut,
} from './compare.js';
import { type Candidate, candidate, type Form, type Kind, type Mistake } from './form.js';
import { brokenRows } from './mistakes/overflow.js';
import { jacobianEntries, right, rightLoss, rightProduct } from './mistakes/right.js';
import type { LossReduction, Problem } from './problem.js';
import type { Reading } from './reading.js';

/** An explanation with how far it is from the given numbers. */
export interface Match {
  readonly id: string;
  readonly mistake: Mistake;
  readonly form: Form | null;
  readonly kind: Kind;
  readonly formula: string;
  readonly error: number;
  /** How the rows' losses are added up in it, where that matters. */
  readonly reduction?: LossReduction | undefined;
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

/** Compares the given numbers with what every known mistake gives, at the finest noise level at which something fits. */
export function search(problem: Problem, readings: readonly Reading[]): Findings {
  const numbers = readings[0].data;
  const levels = noiseLevels(problem.f, isFloat32(numbers));
  const given = readings.map((reading) => ({ ...reading, given: measure(reading.data) }));
  const [plain, ...ranked] = rank(problem, given, levels);
  const noise = levels.slice(1);
  const most = numbers.length === 1 ? fitsSingle : fits;
  for (let level = 0; level < noise.length; level++) {
    const found = divide(ranked[level], most, noise[level].relative);
    const rightFits = found.matches.some(({ id }) => id === right.id);
    const asNoise = found.matches.some(({ id }) => id === 'row-sum');
    if (level === 0 && !rightFits && (asNoise || found.matches.length === 0)) {
      const only = byFactor(problem, given, noise[0]) ?? byPattern(problem, given);
      if (only) return { matches: [only], others: plain };
    }
    if (found.matches.length === 0) continue;
    if (!asNoise || numbers.every((value) => value === 0)) return found;
    // Numbers that a formula gives in their leading digits are no noise.
    const digits = divide(plain, most, noise[0].relative);
    const better = digits.matches.length > 0 && (!rightFits || digits.matches.some(({ id }) => id === right.id));
    return better ? digits : found;
  }
  return { matches: [], others: plain };
}

/** The best form of each explanation, the nearest first, once for each noise level. */
function rank(problem: Problem, readings: readonly GivenReading[], levels: readonly Noise[]): Match[][] {
  const ranked = levels.map((): Match[] => []);
  for (const mistake of explanations) {
    const best: (Match | undefined)[] = levels.map(() => undefined);
    for (const form of mistake.forms) {
      for (const { kind, given } of readings) {
        if (kind !== form.kind) continue;
        for (const { formula, ...numbers } of form.gives(problem)) {
          errorsOf(given, { formula, ...numbers }, levels, problem.f).forEach((error, level) => {
            if (error >= (best[level]?.error ?? Number.POSITIVE_INFINITY)) return;
            best[level] = { id: mistake.id, mistake, form, kind, formula, error, reduction: numbers.reduction };
          });
        }
      }
    }
    best.forEach((match, level) => {
      if (match) ranked[level].push(match);
    });
  }
  for (const list of ranked) list.sort((a, b) => a.error - b.error);
  return ranked;
}

/** An explanation that is as far off as this in a sample is not looked at entry by entry. */
const hopeless = 0.1;

function errorsOf(given: Given, candidate: Candidate, levels: readonly Noise[], f: number): number[] {
  const step = sampleStep(given.data.length, f);
  if (step > 1) {
    const errors = relativeErrors(given, candidate, levels, step);
    if (Math.min(...errors) > hopeless) return errors;
  }
  const errors = relativeErrors(given, candidate, levels);
  if (errors[0] <= fits && !standsOut(given, candidate.terms, levels[1])) errors[0] = Number.POSITIVE_INFINITY;
  return errors;
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
function byFactor(problem: Problem, readings: readonly GivenReading[], noise: Noise): Match | null {
  const { n, f } = problem;
  if (n * (f - 1) < enough) return null;
  for (const { kind, given } of readings) {
    for (const offered of rights(problem, kind)) {
      const fit = fitFactor(given, offered);
      if (!fit || fit.error > fits || !standsOut(given, offered.terms, noise)) continue;
      const formula = `${Number(fit.factor.toPrecision(6))} × (${offered.formula})`;
      return { id: scaledMistake.id, mistake: scaledMistake, form: null, kind, formula, error: fit.error };
    }
  }
  return null;
}

function rights(problem: Problem, kind: Kind): readonly Candidate[] {
  if (kind === 'gradient') return [...rightProduct.gives(problem), ...rightLoss.gives(problem)];
  if (kind !== 'jacobian') return [];
  return [candidate('diag(s) − s sᵀ', jacobianEntries(problem))];
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
      const mistake = explanations.find((known) => known.id === id);
      if (!mistake || rows.size !== seen.size || [...rows].some((row) => !seen.has(row))) continue;
      return { id, mistake, form: null, kind, formula: `${formula} in exactly the rows that are not finite`, error: 0 };
    }
  }
  return null;
}
