import { cut, isFloat32, measure, type Noise, noiseLevels, precisionLevels } from './compare.js';
import type { DiagnoseOptions } from './diagnosis.js';
import {
  byClipping,
  byFactor,
  byInference,
  byJacobianRow,
  byLeftOutRows,
  byPattern,
  byShuffledRows,
} from './fitted.js';
import { inputRounding } from './input-rounding.js';
import { rightLeftOpen, rightOfBinary, rightOfTargetFrom1, rightOfUnlikelihood } from './left-open.js';
import { type Divided, exactly, fits, type GivenReading, type Match, scaledMistake, unnamed } from './match.js';
import { clippedGradient } from './mistakes/clipped.js';
import { right } from './mistakes/right.js';
import { rowsSkipped } from './mistakes/rows.js';
import { type Precision, possibleHalfOf, possiblePrintoutsOf, precisionOf } from './precision.js';
import type { Problem } from './problem.js';
import { comparedShare, rank } from './rank.js';
import type { Reading } from './reading.js';

/** The result of the search, at the finest noise level at which an explanation fits. */
export interface Findings extends Divided {
  /** The precision of the numbers, if an explanation fits only with that tolerance. */
  readonly precision: Precision | null;
  /** How what is known was rounded, in words, where that had to be allowed for. */
  readonly inputs: string | null;
  /** True if an explanation fits only with the rounding of every operation. */
  readonly computed?: boolean;
}

/** Formulas whose relative errors differ by no more than this are equal except for rounding. */
const sameFormula = 1e-6;

/** The same as `fits` for a single number, which fits many explanations by coincidence. */
const fitsSingle = 1e-5;

/** The error of every other explanation must be this many times that of the best one. */
const margin = 30;

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
          rightOfBinary(problem, form, formula) ??
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

/** Nobody knows how many fits there will be: each takes this part of the time that is left. */
const ofTheRest = 0.25;

function explain(problem: Problem, readings: readonly Reading[], onProgress: DiagnoseOptions['onProgress']): Findings {
  const given = readings.map((reading) => ({ ...reading, given: measure(reading.data) }));
  const numbers = given[0]?.data ?? new Float64Array();
  const exact = noiseLevels(problem.f, isFloat32(numbers));
  const rounding = inputRounding(problem);
  const precision = rounding ? withPrintedZeros(numbers, precisionOf(numbers)) : precisionOf(numbers);
  const coarse = precisionLevels(problem.f, precision, rounding !== null);
  const half = precision?.unit === 0 ? possibleHalfOf(numbers) : null;
  const levelsOf = (one: Precision) => precisionLevels(problem.f, one, rounding !== null);
  const printouts = possiblePrintoutsOf(numbers).filter(({ name }) => name !== precision?.name);
  const lenient = [
    ...[...coarse.slice(0, 1), ...printouts.flatMap(levelsOf)].map(cut),
    ...(half ? levelsOf(half) : []),
  ];
  const ranked = rank(problem, given, [...exact, ...coarse], lenient, onProgress);
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
    // With the tolerance for rounding after every operation, a fitted factor or bound would match too much.
    const fitted = fittedTo(problem, given, noise, level === 0, onFit);
    if (fitted) return withPrecision({ matches: fitted, others: plain });
  }
  return computed
    ? { ...withPrecision(computed), computed: true }
    : { matches: [], others: plain, precision: null, inputs: null };
}

/**
 * The explanations with something that is taken from the numbers: those with one number, a factor or the bound of the norm of each row, before options of the
 * loss, which have several; and a bound of the entries, the picked rows of a Jacobian and an order of the rows, which fit nothing else by chance, after them.
 */
function fittedTo(
  problem: Problem,
  given: readonly GivenReading[],
  noise: Noise,
  withFactors: boolean,
  onFit: () => void,
): readonly Match[] | null {
  const scaled = withFactors
    ? (byFactor(problem, given, noise, onFit) ?? byClipping(problem, given, noise, 'rows', onFit))
    : null;
  onFit();
  if (scaled) return [scaled];
  const inferred = byInference(problem, given, noise, onFit);
  if (inferred || !withFactors) return inferred;
  const other =
    byClipping(problem, given, noise, 'entries', onFit) ??
    byJacobianRow(problem, given, noise, onFit) ??
    byShuffledRows(problem, given, noise, onFit);
  return other && [other];
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
      const inferred = fittedTo(problem, given, noise, true, onFit);
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
 * If the correct derivative fits within the precision of the numbers, adds it to the matches, and removes 'scaled' and 'gradient-clipped' from them. That of a loss
 * that leaves out rows comes after a mistake that explains the zeros as well as all other numbers.
 */
function withRight({ matches, others }: Divided, found: readonly Match[] | null): Divided {
  if (!found || matches.some(({ id }) => id === right.id)) return { matches, others };
  const known = matches.filter(({ id }) => id !== scaledMistake.id && id !== clippedGradient.id);
  const leavesOut = found.some(({ id }) => id === rowsSkipped.id);
  const all =
    leavesOut && known.length > 0 ? [...known, ...found.filter(({ id }) => id === right.id)] : [...found, ...known];
  return { matches: all, others: others.filter(({ id }) => id !== right.id) };
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
