import { explanationsOf } from './catalogue.js';
import { type Given, leastErrors, type Noise, relativeErrors, sampleStep, standsOut, worstEntry } from './compare.js';
import type { DiagnoseOptions } from './diagnosis.js';
import type { Candidate, Form, Kind, Mistake } from './form.js';
import { fits, type GivenReading, type Match } from './match.js';
import { right } from './mistakes/right.js';
import type { Problem } from './problem.js';
import { isBelowNoise, isSumOfRounded, isTellingSum } from './row-sum.js';
import { sampleOfRows } from './sample.js';

/** Compares the numbers with every form of every explanation. Nothing is fitted. */

/** The share of the time after which everything is compared and only parameters are left to fit. */
export const comparedShare = 0.6;

/**
 * For each noise level, the best form of each explanation, sorted by error.
 *
 * @param lenient levels after the others, for the correct derivative only: a mistake would fit too easily
 */
export function rank(
  problem: Problem,
  readings: readonly GivenReading[],
  strict: readonly Noise[],
  lenient: readonly Noise[],
  onProgress: DiagnoseOptions['onProgress'],
): Match[][] {
  const size = readings[0]?.data.length ?? 0;
  const known = explanationsOf(problem.layer);
  const all = [...strict, ...lenient];
  const comparisons = comparisonsOf(problem, known, readings, all, strict.length, onProgress);
  const total = comparisons.reduce((sum, { cost }) => sum + cost, 0);
  const before = comparisons[0]?.before ?? 0;
  let done = 0;
  const best = new Map(known.map((mistake) => [mistake, all.map((): Match | undefined => undefined)]));
  for (const comparison of comparisons) {
    const { mistake, form, kind, given, cost } = comparison;
    const levels = mistake.id === right.id ? all : strict;
    const onShare = (share: number) => {
      if (cost > 0) onProgress?.(comparedShare * (before + (1 - before) * ((done + cost * share) / total)));
    };
    const own = best.get(mistake) ?? [];
    for (const { candidate, errors } of compared(problem, comparison, levels, own, onShare)) {
      const { formula, values, terms, reduction, unusual } = candidate;
      errors.forEach((norm, level) => {
        const noise = levels[level];
        const error =
          level > 0 && kind === 'gradient' && noise && norm > 0 && norm <= fits
            ? Math.max(norm, worstEntry(given, candidate, noise, problem.f))
            : norm;
        if (error <= fits && !isEvidence(problem, mistake, given, terms, noise)) return;
        if (error >= (own[level]?.error ?? Number.POSITIVE_INFINITY)) return;
        const largest = mistake.id === right.id && level === 0 ? largestWithin(values, size) : Number.NaN;
        own[level] = { id: mistake.id, mistake, form, kind, formula, error, largest, reduction, unusual };
      });
    }
    onShare(1);
    done += cost;
  }
  const ranked = all.map((_, level) => [...best.values()].flatMap((own) => own[level] ?? []));
  for (const list of ranked) list.sort((a, b) => a.error - b.error);
  return ranked;
}

interface Compared {
  readonly candidate: Candidate;
  /** Its relative error at each noise level. */
  readonly errors: readonly number[];
}

/** A form that is to be compared with the numbers, one reading of them at a time. */
interface Comparison {
  readonly mistake: Mistake;
  readonly form: Form;
  readonly kind: Kind;
  readonly given: Given;
  /** Its candidates compared with a sample of the rows; null if all of them are compared with all rows. */
  readonly seen: readonly Compared[] | null;
  /** How many candidates are compared with all rows; an estimate where that is not known before. */
  readonly cost: number;
  /** The share of the time of all comparisons that is over when the first of them begins. */
  readonly before: number;
}

/** The share of the time of all comparisons that goes into the sample of the rows. */
const sampledShare = 0.05;

/** All comparisons, those on a sample of the rows already done. */
function comparisonsOf(
  problem: Problem,
  known: readonly Mistake[],
  readings: readonly GivenReading[],
  levels: readonly Noise[],
  strict: number,
  onProgress: DiagnoseOptions['onProgress'],
): readonly Comparison[] {
  const own = readings.find(({ kind }) => kind === 'gradient');
  const sample = own ? sampleOfRows(problem, own.data, levels) : null;
  const before = sample ? sampledShare : 0;
  const pairs: Pick<Comparison, 'mistake' | 'form' | 'kind' | 'given'>[] = [];
  for (const mistake of known) {
    for (const form of mistake.forms) {
      for (const { kind, given } of readings) if (kind === form.kind) pairs.push({ mistake, form, kind, given });
    }
  }
  return pairs.map(({ mistake, form, kind, given }, k): Comparison => {
    if (!sample || kind !== 'gradient' || form.ofBatch) {
      return { mistake, form, kind, given, before, seen: null, cost: 1 };
    }
    const own = mistake.id === right.id ? sample.levels : sample.levels.slice(0, strict);
    const seen = form.gives(sample.problem).map((candidate) => ({
      candidate,
      errors: relativeErrors(sample.given, candidate, own),
    }));
    onProgress?.((comparedShare * before * (k + 1)) / pairs.length);
    return { mistake, form, kind, given, before, seen, cost: seen.filter(isHopeful).length };
  });
}

function isHopeful({ errors }: Compared): boolean {
  return Math.min(...errors) <= hopeless;
}

/**
 * The candidates of a form that may be better than what is known, with their errors: those on the sample of rows if they are far off there, otherwise those on
 * all rows, for which the candidates are computed only now. Calls `onShare` with the share of them that is compared.
 */
function* compared(
  problem: Problem,
  { form, given, seen }: Comparison,
  levels: readonly Noise[],
  best: Best,
  onShare: (share: number) => void,
): Generator<Compared> {
  if (seen && !seen.some(isHopeful)) return yield* seen;
  const all = form.gives(problem);
  const wanted = seen ? seen.filter(isHopeful).length : all.length;
  let done = 0;
  for (const [k, candidate] of all.entries()) {
    const one = seen?.[k];
    if (one && !isHopeful(one)) {
      yield one;
      continue;
    }
    const errors = errorsOf(given, candidate, levels, problem.f, best);
    if (errors) yield { candidate, errors };
    done++;
    if (done < wanted) onShare(done / wanted);
  }
}

/**
 * False if the numbers are so small that rounding after every operation explains them, which many formulas then fit, or that no rounding explains them,
 * which would be the noise of rows that add up to 0. Always true for the correct derivative.
 */
function isEvidence(
  problem: Problem,
  { id }: Mistake,
  given: Given,
  terms: Candidate['terms'],
  noise: Noise | undefined,
): boolean {
  if (id === 'row-sum' && isBelowNoise(problem, given.data)) return false;
  if (noise?.everyStep === undefined || id === right.id) return true;
  if (id === 'row-sum') {
    if (isSumOfRounded(problem, given.data, noise.everyStep)) return true;
    // Numbers of so few bits that bfloat16 has them too may be those of float16.
    return isSumOfRounded(problem, given.data, unitOfFloat16) && isTellingSum(problem, given.data);
  }
  return standsOut(given, terms, noise);
}

const unitOfFloat16 = 2 ** -11;

function largestWithin(values: Candidate['values'], size: number): number {
  let most = 0;
  for (let k = 0; k < size; k++)
    most = Math.max(most, Math.abs(typeof values === 'function' ? values(k) : (values[k] ?? 0)));
  return most;
}

/** An explanation with a larger error on a sample is not compared with all entries. */
const hopeless = 0.1;

/** For each noise level, the best form of an explanation so far, if there is one. */
type Best = readonly (Match | undefined)[];

function isBetter(errors: readonly number[], best: Best): boolean {
  return errors.some((error, level) => error < (best[level]?.error ?? Number.POSITIVE_INFINITY));
}

/** Null where none of them is better than what is known, which a lower bound shows of most. */
function errorsOf(
  given: Given,
  candidate: Candidate,
  levels: readonly Noise[],
  f: number,
  best: Best,
): number[] | null {
  const step = sampleStep(given.data.length, f);
  if (step > 1) {
    const errors = relativeErrors(given, candidate, levels, step);
    if (Math.min(...errors) > hopeless) return errors;
  }
  const isKnown = levels.every((_, level) => best[level]);
  if (isKnown && !isBetter(leastErrors(given, candidate, levels), best)) return null;
  const errors = relativeErrors(given, candidate, levels);
  const [plain = 1] = errors;
  const [, finest] = levels;
  if (plain <= fits && finest && !standsOut(given, candidate.terms, finest)) errors[0] = Number.POSITIVE_INFINITY;
  return errors;
}
