import { explanations } from './catalogue.js';
import { boundOfNorm, clippedByRow, clippedByValue, roundNormOf } from './clipped-gradient.js';
import { fitFactor, type Given, measure, type Noise, relativeErrors, standsOut } from './compare.js';
import type { Candidate, Kind, Mistake } from './form.js';
import { type FoundOptions, hasFewNumbers, type Inferred } from './found-options.js';
import { inferredRights, leftOutRows } from './inferred.js';
import { jacobianRows } from './jacobian-rows.js';
import { appliesTo } from './layer-words.js';
import { exactly, fits, type GivenReading, type Match, scaledMistake, unnamed } from './match.js';
import { clippedGradient } from './mistakes/clipped.js';
import { rowsShifted } from './mistakes/loops.js';
import { oneRowOfJacobian } from './mistakes/one-row.js';
import { brokenRows } from './mistakes/overflow.js';
import { right, rightJacobian, rightProduct } from './mistakes/right.js';
import { rightLoss } from './mistakes/right-loss.js';
import { byIndex, times } from './numbers.js';
import { precisionOf } from './precision.js';
import type { Problem } from './problem.js';
import { shuffledRows } from './shuffled-rows.js';

/** Explanations with something that is taken from the numbers: a constant factor, a bound, options of the loss, the rows that are not finite. */

/** The same for a single row of rounded numbers, with a factor that was fitted to all rows. */
const roundedFits = 5 * fits;

/** The same for rounded numbers times a fitted factor. */
const fitsWithSlack = 5e-4;

/** Constants that differ from 1 by no more than this may come from computing in half precision, whatever the printout. */
const nearOne = 1e-2;

/** The correct derivative times a fitted constant; `gradient-clipped` where that constant makes its norm a common bound. */
export function byFactor(
  problem: Problem,
  readings: readonly GivenReading[],
  noise: Noise,
  onFit: () => void,
): Match | null {
  // One number of a sigmoid, and the Jacobian of one row of two classes, are a multiple of every other.
  if (problem.f < 2 && (problem.n < 2 || problem.layer !== 'sigmoid')) return null;
  const most = mostOf(noise);
  for (const { kind, given } of readings) {
    if (kind === 'jacobian' && problem.f < 3 && hasFewNumbers(problem)) continue;
    const scaled = rights(problem, kind).flatMap(({ formula, values, terms }) => {
      const factor = fitFactor(given, { formula, values, terms });
      onFit();
      return factor === null ? [] : [{ factor, formula, values, terms }];
    });
    scaled.sort((a, b) => byLikelihood(a.factor, b.factor));
    const fitting: Match[] = [];
    for (const { factor, formula, values, terms } of scaled) {
      const product = { formula, values: times(values, factor), terms: times(terms, Math.abs(factor)) };
      const [error = 1] = relativeErrors(given, product, [noise]);
      if (error > most || !standsOut(given, terms, noise)) continue;
      if (kind === 'gradient' && !inEveryRow(problem, given, product, noise)) continue;
      const written = `${Number(factor.toPrecision(6))} × (${formula})`;
      const nearlyRight = Math.abs(factor - 1) <= nearOne ? formula : undefined;
      const found = {
        ...unnamed(kind, written, error),
        id: scaledMistake.id,
        mistake: scaledMistake,
        factor,
        nearlyRight,
      };
      if (nearlyRight !== undefined) return found;
      fitting.push(found);
      if (factor > 0 && factor < 1 && kind === 'gradient') {
        const bound = boundOfNorm(given.data, precisionOf(given.data));
        if (bound === null) continue;
        const clipped = `${formula}, clipped to the norm ${bound}`;
        return { ...unnamed(kind, clipped, error), id: clippedGradient.id, mistake: clippedGradient, factor };
      }
    }
    const [first] = fitting;
    if (!first) continue;
    const isSmaller = kind === 'gradient' && fitting.some(({ factor = 1 }) => factor > 0 && factor < 1);
    return isSmaller ? { ...first, norm: roundNormOf(given.data, precisionOf(given.data)) ?? undefined } : first;
  }
  return null;
}

/** The correct derivative with its entries, or its rows, clipped to a bound that is taken from the numbers. */
export function byClipping(
  problem: Problem,
  readings: readonly GivenReading[],
  noise: Noise,
  clip: 'entries' | 'rows',
  onFit: () => void,
): Match | null {
  const candidates = (given: Given) =>
    rights(problem, 'gradient').flatMap(
      (found) => (clip === 'rows' ? clippedByRow(problem, given, found) : clippedByValue(given, found)) ?? [],
    );
  // Factors of the rows are fitted with the tolerance `fits`, and would explain a bound too; they take up some of the rounding of half precision, which one bound does not.
  const isHalf = clip === 'rows' && readings.some(({ data }) => (precisionOf(data)?.unit ?? 0) > 0);
  const most = clip === 'rows' ? (isHalf ? boundFitsHalf : fits) : mostOf(noise);
  return firstThatFits(problem, readings, { noise, most }, clippedGradient, candidates, onFit);
}

/** The largest error of a bound of the norms of rows in half precision. */
const boundFitsHalf = 3 * fits;

/** The largest error of an explanation with a fitted number. */
function mostOf({ slack, ofInputs }: Noise): number {
  return slack ? (ofInputs ? fits : fitsWithSlack) : exactly;
}

/** One row of the Jacobian of each sample. */
export function byJacobianRow(
  problem: Problem,
  readings: readonly GivenReading[],
  noise: Noise,
  onFit: () => void,
): Match | null {
  const candidates = ({ data }: Given) => jacobianRows(problem, data, noise);
  return firstThatFits(problem, readings, { noise, most: mostOf(noise) }, oneRowOfJacobian, candidates, onFit);
}

/** The right gradient with rows in another order. */
export function byShuffledRows(
  problem: Problem,
  readings: readonly GivenReading[],
  noise: Noise,
  onFit: () => void,
): Match | null {
  if (!appliesTo(rowsShifted, problem.layer)) return null;
  const candidates = ({ data }: Given) => shuffledRows(problem, data);
  return firstThatFits(problem, readings, { noise, most: mostOf(noise) }, rowsShifted, candidates, onFit);
}

/** The first candidate that fits, in every row too. */
function firstThatFits(
  problem: Problem,
  readings: readonly GivenReading[],
  { noise, most }: { readonly noise: Noise; readonly most: number },
  mistake: Mistake,
  candidates: (given: Given) => Iterable<Candidate>,
  onFit: () => void,
): Match | null {
  for (const { kind, given } of readings) {
    if (kind !== 'gradient') continue;
    for (const found of candidates(given)) {
      const [error = 1] = relativeErrors(given, found, [noise]);
      onFit();
      if (error > most || !standsOut(given, found.terms, noise) || !inEveryRow(problem, given, found, noise, most))
        continue;
      return { ...unnamed(kind, found.formula, error), id: mistake.id, mistake };
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
function inEveryRow(
  { n, f }: Problem,
  { data }: Given,
  { formula, values, terms }: Candidate,
  noise: Noise,
  atLeast = 0,
): boolean {
  const most = Math.max(atLeast, noise.slack ? roundedFits : fits);
  const [valueAt, termAt] = [byIndex(values), byIndex(terms)];
  for (let first = 0; first < n * f; first += f) {
    const row = measure(data.subarray(first, first + f));
    const own = noise.slack ? { ...noise, slack: noise.slack.subarray(first, first + f) } : noise;
    const candidate = { formula, values: (i: number) => valueAt(first + i), terms: (i: number) => termAt(first + i) };
    const [error = 0] = relativeErrors(row, candidate, [own]);
    if (error > most) return false;
  }
  return true;
}

/** The correct gradient of a loss that leaves out rows. */
export function byLeftOutRows(
  problem: Problem,
  readings: readonly GivenReading[],
  noise: Noise | undefined,
  onFit: () => void,
): readonly Match[] | null {
  return noise ? fittingRight(problem, readings, noise, leftOutRows, onFit) : null;
}

/** The correct gradient of a loss with options that were not given, such as label smoothing. */
export function byInference(
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
  const { formula, reduction, unusual, options, mistake, mistakeFormula = formula, ruledOut, lossIsLikelier } = found;
  const asRight: Match = {
    ...unnamed(kind, formula, error),
    id: right.id,
    mistake: right,
    reduction,
    unusual,
    options,
  };
  if (!mistake) return [asRight];
  const asMistake: Match = {
    ...unnamed(kind, mistakeFormula, error),
    id: mistake.id,
    mistake,
    options: ruledOut ? options : temperatureIn(options),
  };
  if (ruledOut || (found.ruledOutInFullPrecision && isOfFullPrecision(error, noise))) return [asMistake];
  return lossIsLikelier ? [asRight, asMistake] : [asMistake, asRight];
}

/** The temperature alone, which the right gradient and the mistake have in common. */
function temperatureIn({ temperature }: FoundOptions = {}): FoundOptions | undefined {
  return temperature === undefined ? undefined : { temperature };
}

function rights(problem: Problem, kind: Kind): readonly Candidate[] {
  if (kind === 'gradient') return [...rightProduct.gives(problem), ...rightLoss.gives(problem)];
  return kind === 'jacobian' ? rightJacobian.gives(problem) : [];
}

/** A mistake that produces NaN or infinities in exactly the rows where the given numbers have them, whatever the other rows are. */
export function byPattern(problem: Problem, readings: readonly GivenReading[]): Match | null {
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
