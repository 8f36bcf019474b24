import { rowIndices, softmaxVjp } from '../../../reference/functions.js';
import { softmax, tensor } from '../../../src/index.js';
import { type ConformanceCase, dtypeSuffix } from '../../case.js';
import { assertClose } from '../../check.js';
import { rounded } from '../../inputs.js';
import { memoized, memoizedFor } from '../../memo.js';
import { owning } from '../../owning.js';
import { precisionIn } from '../../problem.js';
import { checkEach } from '../../sweep.js';
import { type Precision, softmaxVjpTolerance } from '../../tolerance.js';
import { fullRangeCase, type RangeDType } from './full-range.js';

const largeCotangent = { float32: 3e38, float64: 1.7e308 } as const satisfies Record<RangeDType, number>;

/** Probabilities, and signs of the largest cotangents. */
const cotangentRows: readonly (readonly [s: readonly number[], signs: readonly number[]])[] = [
  [
    [0.5, 0.5],
    [1, -1],
  ],
  [
    [1 - 2 ** -20, 2 ** -20],
    [1, -1],
  ],
  [
    [0.25, 0.25, 0.5],
    [1, -1, 1],
  ],
  ...[4, 8, 16, 32, 128, 1024].map(
    (classes) =>
      [
        new Array<number>(classes).fill(1 / classes),
        Array.from({ length: classes }, (_, c) => (c % 3 === 0 ? 1 : -1)),
      ] as const,
  ),
  ...[4, 7, 33, 257].map(
    (classes) =>
      [
        Array.from({ length: classes }, (_, c) => (c === 0 ? 0.75 : 0.25 / (classes - 1))),
        Array.from({ length: classes }, (_, c) => (c === 0 ? 1 : c % 2 ? -1 : 0)),
      ] as const,
  ),
];

/** Rows of the probabilities, the cotangents with an ordinary row beside each row of huge ones, and the vjp with its bounds. */
const problem = memoized((dtype: RangeDType, axis: 0 | 1, row: number, temperature: number) => {
  const [s, signs] = cotangentRows[row] ?? [[], []];
  const classes = s.length;
  const rows = axis === 1 ? { outer: 5, classes, inner: 1 } : { outer: 1, classes, inner: 5 };
  const p = new Float64Array(5 * classes);
  const g = new Float64Array(5 * classes);
  rowIndices(rows).forEach((at, r) => {
    at.forEach((i, c) => {
      p[i] = rounded(s[c] ?? 0, dtype);
      // The second and the fourth of five rows are ordinary.
      g[i] = rounded((signs[c] ?? 0) * (r % 2 ? 1 : largeCotangent[dtype]), dtype);
    });
  });
  const expected = softmaxVjp(p, g, rows, { temperature });
  const bounds = (precision: Precision, scale: number) =>
    softmaxVjpTolerance(
      precision,
      p,
      g.map((value) => value * scale),
      expected.map((value) => value * scale),
      rows,
      {
        temperature,
      },
    );
  /** In a row of huge cotangents, the bound of cotangents scaled down by a power of 2, scaled up again. */
  const toleranceOf = memoizedFor((precision: Precision) => {
    const share = 2 ** -40;
    const small = bounds(precision, share);
    const ordinary = bounds(precision, 1);
    return small.map((bound, i) => {
      const ofOrdinary = ordinary[i] ?? Number.NaN;
      // In a row of huge cotangents the bound of one that is 0 overflows, too.
      return Math.abs(g[i] ?? 0) > 2 || !Number.isFinite(ofOrdinary) ? bound / share : ofOrdinary;
    });
  });
  return { shape: axis === 1 ? [5, classes] : [classes, 5], p, g, expected, toleranceOf };
});

/** Cotangents whose sums and differences overflow although the result does not, each with an ordinary row beside it. */
export function hugeCotangents(dtype: RangeDType, axis: 0 | 1): ConformanceCase {
  const id = `vjp/huge-cotangents:axis=${axis}${dtypeSuffix(dtype)}`;
  return fullRangeCase(id, { dtype, classes: 1024 }, (backend) =>
    checkEach(
      [1, 4].flatMap((temperature) => cotangentRows.map(([{ length }], row) => ({ row, length, temperature }))),
      ({ length, temperature }) => `${length} classes at temperature ${temperature}`,
      ({ row, temperature }) => {
        const { shape, p, g, expected, toleranceOf } = problem(dtype, axis, row, temperature);
        return owning(async (own) => {
          const given = (values: Float64Array) => own(tensor([...values], { shape, dtype, backend }));
          const [probabilities, cotangent] = [given(p), given(g)];
          const result = own(softmax.vjp(probabilities, cotangent, { axis, temperature }));
          const tolerance = toleranceOf(precisionIn(backend, dtype, 'operation'));
          assertClose('softmax.vjp', await result.data(), expected, tolerance);
        });
      },
    ),
  );
}
