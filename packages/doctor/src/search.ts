import { explanations, explanationsOf } from './catalogue.js';
import {
  cut,
  fitFactor,
  type Given,
  isFloat32,
  measure,
  type Noise,
  noiseLevels,
  precisionLevels,
  relativeErrors,
  sampleStep,
  standsOut,
  worstEntry,
} from './compare.js';
import type { DiagnoseOptions } from './diagnosis.js';
import { byIndex, type Candidate, type Form, type Kind, type Mistake, times, type Unusual } from './form.js';
import { type FoundOptions, type Inferred, inferredRights, leftOutRows } from './inferred.js';
import type { LossReduction } from './input.js';
import { inputRounding } from './input-rounding.js';
import { rightLeftOpen, rightOfTargetFrom1, rightOfUnlikelihood } from './left-open.js';
import { brokenRows } from './mistakes/overflow.js';
import { right, rightJacobian, rightProduct } from './mistakes/right.js';
import { rightLoss } from './mistakes/right-loss.js';
import { rowsSkipped } from './mistakes/rows.js';
import { type Precision, possibleHalfOf, possiblePrintoutsOf, precisionOf } from './precision.js';
import type { Problem } from './problem.js';
import type { Reading } from './reading.js';
import { isSumOfRounded, isTellingSum } from './row-sum.js';
import { sampleOfRows } from './sample.js';

/** An explanation with its distance from the given numbers. */
export interface Match {
  readonly id: string;
  readonly mistake: Mistake;
  readonly form: Form | null;
  readonly kind: Kind;
  readonly formula: string;
  readonly error: number;
  /** The largest magnitude that it gives; NaN if that was not computed. */
  readonly largest: number;
  /** The reduction of the loss, if the match depends on it. */
  readonly reduction?: LossReduction | undefined;
  readonly unusual?: Unusual | undefined;
  /** Of a loss whose options were fitted: those that the suggested code needs. */
  readonly options?: FoundOptions | undefined;
  /** The constant by which the correct derivative is multiplied, if it was fitted. */
  readonly factor?: number | undefined;
  /** Of a constant factor so near to 1 that half precision may have left it: the formula of the correct derivative. */
  readonly nearlyRight?: string | undefined;
}

/** The result of the search, at the finest noise level at which an explanation fits. */
export interface Findings extends Divided {
  /** The precision of the numbers, if an explanation fits only with that tolerance. */
  readonly precision: Precision | null;
  /** How what is known was rounded, in words, where that had to be allowed for. */
  readonly inputs: string | null;
  /** True if an explanation fits only with the rounding of every operation. */
  readonly computed?: boolean;
}

interface Divided {
  /** The explanations that fit and cannot be distinguished, the best first. */
  readonly matches: readonly Match[];
  /** All others, the best first. */
  readonly others: readonly Match[];
}

/** Largest relative error of an explanation that fits: it allows for four printed digits or half precision. */
const fits = 1e-3;
/** The same for a single row of rounded numbers, with a factor that was fitted to all rows. */
const roundedFits = 5 * fits;
/** Up to this relative error, an explanation fits without a tolerance for rounded numbers. */
const exactly = 1e-5;
/** Formulas whose relative errors differ by no more than this are equal except for rounding. */
const sameFormula = 1e-6;
/** The same as `fits` for a single number, which fits many explanations by coincidence. */
const fitsSingle = 1e-5;
/** The error of every other explanation must be this many times that of the best one. */
const margin = 30;
/** The same for rounded numbers times a fitted factor. */
const fitsWithSlack = 5e-4;
/** Constants that differ from 1 by no more than this may come from computing in half precision, whatever the printout. */
const nearOne = 1e-2;
/** The fewest degrees of freedom for which a constant factor is fitted. */
const enough = 4;

const scaledMistake: Mistake = {
  id: 'scaled',
  name: 'right but for a constant factor',
  what: 'the right derivative times a constant that is neither the batch size nor the temperature',
  why: 'A factor of its own (a learning rate, a loss weight, a 2 from a squared error, a backward pass that ran twice and added up) is in the gradient.',
  forms: [],
};

/**
 * Compares the given numbers with every known explanation, at the finest noise level at which one fits. If a mistake fits but
 * the numbers could still be correct (see left-open.ts), the correct derivative is added to the matches.
 */
export function search(
  problem: Problem,
  readings: readonly Reading[],
  onProgress?: DiagnoseOptions['onProgress'],
): Findings {
  const found = comparable(problem, explain(problem, readings, onProgress));
  const [best] = found.matches;
  const [reading] = readings;
  if (!best || !reading || found.matches.some(({ id }) => id === right.id)) return found;
  for (const { id, form, formula, error, nearlyRight } of found.matches) {
    const open =
      nearlyRight === undefined
        ? (rightOfTargetFrom1(problem, form, formula) ??
          rightOfUnlikelihood(problem, form, formula) ??
          rightLeftOpen(problem, reading, { id, error, precision: found.precision, computed: found.computed }))
        : { mistake: right, formula: `${nearlyRight}, in half precision` };
    if (!open) continue;
    const also = { ...unnamed(reading.kind, open.formula, error), id: right.id, mistake: open.mistake };
    return { ...found, matches: [...found.matches, also] };
  }
  const { g, y, target } = problem;
  const optionsLeftOpen = !g && y && target?.labelSmoothing === null && !target.weight;
  const isHalf = (found.precision?.unit ?? 0) > 0;
  const near = isHalf && optionsLeftOpen ? found.others.find(({ id }) => id === right.id) : undefined;
  if (near && near.error <= nearRight) {
    return { ...found, matches: [...found.matches, near], others: found.others.filter((one) => one !== near) };
  }
  return found;
}

/** In half precision, a mistake that is nearer to the right derivative than this may be the right one of an option of the loss that was not given. */
const nearRight = 0.03;

/** Without an upstream gradient and a target, how far what is right of one loss is off says nothing of what is right. */
function comparable({ g, y }: Problem, found: Findings): Findings {
  if (g || y) return found;
  return { ...found, others: found.others.filter(({ id, kind }) => id !== right.id || kind !== 'gradient') };
}

/** The share of the time after which everything is compared and only parameters are left to fit. */
const comparedShare = 0.6;
/** Nobody knows how many fits there will be: each takes this part of the time that is left. */
const ofTheRest = 0.25;

function explain(problem: Problem, readings: readonly Reading[], onProgress: DiagnoseOptions['onProgress']): Findings {
  const given = readings.map((reading) => ({ ...reading, given: measure(reading.data) }));
  const numbers = given[0]?.data ?? new Float64Array();
  const exact = noiseLevels(problem.f, isFloat32(numbers));
  const rounding = inputRounding(problem);
  const precision = rounding ? withPrintedZeros(numbers, precisionOf(numbers)) : precisionOf(numbers);
  const coarse = precisionLevels(problem.f, precision, rounding !== null);
  // For the correct derivative only: a mistake would fit too easily.
  const half = precision?.unit === 0 ? possibleHalfOf(numbers) : null;
  const levelsOf = (one: Precision) => precisionLevels(problem.f, one, rounding !== null);
  const printouts = possiblePrintoutsOf(numbers).filter(({ name }) => name !== precision?.name);
  const lenient = [
    ...[...coarse.slice(0, 1), ...printouts.flatMap(levelsOf)].map(cut),
    ...(half ? levelsOf(half) : []),
  ];
  const ranked = rank(problem, given, [...exact, ...coarse, ...lenient], onProgress);
  const [plain = []] = ranked;
  let share = comparedShare;
  const onFit = () => {
    share += ofTheRest * (1 - share);
    onProgress?.(share);
  };
  const [atTheEnd = null, computed = null] = coarse.map((noise, level) => {
    const divided = divide(ranked[exact.length + level] ?? [], fits, noise.resolution);
    return divided.matches.length === 0 ? null : rightUnlessApart(divided, plain);
  });
  const rightOne = rightWithin(ranked.slice(exact.length), plain, numbers);
  const within = rightOne ? [rightOne] : byLeftOutRows(problem, given, coarse[0] ?? exact.at(-1), onFit);
  const inputs = rounding?.name ?? null;
  const withPrecision = (divided: Divided): Findings => ({ ...withRight(divided, within), precision, inputs });

  // Prefer explanations without free parameters, even with a tolerance for rounded numbers, to those with fitted parameters.
  const found = fittingExactly(problem, given, ranked, exact, !atTheEnd && (!computed || isNoise(computed)), onFit);
  if (atTheEnd && !(found && atError(found) <= exactly)) return withPrecision(atTheEnd);
  if (found) {
    const off = plain.find(({ id }) => id === right.id)?.error ?? 0;
    return { ...withRight(found, within), precision: null, inputs: within && off > exactly ? inputs : null };
  }
  if (computed && !isNoise(computed)) return { ...withPrecision(computed), computed: true };
  if (within) return withPrecision({ matches: within, others: plain.filter(({ id }) => id !== right.id) });
  for (const [level, noise] of coarse.entries()) {
    // With the tolerance for rounding after every operation, a fitted factor would match too much.
    const scaled = level === 0 ? byFactor(problem, given, noise, onFit) : null;
    onFit();
    const fitted = scaled ? [scaled] : byInference(problem, given, noise, onFit);
    if (fitted) return withPrecision({ matches: fitted, others: plain });
  }
  return computed
    ? { ...withPrecision(computed), computed: true }
    : { matches: [], others: plain, precision: null, inputs: null };
}

/** True if the numbers can be the rounding noise of a result that is exactly 0. */
function isNoise({ matches }: Divided): boolean {
  return matches.some(({ id }) => id === 'row-sum');
}

/** If the correct derivative fits within rounding, drops all other matches except those that are the same formula here. */
function rightUnlessApart({ matches, others }: Divided, plain: readonly Match[]): Divided {
  const errors = new Map(plain.map(({ id, error }) => [id, error]));
  const own = matches.some(({ id }) => id === right.id) ? errors.get(right.id) : undefined;
  if (own === undefined) return { matches, others };
  const same = ({ id }: Match) => Math.abs((errors.get(id) ?? Number.POSITIVE_INFINITY) - own) <= sameFormula;
  return { matches: matches.filter(same), others: [...matches.filter((match) => !same(match)), ...others] };
}

/** If the correct derivative fits without any error, keeps only the matches that fit equally well. */
function rightWithoutError({ matches, others }: Divided, resolution: number): Divided {
  if (!matches.some(({ id, error }) => id === right.id && error === 0)) return { matches, others };
  const as = ({ error }: Match) => error <= resolution;
  return { matches: matches.filter(as), others: [...matches.filter((match) => !as(match)), ...others] };
}

/** The error of the best explanation. */
function atError({ matches }: Divided): number {
  return matches[0]?.error ?? Number.POSITIVE_INFINITY;
}

/** The explanations that fit at the noise levels of float64, float32 or 1e-6; null if none does. */
function fittingExactly(
  problem: Problem,
  given: readonly GivenReading[],
  ranked: readonly (readonly Match[])[],
  levels: readonly Noise[],
  fitted: boolean,
  onFit: () => void,
): Divided | null {
  const numbers = given[0]?.data ?? new Float64Array();
  const most = numbers.length === 1 ? fitsSingle : fits;
  const [plain = []] = ranked;
  const [, finest] = levels;
  for (const [level, noise] of levels.entries()) {
    if (level === 0 || finest === undefined) continue;
    const found = divide(ranked[level] ?? [], most, noise.resolution);
    const rightFits = found.matches.some(({ id }) => id === right.id);
    const asNoise = isNoise(found);
    if (fitted && noise === finest && !rightFits && (asNoise || found.matches.length === 0)) {
      const scaled = byFactor(problem, given, noise, onFit);
      onFit();
      const inferred = scaled ? [scaled] : byInference(problem, given, noise, onFit);
      const broken = inferred ? null : byPattern(problem, given);
      const matches = inferred ?? (broken ? [broken] : []);
      if (matches.length > 0) return { matches, others: plain };
    }
    if (found.matches.length === 0) continue;
    if (!asNoise || numbers.every((value) => value === 0)) return rightWithoutError(found, noise.resolution);
    // If the leading digits agree with a formula, the numbers are not noise.
    const digits = divide(plain, most, finest.resolution);
    const better = digits.matches.length > 0 && (!rightFits || digits.matches.some(({ id }) => id === right.id));
    return better ? digits : found;
  }
  return null;
}

/** Numbers up to this are printed as 0 with three decimals. */
const printedAsZero = 5e-4;
/** The same where the other digits were cut off. */
const cutToZero = 1e-3;

/** If the inputs were printed, a 0 of the numbers was printed too, and stands for any number that is too small. */
function withPrintedZeros(numbers: Float64Array, precision: Precision | null): Precision | null {
  if (!precision) {
    if (numbers.some((value) => value !== 0)) return null;
    return { name: 'a printout in which they are 0', slack: numbers.map(() => printedAsZero), unit: 0 };
  }
  const slack = precision.slack.map((own, i) => (numbers[i] === 0 ? Math.max(own, printedAsZero) : own));
  return { ...precision, slack };
}

/** The correct derivative, if it fits within the precision inferred from the numbers; null otherwise. */
function rightWithin(
  rounded: readonly (readonly Match[])[],
  plain: readonly Match[],
  numbers: Float64Array,
): Match | null {
  const found = rounded.flat().find(({ id, error }) => id === right.id && error === 0);
  if (found) return found;
  const zero = plain.find(({ id }) => id === right.id);
  return zero && numbers.every((value) => value === 0) && zero.largest <= cutToZero ? zero : null;
}

/**
 * If the correct derivative fits within the precision of the numbers, adds it to the matches, and removes 'scaled' from them. That of a loss
 * that leaves out rows comes after a mistake that explains the zeros as well as all other numbers.
 */
function withRight({ matches, others }: Divided, found: readonly Match[] | null): Divided {
  if (!found || matches.some(({ id }) => id === right.id)) return { matches, others };
  const known = matches.filter(({ id }) => id !== scaledMistake.id);
  const leavesOut = found.some(({ id }) => id === rowsSkipped.id);
  const all =
    leavesOut && known.length > 0 ? [...known, ...found.filter(({ id }) => id === right.id)] : [...found, ...known];
  return { matches: all, others: others.filter(({ id }) => id !== right.id) };
}

/** For each noise level, the best form of each explanation, sorted by error. */
function rank(
  problem: Problem,
  readings: readonly GivenReading[],
  levels: readonly Noise[],
  onProgress: DiagnoseOptions['onProgress'],
): Match[][] {
  const size = readings[0]?.data.length ?? 0;
  const known = explanationsOf(problem.layer);
  const comparisons = comparisonsOf(problem, known, readings, levels, onProgress);
  const total = comparisons.reduce((sum, { cost }) => sum + cost, 0);
  const before = comparisons[0]?.before ?? 0;
  let done = 0;
  const best = new Map(known.map((mistake) => [mistake, levels.map((): Match | undefined => undefined)]));
  for (const comparison of comparisons) {
    const { mistake, form, kind, given, cost } = comparison;
    const onShare = (share: number) => {
      if (cost > 0) onProgress?.(comparedShare * (before + (1 - before) * ((done + cost * share) / total)));
    };
    const own = best.get(mistake) ?? [];
    for (const { formula, values, terms, open, reduction, unusual, errors } of compared(
      problem,
      comparison,
      levels,
      onShare,
    )) {
      errors.forEach((norm, level) => {
        const noise = levels[level];
        const error =
          level > 0 && kind === 'gradient' && noise && norm > 0 && norm <= fits
            ? Math.max(norm, worstEntry(given, { formula, values, terms, open }, noise, problem.f))
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
  const ranked = levels.map((_, level) => [...best.values()].flatMap((own) => own[level] ?? []));
  for (const list of ranked) list.sort((a, b) => a.error - b.error);
  return ranked;
}

interface Compared extends Candidate {
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
  onProgress: DiagnoseOptions['onProgress'],
): readonly Comparison[] {
  const own = readings.find(({ kind }) => kind === 'gradient');
  const sample = own ? sampleOfRows(problem, own.data, levels) : null;
  const before = sample ? sampledShare : 0;
  const pairs = known.flatMap((mistake) =>
    mistake.forms.flatMap((form) =>
      readings.filter(({ kind }) => kind === form.kind).map(({ kind, given }) => ({ mistake, form, kind, given })),
    ),
  );
  return pairs.map(({ mistake, form, kind, given }, k): Comparison => {
    const pair = { mistake, form, kind, given, before };
    if (!sample || kind !== 'gradient' || form.ofBatch) return { ...pair, seen: null, cost: 1 };
    const seen = form.gives(sample.problem).map((candidate) => ({
      ...candidate,
      errors: relativeErrors(sample.given, candidate, sample.levels),
    }));
    onProgress?.((comparedShare * before * (k + 1)) / pairs.length);
    return { ...pair, seen, cost: seen.filter(isHopeful).length };
  });
}

function isHopeful({ errors }: Compared): boolean {
  return Math.min(...errors) <= hopeless;
}

/**
 * The candidates of a form with their errors: those on the sample of rows if they are far off there, otherwise those on all rows, for which the candidates are
 * computed only now. Calls `onShare` with the share of them that is compared.
 */
function compared(
  problem: Problem,
  { form, given, seen }: Comparison,
  levels: readonly Noise[],
  onShare: (share: number) => void,
): readonly Compared[] {
  if (seen && !seen.some(isHopeful)) return seen;
  const all = form.gives(problem);
  const wanted = seen ? seen.filter(isHopeful).length : all.length;
  let done = 0;
  const whole = (candidate: Candidate): Compared => {
    const errors = errorsOf(given, candidate, levels, problem.f);
    done++;
    if (done < wanted) onShare(done / wanted);
    return { ...candidate, errors };
  };
  if (!seen) return all.map(whole);
  return seen.map((one, k) => {
    const own = all[k];
    return own !== undefined && isHopeful(one) ? whole(own) : one;
  });
}

/** False if the numbers are so small that rounding after every operation explains them, which many formulas then fit. Always true for the correct derivative. */
function isEvidence(
  problem: Problem,
  { id }: Mistake,
  given: Given,
  terms: Candidate['terms'],
  noise: Noise | undefined,
): boolean {
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

function errorsOf(given: Given, candidate: Candidate, levels: readonly Noise[], f: number): number[] {
  const step = sampleStep(given.data.length, f);
  if (step > 1) {
    const errors = relativeErrors(given, candidate, levels, step);
    if (Math.min(...errors) > hopeless) return errors;
  }
  const [plain = 1, ...others] = relativeErrors(given, candidate, levels);
  const [, finest] = levels;
  const isNoise = plain <= fits && finest !== undefined && !standsOut(given, candidate.terms, finest);
  return [isNoise ? Number.POSITIVE_INFINITY : plain, ...others];
}

/** Splits the ranking into the explanations that cannot be distinguished from the best one, and the others. */
function divide(ranked: readonly Match[], most: number, resolution: number): Divided {
  const [best] = ranked;
  if (!best || best.error > most) return { matches: [], others: ranked };
  const apart = margin * Math.max(best.error, resolution);
  const first = ranked.findIndex(({ error }) => error > apart);
  const end = first < 0 ? ranked.length : first;
  return { matches: ranked.slice(0, end), others: ranked.slice(end) };
}

type GivenReading = Reading & { readonly given: Given };

/** The correct derivative times a fitted constant. */
function byFactor(problem: Problem, readings: readonly GivenReading[], noise: Noise, onFit: () => void): Match | null {
  const { n, f } = problem;
  if (n * (f - 1) < enough) return null;
  const most = noise.slack ? (noise.ofInputs ? fits : fitsWithSlack) : exactly;
  for (const { kind, given } of readings) {
    const scaled = rights(problem, kind).flatMap(({ formula, values, terms }) => {
      const factor = fitFactor(given, { formula, values, terms });
      onFit();
      return factor === null ? [] : [{ factor, formula, values, terms }];
    });
    scaled.sort((a, b) => byLikelihood(a.factor, b.factor));
    for (const { factor, formula, values, terms } of scaled) {
      const product = { formula, values: times(values, factor), terms: times(terms, Math.abs(factor)) };
      const [error = 1] = relativeErrors(given, product, [noise]);
      if (error > most || !standsOut(given, terms, noise)) continue;
      if (kind === 'gradient' && !inEveryRow(problem, given, product, noise)) continue;
      const written = `${Number(factor.toPrecision(6))} × (${formula})`;
      const nearlyRight = Math.abs(factor - 1) <= nearOne ? formula : undefined;
      return { ...unnamed(kind, written, error), id: scaledMistake.id, mistake: scaledMistake, factor, nearlyRight };
    }
  }
  return null;
}

/** The order in which factors are tried: nearly 1; whole numbers, as of a backward pass that ran twice; others, by their distance from 1. */
function byLikelihood(a: number, b: number): number {
  const distance = (factor: number) => Math.abs(factor - 1);
  const rank = (factor: number) => {
    if (distance(factor) <= nearOne) return 0;
    return Number.isInteger(Number(factor.toPrecision(6))) ? 1 : 2;
  };
  return rank(a) - rank(b) || distance(a) - distance(b);
}

/** True if the explanation fits in every single row, also in rows of small numbers; otherwise each row may have its own factor. */
function inEveryRow({ n, f }: Problem, { data }: Given, { formula, values, terms }: Candidate, noise: Noise): boolean {
  const [valueAt, termAt] = [byIndex(values), byIndex(terms)];
  for (let first = 0; first < n * f; first += f) {
    const row = measure(data.subarray(first, first + f));
    const own = noise.slack ? { ...noise, slack: noise.slack.subarray(first, first + f) } : noise;
    const candidate = { formula, values: (i: number) => valueAt(first + i), terms: (i: number) => termAt(first + i) };
    const [error = 0] = relativeErrors(row, candidate, [own]);
    if (error > (noise.slack ? roundedFits : fits)) return false;
  }
  return true;
}

/** The correct gradient of a loss that leaves out rows. */
function byLeftOutRows(
  problem: Problem,
  readings: readonly GivenReading[],
  noise: Noise | undefined,
  onFit: () => void,
): readonly Match[] | null {
  return noise ? fittingRight(problem, readings, noise, leftOutRows, onFit) : null;
}

/** The correct gradient of a loss with options that were not given, such as label smoothing. */
function byInference(
  problem: Problem,
  readings: readonly GivenReading[],
  noise: Noise,
  onFit: () => void,
): readonly Match[] | null {
  return fittingRight(problem, readings, noise, (one, data) => inferredRights(one, data, onFit), onFit);
}

function fittingRight(
  problem: Problem,
  readings: readonly GivenReading[],
  noise: Noise,
  rightOnes: (problem: Problem, data: Float64Array) => Iterable<Inferred>,
  onFit: () => void,
): readonly Match[] | null {
  for (const { kind, given, data } of readings) {
    if (kind !== 'gradient') continue;
    for (const found of rightOnes(problem, data)) {
      const [error = 1] = relativeErrors(given, found, [noise]);
      onFit();
      if (error > fits || !standsOut(given, found.terms, noise)) continue;
      if (found.inEveryRow && !inEveryRow(problem, given, found, noise)) continue;
      if (found.inFullPrecision && !isOfFullPrecision(error, noise)) continue;
      return matchesOf(kind, found, error, noise);
    }
  }
  return null;
}

/** True if an explanation fits so well that the numbers are not rounded. */
function isOfFullPrecision(error: number, { slack, ofInputs }: Noise): boolean {
  return error <= exactly && slack === undefined && !ofInputs;
}

/** The correct gradient and the mistake that gives the same numbers, the likelier one first; the mistake alone if the loss is ruled out. */
function matchesOf(kind: Kind, found: Inferred, error: number, noise: Noise): readonly Match[] {
  const { formula, reduction, unusual, options, mistake, ruledOut, lossIsLikelier } = found;
  const asRight: Match = {
    ...unnamed(kind, formula, error),
    id: right.id,
    mistake: right,
    reduction,
    unusual,
    options,
  };
  if (!mistake) return [asRight];
  const asMistake: Match = { ...unnamed(kind, formula, error), id: mistake.id, mistake };
  if (ruledOut || (found.ruledOutInFullPrecision && isOfFullPrecision(error, noise))) return [asMistake];
  return lossIsLikelier ? [asRight, asMistake] : [asMistake, asRight];
}

function unnamed(kind: Kind, formula: string, error: number) {
  return { form: null, kind, formula, error, largest: Number.NaN };
}

function rights(problem: Problem, kind: Kind): readonly Candidate[] {
  if (kind === 'gradient') return [...rightProduct.gives(problem), ...rightLoss.gives(problem)];
  return kind === 'jacobian' ? rightJacobian.gives(problem) : [];
}

/** A mistake that produces NaN or infinities in exactly the rows where the given numbers have them, whatever the other rows are. */
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
      return { ...unnamed(kind, `${formula} in exactly the rows that are not finite`, 0), id, mistake };
    }
  }
  return null;
}
