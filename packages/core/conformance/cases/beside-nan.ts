import { crossEntropy, type FloatDType, logSoftmax, logSumExp, softmax, type Tensor, tensor } from '../../src/index.js';
import { type ConformanceCase, defineCase, dtypeOnly } from '../case.js';
import { assertClose } from '../check.js';
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
 * those that share a lane with it.
 */
function besideNan(name: string, dtype: Exclude<FloatDType, 'float16'>): ConformanceCase {
  const f = functions[name] ?? softmax;
  const id = `row-groups/beside-nan:operation=${name}${dtypeOnly(dtype).replace(':', ';')}`;
  return defineCase(id, { dtype, kernel: null, features: ['nonFinite: ieee'] }, async (backend) => {
    const unit = 64 * operationPrecision(backend.supports, dtype).unit;
    for (const { classes, nan, far } of places) {
      for (const gap of gaps[dtype]) {
        await owning(async (own) => {
          const computed = async (first: number) => {
            const values = new Float64Array(rows * classes);
            values[nan] = first;
            values[far] = gap;
            const x = own(tensor(values, { shape: [rows, classes], dtype, backend }));
            return own(f(x)).data();
          };
          const [found, expected] = [await computed(Number.NaN), await computed(0)];
          const perRow = found.length / rows;
          const own0 = perRow * Math.floor(nan / classes);
          const what = `${name} of ${classes} classes, NaN at ${nan} and ${gap} at ${far}`;
          const isOther = (_: number, i: number) => i < own0 || i >= own0 + perRow;
          const wanted = expected.filter(isOther);
          assertClose(
            what,
            found.filter(isOther),
            wanted,
            wanted.map((value) => unit * Math.max(1, Math.abs(value))),
          );
        });
      }
    }
  });
}

/** Rows beside one that contains NaN. */
export const besideNans: readonly ConformanceCase[] = (['float32', 'float64'] as const).flatMap((dtype) =>
  Object.keys(functions).map((name) => besideNan(name, dtype)),
);
