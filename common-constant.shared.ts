import { expect, test } from 'vitest';

const constants = { float32: 2 ** 16, float64: -(2 ** 40) } as const;
const units = { float32: 2 ** -24, float64: 2 ** -53 } as const;

export interface TangentProblem {
  readonly logits: Float64Array;
  readonly tangent: Float64Array;
  readonly shape: readonly number[];
  readonly axis: number;
  readonly dtype: keyof typeof constants;
}

/**
 * A large constant that all tangents of `logSoftmax.jvp` have in common costs no digits. The conformance suite cannot require it: it compares with
 * `t − ⟨exp(y), t⟩` of a rounded y, whose Σ exp(y) is not 1.
 */
export function testCommonConstant(
  dtypes: readonly TangentProblem['dtype'][],
  jvp: (problem: TangentProblem) => Promise<ArrayLike<number>>,
): void {
  test.each(dtypes)('tangents of log-softmax keep their digits beside a constant in common, %s', async (dtype) => {
    for (const [shape, axis] of [
      [[4, 10], 1],
      [[3, 130], 1],
      [[2, 300], 1],
      [[40, 5], 0],
    ] as const) {
      const length = shape[0] * shape[1];
      const logits = Float64Array.from({ length }, (_, i) => Math.cos(i * i));
      const tangent = Float64Array.from({ length }, (_, i) => Math.round(60 * Math.sin(i)) / 64);
      const shifted = tangent.map((v) => v + constants[dtype]);
      const expected = await jvp({ logits, tangent, shape, axis, dtype });
      const found = await jvp({ logits, tangent: shifted, shape, axis, dtype });
      for (let i = 0; i < length; i++)
        expect(Math.abs(found[i] - expected[i]), `${shape} over ${axis}, ${i}`).toBeLessThan(200 * units[dtype]);
    }
  });
}
