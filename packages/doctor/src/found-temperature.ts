import { at } from './at.js';
import { measure, noiseLevels, relativeErrors } from './compare.js';
import { multiple } from './define-form.js';
import type { Candidate } from './form.js';
import { enough, type Inferred } from './found-options.js';
import { withPrintoutsOf } from './input-rounding.js';
import { rightProduct } from './mistakes/right.js';
import { rightDistilled, rightLoss } from './mistakes/right-loss.js';
import { temperatureMistake } from './mistakes/scale.js';
import { outputOf, type Problem } from './problem.js';
import { sampleOfRows } from './sample.js';

/** Temperatures from 0.01 to 100 that are tried first, each 10 % above the one before. */
const tried = Float64Array.from({ length: 98 }, (_, k) => 0.01 * 1.1 ** k);

/** The interval between two of them is divided by the golden ratio this many times, which leaves 1e-9 of it. */
const steps = 43;

/** The relative error on a few rows above which no temperature is right. */
const near = 1e-2;

/** Temperatures nearer to each other than this are the same. */
const nearItself = 1e-3;

/** Of two explanations with the same temperature, the error of one must be this many times that of the other to rule it out. */
const margin = 30;

/** A gradient at a temperature that was fitted to the numbers. */
export interface AtTemperature extends Inferred {
  readonly temperature: number;
}

/** The gradients of `atFittedTemperature`, if no temperature was given. */
export function atFoundTemperature(problem: Problem, data: Float64Array): readonly Inferred[] {
  return problem.temperatureGiven ? [] : atFittedTemperature(problem, data);
}

/**
 * The right gradients at another temperature, and the same without the inner derivative 1/T, which is a mistake unless it gives the numbers of another
 * reduction: at T = 1/n, the mean divided by T is the sum. The temperature is the one of the least error, written with as few digits as leave that error.
 */
export function atFittedTemperature(problem: Problem, data: Float64Array): readonly AtTemperature[] {
  const { x, n, f } = problem;
  if (!x || n * (f - 1) < enough) return [];
  if (!data.every(Number.isFinite) || data.every((value) => value === 0)) return [];
  const sample = sampleOfRows(problem, data, []);
  const rows = sample ? { problem: sample.problem, data: sample.given.data } : { problem, data };
  const ofRows = rows.problem.x ?? x;
  const given = measure(rows.data);
  const plain = noiseLevels(f, true).slice(0, 1);
  const errorOfOne = (one: Candidate) => relativeErrors(given, one, plain)[0] ?? Number.POSITIVE_INFINITY;
  const known = Array.from(tried, (temperature) => numbersAt(rows.problem, ofRows, temperature).map(errorOfOne));
  const found = (known[0] ?? []).flatMap((_, which) => {
    const errorOf = (temperature: number) => {
      const one = numbersAt(rows.problem, ofRows, temperature)[which];
      return one ? errorOfOne(one) : Number.POSITIVE_INFINITY;
    };
    const errors = Float64Array.from(known, (all) => all[which] ?? Number.POSITIVE_INFINITY);
    const best = errors.indexOf(Math.min(...errors));
    if (!(at(errors, best) < 1)) return [];
    const temperature = leastBetween(errorOf, tried[best - 1] ?? at(tried, best), tried[best + 1] ?? at(tried, best));
    const error = errorOf(temperature);
    return error < near ? [{ which, error, temperature: shortest(temperature, errorOf, error) }] : [];
  });
  const fitting = found
    .filter(({ temperature }) => Math.abs(temperature / problem.temperature - 1) > nearItself)
    .toSorted((a, b) => a.error - b.error)
    .flatMap(({ which, temperature, error }) => {
      const one = gradientsAt(problem, x, temperature)[which];
      return one ? [{ one, error }] : [];
    });
  return fitting.flatMap(({ one, error }) => {
    const isSame = (other: (typeof fitting)[number]) =>
      Math.abs(other.one.temperature / one.temperature - 1) <= nearItself &&
      other.error <= margin * Math.max(error, noError);
    if (one.ruledOut) return fitting.some((other) => !other.one.ruledOut && isSame(other)) ? [] : [one];
    const mistake = fitting.find((other) => other.one.ruledOut && isSame(other))?.one;
    return mistake
      ? [{ ...one, mistake: temperatureMistake, mistakeFormula: mistake.formula, lossIsLikelier: true }]
      : [one];
  });
}

/** How the formula of a right gradient ends at a temperature other than 1. */
const overT = / \/ T$/;

/** What is known, with the probabilities of another temperature. */
function problemAt(problem: Problem, x: Float64Array, temperature: number): Problem {
  return withPrintoutsOf(problem, { ...problem, temperature, s: outputOf(x, problem, temperature) });
}

/** The numbers of `gradientsAt`, in the same order, without words: many temperatures are tried. */
function numbersAt(problem: Problem, x: Float64Array, temperature: number): readonly Candidate[] {
  const other = problemAt(problem, x, temperature);
  const all = [...rightProduct.gives(other), ...rightLoss.gives(other)];
  const plain = all.flatMap((found) => [found, multiple(found, temperature, found.formula)]);
  return [...plain, ...rightDistilled.gives(other)];
}

/**
 * Every right gradient at a temperature, and each without its division by it. With T² before the loss it is right of a distillation, and
 * of another loss the temperature upside down.
 */
function gradientsAt(problem: Problem, x: Float64Array, temperature: number): readonly AtTemperature[] {
  const other = problemAt(problem, x, temperature);
  const written = `T = ${temperature}`;
  const options = { temperature };
  const all: readonly (Candidate & { readonly goal: 'product' | 'loss' })[] = [
    ...rightProduct.gives(other).map((found) => ({ ...found, goal: 'product' as const })),
    ...rightLoss.gives(other).map((found) => ({ ...found, goal: 'loss' as const })),
  ];
  const distilled = rightDistilled.gives(other).map(
    (found): AtTemperature => ({
      ...found,
      temperature,
      formula: `${found.formula}, ${written}`,
      options: found.unusual ? undefined : { ...options, goal: 'loss' },
      mistake: temperatureMistake,
      lossIsLikelier: true,
      inEveryRow: true,
    }),
  );
  const plain = all.flatMap(({ goal, ...found }): AtTemperature[] => [
    {
      ...found,
      temperature,
      formula: `${found.formula}, ${written}`,
      options: found.unusual ? undefined : { ...options, goal },
      inEveryRow: true,
    },
    {
      ...multiple(found, temperature, `${found.formula.replace(overT, '')}, ${written}`),
      temperature,
      options,
      mistake: temperatureMistake,
      ruledOut: true,
      inEveryRow: true,
    },
  ]);
  return [...plain, ...distilled];
}

/** Where a function with one minimum between two numbers is least (golden-section search). */
function leastBetween(f: (x: number) => number, low: number, high: number): number {
  const share = (Math.sqrt(5) - 1) / 2;
  let [a, b] = [low, high];
  let [left, right] = [b - share * (b - a), a + share * (b - a)];
  let [ofLeft, ofRight] = [f(left), f(right)];
  for (let step = 0; step < steps; step++) {
    if (ofLeft < ofRight) {
      [b, right, ofRight] = [right, left, ofLeft];
      left = b - share * (b - a);
      ofLeft = f(left);
    } else {
      [a, left, ofLeft] = [left, right, ofRight];
      right = a + share * (b - a);
      ofRight = f(right);
    }
  }
  return (a + b) / 2;
}

/** Half of the digits of float32: an error that is no larger says nothing. */
const noError = 1e-6;

/** The number in as few digits as do not add to its error by more than half. */
function shortest(x: number, errorOf: (x: number) => number, error: number): number {
  const most = Math.max(1.5 * error, noError);
  const short = [1, 2, 3, 4, 5, 6].map((digits) => Number(x.toPrecision(digits)));
  return short.find((one) => errorOf(one) <= most) ?? x;
}
