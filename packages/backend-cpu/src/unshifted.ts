import { expOfSteps, singleLimit, stepsPerUnit } from './exp.js';

/** Elements whose exponentials are taken at once: they stay in the first-level cache until they are scaled. */
const blockElements = 2048;

/** Rows whose exponentials are taken at once. */
export function rowsPerBlock(classes: number): number {
  return Math.max(1, Math.floor(blockElements / classes));
}

/** What exp(x / T) of unshifted logits takes: the division, made one multiplication with the one that exp begins with. */
export interface Unit {
  readonly steps: number;
  /** Bound on the sum of squares of four logits that are exponentiated unshifted. */
  readonly mostSquares: number;
}

export function unitOf(temperature: number): Unit {
  return { steps: stepsPerUnit / temperature, mostSquares: (singleLimit * temperature) ** 2 };
}

/**
 * `exp[k] = exp(x[start + k] / T)`, or false where an x is too large for that. Four at a time, since the loop itself
 * (its counter, interrupt check and bounds) costs half as much as an exp.
 */
export function expOfSingle(exp: Float64Array, x: Float32Array, start: number, length: number, unit: Unit): boolean {
  const { steps, mostSquares } = unit;
  let k = 0;
  for (; k < length - 3; k += 4) {
    const x0 = x[start + k];
    const x1 = x[start + k + 1];
    const x2 = x[start + k + 2];
    const x3 = x[start + k + 3];
    if (!(x0 * x0 + x1 * x1 + (x2 * x2 + x3 * x3) < mostSquares)) return false;
    exp[k] = expOfSteps(x0 * steps);
    exp[k + 1] = expOfSteps(x1 * steps);
    exp[k + 2] = expOfSteps(x2 * steps);
    exp[k + 3] = expOfSteps(x3 * steps);
  }
  for (; k < length; k++) {
    const x0 = x[start + k];
    if (!(x0 * x0 < mostSquares)) return false;
    exp[k] = expOfSteps(x0 * steps);
  }
  return true;
}

/** `expOfSingle` of one row with the sum of its exponentials, which saves a pass over them; −1 where an x is too large. */
export function expAndSum(exp: Float64Array, x: Float32Array, start: number, length: number, unit: Unit): number {
  const { steps, mostSquares } = unit;
  let sum0 = 0;
  let sum1 = 0;
  let k = 0;
  for (; k < length - 3; k += 4) {
    const x0 = x[start + k];
    const x1 = x[start + k + 1];
    const x2 = x[start + k + 2];
    const x3 = x[start + k + 3];
    if (!(x0 * x0 + x1 * x1 + (x2 * x2 + x3 * x3) < mostSquares)) return -1;
    const e0 = expOfSteps(x0 * steps);
    const e1 = expOfSteps(x1 * steps);
    const e2 = expOfSteps(x2 * steps);
    const e3 = expOfSteps(x3 * steps);
    exp[k] = e0;
    exp[k + 1] = e1;
    exp[k + 2] = e2;
    exp[k + 3] = e3;
    sum0 += e0 + e1;
    sum1 += e2 + e3;
  }
  for (; k < length; k++) {
    const x0 = x[start + k];
    if (!(x0 * x0 < mostSquares)) return -1;
    const e0 = expOfSteps(x0 * steps);
    exp[k] = e0;
    sum0 += e0;
  }
  return sum0 + sum1;
}

/** `out[to + k] = exp[from + k] * factor`. `| 0` says that an index can't overflow, which leaves out a check of every sum. */
export function scale(
  out: Float32Array,
  exp: Float64Array,
  to: number,
  from: number,
  length: number,
  factor: number,
): void {
  let k = 0;
  for (; k < length - 3; k += 4) {
    const target = (to + k) | 0;
    const source = (from + k) | 0;
    out[target] = exp[source] * factor;
    out[(target + 1) | 0] = exp[(source + 1) | 0] * factor;
    out[(target + 2) | 0] = exp[(source + 2) | 0] * factor;
    out[(target + 3) | 0] = exp[(source + 3) | 0] * factor;
  }
  for (; k < length; k++) out[to + k] = exp[from + k] * factor;
}

/** The sum of `length` elements. */
export function sum(exp: Float64Array, from: number, length: number): number {
  let sum0 = 0;
  let sum1 = 0;
  let k = from;
  for (; k < from + length - 3; k += 4) {
    sum0 += exp[k] + exp[k + 1];
    sum1 += exp[k + 2] + exp[k + 3];
  }
  for (; k < from + length; k++) sum0 += exp[k];
  return sum0 + sum1;
}
