import { elements } from '../../reference/row-entries.js';
import { crossEntropy, type FloatDType, logSoftmax, logSumExp, softmax, type Tensor, tensor } from '../../src/index.js';
import { type ConformanceCase, defineCase, dtypeOnly } from '../case.js';
import { assert, assertClose } from '../check.js';
import { owning } from '../owning.js';
import { operationPrecision } from '../tolerance.js';

/** Functions of rows of logits; those of cross-entropy have class 0 as the target of every row. */
const functions: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  softmax,
  logSoftmax,
  logSumExp,
  'crossEntropy.loss': (x) => crossEntropy.loss(x, classesOf(x), { reduction: 'none' }),
  'crossEntropy.gradient': (x) => crossEntropy.gradient(x, classesOf(x), { reduction: 'sum' }),
};

/** Operands of a derivative: one with the NaN, logits of 0, and a direction without. */
interface Operands {
  readonly v: Tensor;
  readonly x: Tensor;
  readonly w: Tensor;
  readonly own: (made: Tensor) => Tensor;
}

/** Derivatives of these functions whose cotangent or tangent has the NaN. */
const derivatives: Readonly<Record<string, readonly ((operands: Operands) => Tensor)[]>> = {
  softmax: [
    ({ v, x, own }) => softmax.vjp(own(softmax(x)), v),
    ({ v, x, w, own }) => softmax.hvp(own(softmax(x)), v, w),
    ({ v, x, w, own }) => softmax.hvp(own(softmax(x)), w, v),
  ],
  logSoftmax: [
    ({ v, x, own }) => logSoftmax.vjp(own(logSoftmax(x)), v),
    ({ v, x, own }) => logSoftmax.jvp(own(logSoftmax(x)), v),
    ({ v, x, w, own }) => logSoftmax.hvp(own(logSoftmax(x)), v, w),
    ({ v, x, w, own }) => logSoftmax.hvp(own(logSoftmax(x)), w, v),
  ],
  logSumExp: [
    ({ v, x }) => logSumExp.jvp(x, v),
    ({ v, x, own }) => logSumExp.vjp(x, own(logSumExp.jvp(x, v))),
    ({ v, x, w, own }) => logSumExp.hvp(x, own(logSumExp.jvp(x, v)), w),
    ({ v, x, own }) => logSumExp.hvp(x, own(logSumExp(x)), v),
  ],
  'crossEntropy.gradient': [
    ({ v, x }) => crossEntropy.jvp(x, classesOf(x), v, { reduction: 'none' }),
    ({ v, x, own }) => crossEntropy.vjp(x, classesOf(x), own(logSumExp.jvp(x, v)), { reduction: 'none' }),
  ],
};

/** What a derivative may not hide in its direction. */
const notFinite = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

const rows = 9;
const classesOf = ({ shape: [count = 0] }: Tensor) => new Int32Array(count);

/** Beyond the range of exp, above and below the other logits. */
const gaps = { float32: [150, -150], float64: [800, -800] } as const;

/** Where the NaN is and where one logit is far from all others: in another row, and in the same lane of any vector of up to 8 elements. */
const places = [2, 3, 5, 17].flatMap((classes) =>
  [1, 2, 3, 6].map((nan) => {
    const end = classes * (Math.floor(nan / classes) + 1);
    return { classes, nan, far: nan + 8 * Math.ceil((end - nan) / 8) };
  }),
);

/**
 * A NaN makes its own row NaN and no other: what an engine finds out about several rows at once, such as their largest logit, must not miss
 * those that share a lane with it. A direction that is NaN makes all derivatives of its row NaN, an infinite one leaves none of them finite.
 */
function besideNan(name: string, dtype: Exclude<FloatDType, 'float16'>): ConformanceCase {
  const f = functions[name] ?? softmax;
  const id = `row-groups/beside-nan:operation=${name}${dtypeOnly(dtype).replace(':', ';')}`;
  return defineCase(id, { dtype, kernel: null, features: ['nonFinite: ieee'] }, async (backend) => {
    const unit = 64 * operationPrecision(backend.supports, dtype).unit;
    for (const { classes, nan, far } of places) {
      for (const gap of gaps[dtype]) {
        const what = `${name} of ${classes} classes, NaN at ${nan} and ${gap} at ${far}`;
        await owning(async (own) => {
          const made = (first: number) => {
            const values = new Float64Array(rows * classes);
            values[nan] = first;
            values[far] = gap;
            return own(tensor(values, { shape: [rows, classes], dtype, backend }));
          };
          const filled = (value: (i: number) => number) =>
            own(tensor(elements(rows * classes, value), { shape: [rows, classes], dtype, backend }));
          const compare = async (
            label: string,
            computed: (v: Tensor) => Tensor,
            first: number,
            isOwnChecked: boolean,
          ) => {
            const [bad, good] = [own(computed(made(first))), own(computed(made(0)))];
            const [found, expected] = [await bad.data(), await good.data()];
            const perRow = found.length / rows;
            const own0 = perRow * Math.floor(nan / classes);
            const isOther = (_: number, i: number) => i < own0 || i >= own0 + perRow;
            const wanted = expected.filter(isOther);
            const bounds = wanted.map((value) => unit * Math.max(1, Math.abs(value)));
            assertClose(label, found.filter(isOther), wanted, bounds);
            const isHidden = (value: number) => (Number.isNaN(first) ? !Number.isNaN(value) : Number.isFinite(value));
            const at = isOwnChecked ? found.slice(own0, own0 + perRow).findIndex(isHidden) : -1;
            assert(at < 0, `${label}: ${first} in a direction is hidden: element ${own0 + at} is ${found[own0 + at]}`);
          };
          await compare(what, f, Number.NaN, false);
          // One place is enough: kernels of derivatives have no search for the largest of several rows.
          if (nan !== places[1]?.nan || gap < 0) return;
          const w = filled((i) => (i % 7) - 3);
          for (const logit of [0, 3]) {
            const x = filled((i) => (i % classes === 0 ? logit : 0));
            for (const first of notFinite) {
              for (const [k, derivative] of (derivatives[name] ?? []).entries()) {
                await compare(
                  `derivative ${k + 1} of ${what} (${first}), logits ${logit} and 0`,
                  (v) => derivative({ v, x, w, own }),
                  first,
                  true,
                );
              }
            }
          }
        });
      }
    }
  });
}

/** Rows beside one that contains NaN. */
export const besideNans: readonly ConformanceCase[] = (['float32', 'float64'] as const).flatMap((dtype) =>
  Object.keys(functions).map((name) => besideNan(name, dtype)),
);
