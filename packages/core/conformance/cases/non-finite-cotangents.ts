import { softmax as probabilitiesOf } from '../../reference/functions.js';
import { crossEntropy, logSoftmax, logSumExp, type Rows, type Tensor, tensor } from '../../src/index.js';
import { type ConformanceCase, defineCase, dtypeSuffix } from '../case.js';
import { assertSame } from '../check.js';
import { owning } from '../owning.js';
import { checkEach } from '../sweep.js';
import { type RangeDType, rangeDTypes } from './range/full-range.js';

/** One row of probabilities, and its directions. */
interface Row {
  readonly p: readonly number[];
  readonly g: readonly number[];
  /** Nowhere its own mean, unless one class has all of the probability. */
  readonly t: readonly number[];
  /** The cotangent of functions with one value for each row. */
  readonly factor: number;
  readonly target: number;
}

/** What IEEE 754 makes of the formula of a derivative at one entry: only whether it is NaN, infinite or finite is compared. */
type Entry = (row: Row, c: number) => number;

const totalOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
const meanOf = ({ p, t }: Row) => totalOf(p.map((share, c) => share * (t[c] ?? Number.NaN)));

/** `g − p Σ g`, at a p above ½ `g (1 − p) − p Σ_others g`. */
const ofLogSoftmax: Entry = ({ p, g }, c) => {
  const [own = Number.NaN, share = Number.NaN] = [g[c], p[c]];
  if (share > 0.5) return own * (1 - share) - share * totalOf(g.filter((_, k) => k !== c));
  return own - share * totalOf(g);
};

/** `factor · p (t − ⟨p, t⟩)`. */
const curvature = (row: Row, c: number, factor: number) =>
  factor * ((row.p[c] ?? Number.NaN) * ((row.t[c] ?? Number.NaN) - meanOf(row)));

interface Derivative {
  readonly name: string;
  readonly entry: Entry;
  run(operands: Operands): Tensor;
}

interface Operands {
  readonly x: Tensor;
  readonly y: () => Tensor;
  readonly g: Tensor;
  readonly t: Tensor;
  readonly factors: Tensor;
  readonly targets: Int32Array;
  readonly axis: number;
  readonly temperature: number;
}

const derivatives: readonly Derivative[] = [
  { name: 'logSoftmax.vjp', entry: ofLogSoftmax, run: ({ y, g }) => logSoftmax.vjp(y(), g) },
  {
    name: 'logSoftmax.hvp',
    entry: (row, c) => curvature(row, c, -totalOf(row.g)),
    run: ({ y, g, t }) => logSoftmax.hvp(y(), g, t),
  },
  {
    name: 'logSumExp.vjp',
    entry: ({ p, factor }, c) => factor * (p[c] ?? Number.NaN),
    run: ({ x, factors, axis, temperature }) => logSumExp.vjp(x, factors, { axis, temperature }),
  },
  {
    name: 'logSumExp.hvp',
    entry: (row, c) => curvature(row, c, row.factor),
    run: ({ x, factors, t, axis, temperature }) => logSumExp.hvp(x, factors, t, { axis, temperature }),
  },
  {
    name: 'crossEntropy.vjp',
    entry: ({ p, factor, target }, c) => factor * ((p[c] ?? Number.NaN) - Number(c === target)),
    run: ({ x, factors, targets, axis, temperature }) =>
      crossEntropy.vjp(x, targets, factors, { axis, temperature, reduction: 'none' }),
  },
  {
    name: 'crossEntropy.hvp',
    entry: (row, c) => curvature(row, c, row.factor),
    run: ({ x, factors, targets, t, axis, temperature }) =>
      crossEntropy.hvp(x, targets, factors, t, { axis, temperature, reduction: 'none' }),
  },
];

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;

/** Logits times T: nothing above ½, one class above it, classes of probability 0, and one class alone. */
const logits: readonly ((c: number) => number)[] = [
  (c) => (c % 2) / 4,
  (c) => (c === 1 ? 9 : 0),
  (c) => (c % 3 === 2 ? -infinity : 0),
  (c) => (c === 1 ? 0 : -infinity),
];

/** Cotangents that are not finite, by class; class 1 is the largest of most rows. */
const cotangents: readonly ((c: number, last: number) => number | undefined)[] = [
  (c) => (c === 0 ? infinity : undefined),
  (c, last) => (c === last ? -infinity : undefined),
  (c) => (c === 1 ? infinity : undefined),
  (c, last) => (c === 0 || c === last ? -infinity : undefined),
  (c, last) => (c === 0 ? infinity : c === last ? -infinity : undefined),
  (c, last) => (c === 0 ? nan : c === last ? infinity : undefined),
  () => undefined,
];
const factors = [infinity, -infinity, infinity, -infinity, nan, infinity, 1];

const count = logits.length * cotangents.length;

/** Rows of every kind of logits with every kind of cotangents. A finite row is beside each of the others. */
function rowsOf(classes: number, temperature: number) {
  const x = Array.from({ length: count }, (_, row) =>
    Array.from({ length: classes }, (_, c) => (logits[row % logits.length]?.(c) ?? nan) * temperature),
  );
  return x.map((row, r) => {
    const layout: Rows = { outer: 1, classes, inner: 1 };
    const k = Math.floor(r / logits.length);
    return {
      x: row,
      p: Array.from(probabilitiesOf(row, layout, { temperature })),
      g: row.map((_, c) => cotangents[k]?.(c, classes - 1) ?? 1 + (c % 3)),
      t: row.map((_, c) => 3 * Math.sin(1 + 2 * c)),
      factor: factors[k] ?? nan,
      target: r % 2,
    };
  });
}

/** NaN and infinities as they are, and 1 for every finite number. */
const kindOf = (value: number) => (Number.isFinite(value) ? 1 : value);

function cotangentCase({ name, entry, run }: Derivative, dtype: RangeDType): ConformanceCase {
  const id = `extremes/non-finite-cotangent:operation=${name}${dtypeSuffix(dtype)}`;
  return defineCase(id, { dtype, kernel: null, features: ['nonFinite: ieee'] }, (backend) =>
    checkEach(
      [
        { classes: 3, axis: 1, temperature: 1 },
        { classes: 20, axis: 1, temperature: 2 },
        { classes: 5, axis: 0, temperature: 0.5 },
      ],
      ({ classes, axis, temperature }) => `${classes} classes along axis ${axis} at temperature ${temperature}`,
      ({ classes, axis, temperature }) =>
        owning(async (own) => {
          const rows = rowsOf(classes, temperature);
          const shape = axis === 1 ? [count, classes] : [classes, count];
          const laid = (value: (row: (typeof rows)[number], c: number) => number) => {
            const values = new Float64Array(count * classes);
            rows.forEach((row, r) => {
              for (let c = 0; c < classes; c++) values[axis === 1 ? r * classes + c : c * count + r] = value(row, c);
            });
            return values;
          };
          const given = (values: Float64Array, of: readonly number[]) =>
            own(tensor(values, { shape: of, dtype, backend }));
          const x = given(
            laid((row, c) => row.x[c] ?? nan),
            shape,
          );
          const found = own(
            run({
              x,
              y: () => own(logSoftmax(x, { axis, temperature })),
              g: given(
                laid((row, c) => row.g[c] ?? nan),
                shape,
              ),
              t: given(
                laid((row, c) => row.t[c] ?? nan),
                shape,
              ),
              factors: given(
                Float64Array.from(rows, ({ factor }) => factor),
                [count],
              ),
              targets: Int32Array.from(rows, ({ target }) => target),
              axis,
              temperature,
            }),
          );
          const expected = laid((row, c) => kindOf(entry(row, c)));
          assertSame(name, Float64Array.from(await found.data(), kindOf), expected);
        }),
    ),
  );
}

/**
 * A cotangent that multiplies what is computed from the logits and the tangent, as that of log-sum-exp and cross-entropy and the sum of that of log-softmax
 * do, gives infinities where it is infinite, and NaN where it multiplies 0.
 */
export const nonFiniteCotangents: readonly ConformanceCase[] = rangeDTypes.flatMap((dtype) =>
  derivatives.map((derivative) => cotangentCase(derivative, dtype)),
);
