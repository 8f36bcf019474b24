import {
  type Backend,
  crossEntropy,
  logSoftmax,
  logSumExp,
  softmax,
  softmin,
  type Tensor,
  tensor,
} from '@softgrad/core';
import { reference, referenceCrossEntropy } from '@softgrad/core/conformance';
import { expect, inject, test } from 'vitest';

type DType = 'float32' | 'float64';

const limits = {
  float32: { bits: 23, leastExponent: -126, mostExponent: 127, least: 1e-30 },
  float64: { bits: 52, leastExponent: -1022, mostExponent: 1023, least: 1e-290 },
} as const;

/**
 * Exponents of 2 of the temperatures: on both sides of the limits of each engine's kernels, and at the ends of the range. `npm test` has two at which
 * no kernel of most engines takes the temperature itself, and fewer rows.
 */
const exponents = {
  float32: { all: [60, 64, 65, 70, 90, 99, 101, 110, 120, 126], some: [101, 126] },
  float64: { all: [60, 65, 99, 101, 126, 500, 513, 1000, 1020], some: [101, 1020] },
} as const satisfies Record<DType, Record<'all' | 'some', readonly number[]>>;
const factors = [1, 1.37] as const;

/** Gaps of up to 70 T in short rows, and a row of many classes with about the same probability. */
const problems = {
  all: [
    { classes: 2, outer: 60, spread: 35 },
    { classes: 3, outer: 40, spread: 35 },
    { classes: 17, outer: 12, spread: 35 },
    { classes: 128, outer: 3, spread: 35 },
    { classes: 1000, outer: 1, spread: 12 },
  ],
  some: [{ classes: 17, outer: 12, spread: 35 }],
} as const;

/** The largest error of each result in ULP, over probabilities of at least 1e-30 (float64: 1e-290). */
export interface FarErrors {
  softmax: number;
  logSoftmax: number;
  logSumExp: number;
  loss: number;
  /** Of `crossEntropy`, its vjp, and the gradient of `logSumExp`, its vjp and jvp. */
  gradient: number;
  hvp: number;
}

type Problem = (typeof problems)['all' | 'some'][number];

/** Logits of a temperature `factor` from 1 to 2, multiplied by 2^exponent: what underflows is 0, and the largest are in the range. */
function logitsOf({ classes, outer, spread }: Problem, dtype: DType, factor: number, exponent: number): Float64Array {
  const { leastExponent, mostExponent } = limits[dtype];
  const largest = Math.min(spread, 2 ** Math.min(30, mostExponent - 1 - exponent) / factor);
  let state = classes;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return Float64Array.from({ length: outer * classes }, () => {
    const value = factor * largest * (2 * random() - 1 + 2 ** -32 * random());
    const scaled = Math.abs(value) < 2 ** Math.max(-1022, leastExponent - exponent) ? 0 : value;
    return dtype === 'float32' ? Math.fround(scaled) : scaled;
  });
}

const tangentOf = (c: number) => 1 + (c % 4) / 4;

interface Expected {
  readonly x: Float64Array;
  readonly target: Int32Array;
  readonly softmax: Float64Array;
  readonly softmin: Float64Array;
  readonly logSoftmax: Float64Array;
  readonly logSumExp: Float64Array;
  /** The size of the largest term of log-sum-exp: where it cancels, the result has its error. */
  readonly terms: Float64Array;
  readonly loss: Float64Array;
  readonly gradient: Float64Array;
  /** Of log-sum-exp along a tangent of 1, 5/4, 3/2, 7/4, 1, … */
  readonly jvp: Float64Array;
  /** Of log-sum-exp along a tangent of the target's class. */
  readonly hvp: Float64Array;
}

const expectations = new Map<string, Expected>();

/** The results at a temperature of `factor`: a power of 2 changes no probability, and divides derivatives. */
function expectedOf(problem: Problem, dtype: DType, factor: number, exponent: number): Expected {
  const x = logitsOf(problem, dtype, factor, exponent);
  const { classes, outer } = problem;
  const key = `${dtype} ${factor} ${classes} ${x[0]} ${x[1]} ${x.filter((v) => v === 0).length}`;
  const known = expectations.get(key);
  if (known) return known;
  const rows = { outer, classes, inner: 1 };
  const options = { temperature: factor };
  const target = Int32Array.from({ length: outer }, (_, row) => row % classes);
  const s = reference.softmax(x, rows, options);
  const tangent = x.map((_, i) => tangentOf(i % classes));
  const logs = reference.logSumExp(x, rows, options);
  const result: Expected = {
    x,
    target,
    softmax: s,
    softmin: reference.softmax(x, rows, { temperature: -factor }),
    logSoftmax: reference.logSoftmax(x, rows, options),
    logSumExp: logs,
    terms: logs.map((value, row) =>
      x
        .subarray(row * classes, (row + 1) * classes)
        .reduce((most, logit) => Math.max(most, Math.abs(logit) / factor), Math.abs(value)),
    ),
    ...referenceCrossEntropy(x, { kind: 'indices', values: target }, rows, { ...options, reduction: 'none' }),
    jvp: reference.logSumExpJvp(x, tangent, rows, options),
    hvp: reference.logSumExpHvp(
      x,
      Float64Array.from({ length: outer }, () => 1),
      x.map((_, i) => (i % classes === target[Math.floor(i / classes)] ? 1 : 0)),
      rows,
      options,
    ),
  };
  expectations.set(key, result);
  return result;
}

/** The largest errors over all problems at temperatures `factor · 2^exponent`. */
async function farErrors(backend: Backend, dtype: DType, exponent: number, which: 'all' | 'some'): Promise<FarErrors> {
  const { bits, leastExponent, mostExponent, least } = limits[dtype];
  const errors: FarErrors = { softmax: 0, logSoftmax: 0, logSumExp: 0, loss: 0, gradient: 0, hvp: 0 };
  for (const factor of factors) {
    for (const problem of problems[which]) {
      const expected = expectedOf(problem, dtype, factor, exponent);
      const { classes, outer } = problem;
      const shape = [outer, classes];
      const temperature = factor * 2 ** exponent;
      const operands: Tensor[] = [];
      const of = (values: Float64Array, ofShape: readonly number[] = shape) => {
        const made = tensor(values, { shape: ofShape, dtype, backend });
        operands.push(made);
        return made;
      };
      /** Records the error of a result times 2^−power, in ULP of the expected value or of `terms` where they are larger. */
      const record = async (name: keyof FarErrors, result: Tensor, exact: Float64Array, power = 0, terms = exact) => {
        const found = await result.data();
        const half = Math.trunc(power / 2);
        result.dispose();
        for (const [i, value] of exact.entries()) {
          const size = Math.max(Math.abs(value), Math.abs(terms[i]));
          const log = Math.floor(Math.log2(size));
          if (!(size >= least) || log + power < leastExponent || log + power > mostExponent - 1) continue;
          const error = Math.abs(found[i] / 2 ** half / 2 ** (power - half) - value) / 2 ** (log - bits);
          if (!(error <= errors[name])) errors[name] = error;
        }
      };
      const unit = 2 ** exponent;
      const x = of(expected.x.map((value) => value * unit));
      const options = { temperature };
      const losses = { temperature, reduction: 'none' } as const;
      const target = [...expected.target];
      const ones = of(new Float64Array(outer).fill(unit), [outer]);
      await record('softmax', softmax(x, options), expected.softmax);
      await record('softmax', softmin(x, options), expected.softmin);
      await record('logSoftmax', logSoftmax(x, options), expected.logSoftmax);
      await record('logSumExp', logSumExp(x, options), expected.logSumExp, 0, expected.terms);
      const { loss, gradient } = crossEntropy(x, target, losses);
      await record('loss', loss, expected.loss);
      await record('gradient', gradient, expected.gradient, -exponent);
      await record('gradient', crossEntropy.vjp(x, target, ones, losses), expected.gradient);
      const p = expected.softmax.map((value) => value / factor);
      await record('gradient', logSumExp.gradient(x, options), p, -exponent);
      await record('gradient', logSumExp.vjp(x, ones, options), p);
      const tangent = of(expected.x.map((_, i) => unit * tangentOf(i % classes)));
      await record('gradient', logSumExp.jvp(x, tangent, options), expected.jvp);
      const isTarget = (i: number) => i % classes === expected.target[Math.floor(i / classes)];
      const ofTarget = of(expected.x.map((_, i) => Number(isTarget(i))));
      // The entry of the target itself cancels.
      const others = expected.hvp.map((value, i) => (isTarget(i) ? 0 : value));
      // Products of large directions stay in the range.
      const along = Math.max(0, exponent);
      const large = of(new Float64Array(outer).fill(2 ** along), [outer]);
      await record('hvp', crossEntropy.hvp(x, target, large, ofTarget, losses), others, along - 2 * exponent);
      for (const operand of operands) operand.dispose();
    }
  }
  return errors;
}

/**
 * @param backendOf gives the backend, which stays open
 * @param bounds in ULP, for each dtype that the backend has
 */
export function testFarTemperatures(
  title: string,
  backendOf: () => Promise<Backend>,
  bounds: Partial<Record<DType, FarErrors>>,
): void {
  for (const [dtype, most] of Object.entries(bounds) as [DType, FarErrors][]) {
    test(`${title}, ${dtype}: results are as accurate at temperatures far from 1 as at others`, async () => {
      const backend = await backendOf();
      const which = inject('everything') ? 'all' : 'some';
      for (const size of exponents[dtype][which]) {
        for (const exponent of [size, -size]) {
          const errors = await farErrors(backend, dtype, exponent, which);
          for (const name of Object.keys(errors) as (keyof FarErrors)[]) {
            expect.soft(errors[name], `${name}, T = 2^${exponent}`).toBeLessThanOrEqual(most[name]);
          }
        }
      }
    });
  }
}
