import { expect, test } from 'vitest';

const constants = { float32: 2 ** 16, float64: -(2 ** 40) } as const;
const units = { float32: 2 ** -24, float64: 2 ** -53 } as const;

type TestedDType = keyof typeof constants;

export interface TangentProblem {
  readonly logits: Float64Array;
  readonly tangent: Float64Array;
  readonly shape: readonly [number, number];
  readonly axis: 0 | 1;
  readonly dtype: TestedDType;
}

export interface LossProblem extends TangentProblem {
  /** Probabilities in the layout of the logits, or an index for each row. */
  readonly target: Float64Array | readonly number[];
  readonly labelSmoothing: number;
}

/** Rows of the lengths for which kernels differ. Tangents are multiples of 1/64 in ±1, so that their sums with a constant are exact. */
function problems(dtype: TestedDType): readonly TangentProblem[] {
  const shapes = [
    [[4, 10], 1],
    [[3, 130], 1],
    [[2, 300], 1],
    [[40, 5], 0],
  ] as const;
  return shapes.map(([shape, axis]) => {
    const length = shape[0] * shape[1];
    const logits = Float64Array.from({ length }, (_, i) => Math.cos(i * i));
    const tangent = Float64Array.from({ length }, (_, i) => Math.round(60 * Math.sin(i)) / 64);
    return { logits, tangent, shape, axis, dtype };
  });
}

async function expectSame<P extends TangentProblem>(
  jvp: (problem: P) => Promise<ArrayLike<number>>,
  problem: P,
  label: string,
) {
  const { tangent, shape, axis, dtype } = problem;
  const expected = await jvp(problem);
  const found = await jvp({ ...problem, tangent: tangent.map((v) => v + constants[dtype]) });
  for (let i = 0; i < expected.length; i++)
    expect(Math.abs(found[i] - expected[i]), `${shape} over ${axis}, ${label}${i}`).toBeLessThan(200 * units[dtype]);
}

/**
 * A large constant that all tangents of `logSoftmax.jvp` have in common costs no digits. The conformance suite cannot require it: it compares with
 * `t − ⟨exp(y), t⟩` of a rounded y, whose Σ exp(y) is not 1.
 */
export function testCommonConstant(
  dtypes: readonly TestedDType[],
  jvp: (problem: TangentProblem) => Promise<ArrayLike<number>>,
): void {
  test.each(dtypes)('tangents of log-softmax keep their digits beside a constant in common, %s', async (dtype) => {
    for (const problem of problems(dtype)) await expectSame(jvp, problem, '');
  });
}

export interface CotangentProblem extends Omit<TangentProblem, 'logits' | 'tangent'> {
  readonly probabilities: Float64Array;
  readonly cotangent: Float64Array;
}

/** The same of `softmax.vjp`, for each length of short rows and some longer ones, with the bits of each probability: half of the rows have one above ½. */
export function testCommonConstantOfVjp(
  dtypes: readonly TestedDType[],
  vjp: (problem: CotangentProblem) => Promise<ArrayLike<number>>,
): void {
  test.each(dtypes)('cotangents of softmax keep their digits beside a constant in common, %s', async (dtype) => {
    for (const classes of [4, 5, 6, 7, 8, 9, 10, 15, 16, 17, 63, 64, 65, 130]) {
      const shape = [6, classes] as const;
      const length = 6 * classes;
      const cotangent = Float64Array.from({ length }, (_, i) => Math.round(60 * Math.sin(i)) / 64);
      const probabilities = softmaxOfRows(length, classes, dtype);
      const problem = { probabilities, cotangent, shape, axis: 1, dtype } as const;
      const expected = await vjp(problem);
      const found = await vjp({ ...problem, cotangent: cotangent.map((v) => v + constants[dtype]) });
      for (let i = 0; i < length; i++) {
        const bound = 200 * units[dtype] * probabilities[i];
        expect(Math.abs(found[i] - expected[i]), `${shape}, ${i}`).toBeLessThanOrEqual(bound);
      }
    }
  });
}

function softmaxOfRows(length: number, classes: number, dtype: TestedDType): Float64Array {
  const e = Float64Array.from({ length }, (_, i) => {
    const [row, c] = [Math.floor(i / classes), i % classes];
    return Math.exp(Math.cos(i * i) / 2 + (row % 2 === 1 && c === (5 * row) % classes ? 6 : 0));
  });
  for (let start = 0; start < length; start += classes) {
    const row = e.subarray(start, start + classes);
    const total = row.reduce((sum, v) => sum + v, 0);
    for (const [c, v] of row.entries()) row[c] = dtype === 'float32' ? Math.fround(v / total) : v / total;
  }
  return e;
}

/** The same of `crossEntropy.jvp` of the sum of each row, with targets that add up to 1 and others. */
export function testCommonConstantOfLoss(
  dtypes: readonly TestedDType[],
  jvp: (problem: LossProblem) => Promise<ArrayLike<number>>,
): void {
  test.each(dtypes)('tangents of cross-entropy keep their digits beside a constant in common, %s', async (dtype) => {
    for (const problem of problems(dtype)) {
      const { shape, axis, logits } = problem;
      const indices = Array.from({ length: shape[1 - axis] }, (_, row) => (3 * row) % shape[axis]);
      const unnormalised = logits.map((logit) => (1 + Math.round(8 * logit) / 8) / shape[axis]);
      await expectSame(jvp, { ...problem, target: indices, labelSmoothing: 0 }, 'indices, ');
      await expectSame(jvp, { ...problem, target: indices, labelSmoothing: 0.25 }, 'smoothed, ');
      await expectSame(jvp, { ...problem, target: unnormalised, labelSmoothing: 0 }, 'probabilities, ');
    }
  });
}
