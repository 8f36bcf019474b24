import * as reference from '../../../reference/functions.js';
import { type Backend, type Rows, softmax, tensor } from '../../../src/index.js';
import { type ConformanceCase, dtypeSuffix } from '../../case.js';
import { assertClose } from '../../check.js';
import { rounded } from '../../inputs.js';
import { owning } from '../../owning.js';
import { checkEach } from '../../sweep.js';
import { operationPrecision, softmaxVjpTolerance } from '../../tolerance.js';
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

/** Cotangents whose sums and differences overflow although the result does not, each with an ordinary row beside it. */
export function hugeCotangents(dtype: RangeDType, axis: 0 | 1): ConformanceCase {
  const id = `vjp/huge-cotangents:axis=${axis}${dtypeSuffix(dtype)}`;
  return fullRangeCase(id, { dtype, classes: 1024 }, (backend) =>
    checkEach(
      [1, 4].flatMap((temperature) => cotangentRows.map(([s, signs]) => ({ s, signs, temperature }))),
      ({ s, temperature }) => `${s.length} classes at temperature ${temperature}`,
      async ({ s, signs, temperature }) => {
        const classes = s.length;
        const rows = axis === 1 ? { outer: 5, classes, inner: 1 } : { outer: 1, classes, inner: 5 };
        const at = (row: number, c: number) => (axis === 1 ? row * classes + c : c * 5 + row);
        const p = new Float64Array(5 * classes);
        const g = new Float64Array(5 * classes);
        for (let row = 0; row < 5; row++) {
          for (let c = 0; c < classes; c++) {
            p[at(row, c)] = rounded(s[c] ?? 0, dtype);
            // The second and the fourth of five rows are ordinary.
            g[at(row, c)] = rounded((signs[c] ?? 0) * (row % 2 ? 1 : largeCotangent[dtype]), dtype);
          }
        }
        const expected = reference.softmaxVjp(p, g, rows, { temperature });
        const tolerance = scaledTolerance(backend, dtype, p, g, expected, rows, temperature);
        const shape = axis === 1 ? [5, classes] : [classes, 5];
        await owning(async (own) => {
          const given = (values: Float64Array) => own(tensor([...values], { shape, dtype, backend }));
          const [probabilities, cotangent] = [given(p), given(g)];
          const result = own(softmax.vjp(probabilities, cotangent, { axis, temperature }));
          assertClose('softmax.vjp', await result.data(), expected, tolerance);
        });
      },
    ),
  );
}

/** The bound for cotangents scaled down by a power of 2, scaled up again; the bound of ordinary rows is unchanged. */
function scaledTolerance(
  backend: Backend,
  dtype: RangeDType,
  p: Float64Array,
  g: Float64Array,
  expected: Float64Array,
  rows: Rows,
  temperature: number,
): Float64Array {
  const precision = operationPrecision(backend.supports, dtype);
  const share = 2 ** -40;
  const small = softmaxVjpTolerance(
    precision,
    p,
    g.map((value) => value * share),
    expected.map((value) => value * share),
    rows,
    { temperature },
  );
  const ordinary = softmaxVjpTolerance(precision, p, g, expected, rows, { temperature });
  return small.map((bound, i) => {
    const ofOrdinary = ordinary[i] ?? Number.NaN;
    // In a row of huge cotangents the bound of one that is 0 overflows, too.
    return Math.abs(g[i] ?? 0) > 2 || !Number.isFinite(ofOrdinary) ? bound / share : ofOrdinary;
  });
}
