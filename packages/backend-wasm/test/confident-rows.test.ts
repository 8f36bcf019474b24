import { crossEntropy, type Tensor, tensor } from '@softgrad/core';
import { referenceCrossEntropy } from '@softgrad/core/conformance';
import { expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { withRelaxedSimd } from './relaxed.js';

interface Target {
  readonly what: string;
  /** The weights of a row whose first class has all but `rest` of them, or the options that give such weights. */
  readonly of: (
    classes: number,
    rest: number,
  ) => { readonly q?: readonly number[]; readonly labelSmoothing?: number; readonly weight?: readonly number[] };
}

const rests = (classes: number, rest: number, first: number): readonly number[] =>
  Array.from({ length: classes }, (_, c) => (c === 0 ? first : (rest * (1 + (c % 3))) / classes));

const targets: readonly Target[] = [
  { what: 'probabilities', of: (classes, rest) => ({ q: rests(classes, rest, 1) }) },
  { what: 'label smoothing', of: (_, rest) => ({ labelSmoothing: rest }) },
  {
    what: 'weights and label smoothing',
    of: (classes, rest) => ({ labelSmoothing: 0.125, weight: rests(classes, rest, 1) }),
  },
];

test.each([
  ['float32', false],
  ['float32', true],
  ['float64', false],
] as const)(
  '%s, relaxed SIMD %s: the gradient at a class that has nearly all of the probability and of the target is that of the small rest',
  async (dtype, relaxedSimd) => {
    const backend = await withRelaxedSimd(() => wasm.open({ relaxedSimd }));
    const unit = dtype === 'float32' ? 2 ** -24 : 2 ** -53;
    const round = (values: readonly number[]) =>
      dtype === 'float32' ? new Float32Array(values) : Float64Array.from(values);
    for (const classes of [2, 3, 8, 40, 300]) {
      // Powers of two, so that 1 − labelSmoothing is exact where the rest is not smaller than an ULP.
      for (const rest of [2 ** -8, 2 ** -20, 2 ** -34, 2 ** -60]) {
        for (const gap of [12, 30, 60]) {
          for (const { what, of } of targets) {
            const { q, labelSmoothing = 0, weight } = of(classes, rest);
            const x = round(Array.from({ length: classes }, (_, c) => (c === 0 ? gap : c / classes)));
            const options = { reduction: 'none', labelSmoothing, ...(weight && { weight: round(weight) }) } as const;
            const values = q ? round(q) : Int32Array.of(0);
            const { gradient: expected } = referenceCrossEntropy(
              Float64Array.from(x),
              { kind: q ? 'probabilities' : 'indices', values: Float64Array.from(values) },
              { outer: 1, classes, inner: 1 },
              options,
            );
            const rows: Tensor = tensor({ data: x, shape: [1, classes] }, { backend });
            const target = q ? tensor({ data: values, shape: [1, classes] }, { backend }) : [0];
            const [actual = Number.NaN] = crossEntropy.gradient(rows, target, options).dataSync();
            const [wanted = Number.NaN] = expected;
            // The terms whose difference it is are rounded: the rest of the target, and that of the probabilities.
            const others = expected.reduce((sum, value, c) => (c === 0 ? sum : sum + Math.abs(value)), 0);
            const within = Math.abs(actual - wanted) <= 8 * unit * Math.max(others, Math.abs(wanted));
            expect({ what, classes, rest, gap, within }).toEqual({ what, classes, rest, gap, within: true });
          }
        }
      }
    }
  },
);
