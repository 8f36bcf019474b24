import { inFloat64, type Rounding } from './rounding.js';

/** A difference quotient of ⟨g, f⟩; its slope is NaN where f is not finite. */
export interface Quotient {
  readonly slope: number;
  /** The sum of the absolute terms: the slope without cancellation. */
  readonly terms: number;
  /** What rounding of the values, of the points and so on can change in the extrapolated slope. */
  readonly noise: number;
}

/** Richardson's extrapolation of the quotients with three steps. */
export interface Estimate extends Quotient {
  /** A multiple of the disagreement of the extrapolations with the first two and with the last two steps, or the noise if that is larger. */
  readonly error: number;
}

export interface Steps {
  readonly first: number;
  /** Without a range only the first step is used. */
  readonly range?: { readonly least: number; readonly most: number };
  /** A relative error that is small enough. */
  readonly enough: number;
  /** By how much the leading error falls when the step is halved: 4 for central differences, 2 for one-sided ones. */
  readonly ratio: number;
}

const ladder = 8;
/** Of the disagreement of two extrapolations: the error of the first one can be a little larger than it, and both can be off alike. */
const margin = 4;
/** Steps that may be worse in a row: near a pole of f, or where it oscillates, shorter steps can be worse than one across it. */
const patience = 8;

/**
 * The estimate with the least error. Where the quotients of the first step disagree or do not exist, shorter steps are tried; where rounding is
 * their largest error, longer ones.
 */
export async function bestEstimate(
  quotient: (step: number) => Promise<Quotient>,
  { first, range, enough, ratio }: Steps,
): Promise<Estimate> {
  const at = (step: number) => extrapolated(quotient, step, ratio);
  let best = await at(first);
  if (range === undefined) return best;
  const done = () => best.error <= enough * best.terms;
  const replacedBy = (next: Estimate, isBetter: boolean) => {
    const better = isBetter || (Number.isNaN(best.error) && !Number.isNaN(next.error));
    if (better) best = next;
    return better;
  };
  let worse = 0;
  let isShorter = false;
  // If x is the floating-point number next to a kink, the room for a step is 0.
  const isStep = (h: number) => h > 0 && h >= range.least;
  for (let h = first / ladder; disagree(best) && !done() && isStep(h) && worse < patience; h /= ladder) {
    const next = await at(h);
    // Across many periods of an oscillation the quotients are small, and so is the error of each, but not beside the quotient.
    const isSmaller = next.error < best.error || next.error * best.terms < best.error * next.terms;
    if (replacedBy(next, isSmaller)) {
      worse = 0;
      isShorter = true;
    } else if (!Number.isNaN(best.error)) worse += 1;
  }
  // Where a shorter step had to be taken, longer ones cross the same kink; beside one, their quotients are small, and so are the errors of them.
  for (let h = first * ladder; !isShorter && !disagree(best) && !done() && h <= range.most; h *= ladder) {
    const next = await at(h);
    if (!replacedBy(next, next.error < best.error)) break;
  }
  return best;
}

/** Whether quotients of successive steps differ by more than rounding, which is larger for the shorter steps, or do not exist. */
export function disagree({ error, noise }: Pick<Estimate, 'error' | 'noise'>): boolean {
  return !(error <= 16 * noise);
}

/** Whether the slopes on the two sides of a point are apart by more than their errors. */
export function differ(left: Estimate, right: Estimate): boolean {
  return Math.abs(right.slope - left.slope) > 8 * (left.error + right.error);
}

/** Whether they are accurate, too. Near a kink, those across it are not. */
export function showKink([left, right]: readonly [Estimate, Estimate], enough: number): boolean {
  return left.error + right.error <= enough * Math.max(left.terms, right.terms) && differ(left, right);
}

/** The golden ratio: for a last step that is not commensurable with the others, where an oscillation cannot have the same phase at all of them. */
const golden = (1 + Math.sqrt(5)) / 2;

async function extrapolated(
  quotient: (step: number) => Promise<Quotient>,
  step: number,
  ratio: number,
): Promise<Estimate> {
  const whole = await quotient(step);
  const half = await quotient(step / 2);
  const last = await quotient(step / 2 / golden);
  const limit = (coarse: Quotient, fine: Quotient, by: number) => (by * fine.slope - coarse.slope) / (by - 1);
  const slope = limit(whole, half, ratio);
  const apart = Math.abs(slope - limit(half, last, golden ** Math.log2(ratio)));
  return { ...whole, slope, terms: Math.max(whole.terms, half.terms), error: Math.max(margin * apart, whole.noise) };
}

/**
 * `⟨g, Σ ±(after − before)⟩ / divisor` for one or two pairs of values of f; a value that stays −Infinity differs by 0. `roundings` is the noise for
 * values of size 1. Values that seem not to depend on x_i count as well: they may change by less than their rounding. `condition` is |x| over the
 * distance between the points: a function that subtracts numbers of the size of x has their rounding, too.
 */
export function quotientOf(
  g: ArrayLike<number>,
  pairs: readonly (readonly [after: ArrayLike<number>, before: ArrayLike<number>])[],
  {
    divisor,
    roundings,
    rounding = inFloat64,
    condition,
  }: {
    readonly divisor: number;
    readonly roundings: number;
    readonly rounding?: Rounding;
    readonly condition: number;
  },
): Quotient {
  let [slope, terms, values] = [0, 0, 0];
  for (let j = 0; j < g.length; j++) {
    const weight = g[j] ?? Number.NaN;
    let [change, size] = [0, 0];
    for (const [sign, [afters, befores]] of pairs.entries()) {
      const [after = Number.NaN, before = Number.NaN] = [afters[j], befores[j]];
      if (after === Number.NEGATIVE_INFINITY && before === after) continue;
      const apart = after - before;
      change += sign === 0 ? apart : -apart;
      const largest = Math.max(Math.abs(after), Math.abs(before));
      size = Math.max(size, largest * rounding.values, Math.abs(apart) * condition * rounding.points);
    }
    const term = (weight * change) / divisor;
    slope += term;
    terms += Math.abs(term);
    values = Math.hypot(values, weight * size);
  }
  return { slope, terms, noise: roundings * values };
}

/** The shortest step at which |x| leaves distinct points for the last of three. */
export function shortestAt(size: number): number {
  return size * 2 ** -48;
}
