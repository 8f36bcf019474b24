import { elements } from '../../reference/row-entries.js';
import {
  type Backend,
  crossEntropy,
  type FloatDType,
  type HostArray,
  logSoftmax,
  logSumExp,
  softmax,
  type Tensor,
  tensor,
} from '../../src/index.js';
import { type ConformanceCase, defineCase, dtypeSuffix, type Requirements } from '../case.js';
import { assert, assertClose } from '../check.js';
import { cycled, cycledTo } from '../inputs.js';
import { owning } from '../owning.js';
import { operationPrecision } from '../tolerance.js';

/** Functions of rows of logits; those of cross-entropy have class 0 as the target of every row. */
const functions = {
  softmax,
  logSoftmax,
  logSumExp,
  'crossEntropy.loss': (x: Tensor) => crossEntropy.loss(x, classesOf(x), { reduction: 'none' }),
  'crossEntropy.gradient': (x: Tensor) => crossEntropy.gradient(x, classesOf(x), { reduction: 'sum' }),
} satisfies Readonly<Record<string, (x: Tensor) => Tensor>>;

type Name = keyof typeof functions;

/** Operands of a derivative: one with the NaN, logits of 0, and a direction without. */
interface Operands {
  readonly v: Tensor;
  readonly x: Tensor;
  readonly w: Tensor;
  readonly own: (made: Tensor) => Tensor;
}

/** Derivatives of these functions whose cotangent or tangent has the NaN. */
const derivatives: Readonly<Partial<Record<Name, readonly ((operands: Operands) => Tensor)[]>>> = {
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

/** Derivatives of these functions in rows of logits that have the NaN. */
const ofUndefined: typeof derivatives = {
  softmax: [({ v, w, own }) => softmax.vjp(own(softmax(v)), w), ({ v, w, own }) => softmax.hvp(own(softmax(v)), w, w)],
  logSoftmax: [
    ({ v, w, own }) => logSoftmax.vjp(own(logSoftmax(v)), w),
    ({ v, w, own }) => logSoftmax.jvp(own(logSoftmax(v)), w),
    ({ v, w, own }) => logSoftmax.hvp(own(logSoftmax(v)), w, w),
  ],
  logSumExp: [
    ({ v, w }) => logSumExp.jvp(v, w),
    ({ v, x, own }) => logSumExp.vjp(v, own(logSumExp(x))),
    ({ v, x, w, own }) => logSumExp.hvp(v, own(logSumExp(x)), w),
  ],
  'crossEntropy.gradient': [
    ({ v, w }) => crossEntropy.jvp(v, classesOf(v), w, { reduction: 'none' }),
    ({ v, x, own }) => crossEntropy.vjp(v, classesOf(v), own(logSumExp(x)), { reduction: 'none' }),
  ],
};

/** What a derivative may not hide in its direction. */
const notFinite = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
/** Logits for which a row is undefined. */
const undefining = [Number.NaN, Number.POSITIVE_INFINITY, Number.NaN];
/** Whether a result is what `first` in a row must not lead to. */
const isHidden = (first: number, value: number) =>
  Number.isNaN(first) ? !Number.isNaN(value) : Number.isFinite(value);

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

/** Longer than a vector, than several vectors, and than blocks of 64, 256 and 1024, each with a rest that is no whole vector. */
const longRows = { float32: [13, 37, 70, 299, 1037], float64: [13, 37, 70, 299] } as const;

/** Where the rows are not finite: at the end, in the second or third vector, in the middle, in the last whole vector of four, and at the beginning. */
const placesIn = (classes: number) => [classes - 1, 9, classes >> 1, classes - 5, 0];

/** Three of four rows are not finite. Each value is in each place of the shortest rows, and some value in the most important places of all. */
const rowsOf = (classes: number) => (classes < 64 ? 20 : classes < 512 ? 8 : 4);

/**
 * A NaN makes its own row NaN and no other: what an engine finds out about several rows at once, such as their largest logit, must not miss
 * those that share a lane with it. A direction that is NaN makes all derivatives of its row NaN, an infinite one leaves none of them finite.
 */
function besideNan(name: Name, dtype: Exclude<FloatDType, 'float16'>): ConformanceCase {
  const id = `row-groups/beside-nan:operation=${name}${dtypeSuffix(dtype)}`;
  const requires: Requirements = {
    dtype,
    kernel: null,
    classes: Math.max(...longRows[dtype]),
    features: ['nonFinite: ieee'],
  };
  return defineCase(id, requires, async (backend) => {
    for (const place of places) {
      for (const gap of gaps[dtype]) await assertShortRows(backend, name, dtype, place, gap);
    }
    for (const classes of longRows[dtype]) await assertLongRows(backend, name, dtype, classes);
  });
}

/** A NaN in one of several short rows, and a logit far from all others in another row. */
async function assertShortRows(
  backend: Backend,
  name: Name,
  dtype: FloatDType,
  { classes, nan, far }: (typeof places)[number],
  gap: number,
): Promise<void> {
  const unit = 64 * operationPrecision(backend.supports, dtype).unit;
  const what = `${name} of ${classes} classes, NaN at ${nan} and ${gap} at ${far}`;
  await owning(async (own) => {
    const filled = (value: (i: number) => number) =>
      own(tensor(elements(rows * classes, value), { shape: [rows, classes], dtype, backend }));
    const made = (first: number) => filled((i) => (i === nan ? first : i === far ? gap : 0));
    const check = async (
      label: string,
      computed: (v: Tensor) => Tensor,
      firsts: readonly number[],
      isDerivative: boolean,
    ) => {
      const expected = await own(computed(made(0))).data();
      const perRow = expected.length / rows;
      const isOther = (i: number) => Math.floor(i / perRow) !== Math.floor(nan / classes);
      const others = (values: HostArray) => values.filter((_: number, i: number) => isOther(i));
      const wanted = others(expected);
      const bounds = wanted.map((value) => unit * Math.max(1, Math.abs(value)));
      for (const first of firsts) {
        const found = await own(computed(made(first))).data();
        assertClose(`${label} (${first})`, others(found), wanted, bounds);
        const at = found.findIndex((value: number, i: number) => isDerivative && !isOther(i) && isHidden(first, value));
        assert(at < 0, `${label} (${first}): ${first} in a direction is hidden: element ${at} is ${found[at]}`);
      }
    };
    await check(what, functions[name], [Number.NaN], false);
    // One place is enough: kernels of derivatives have no search for the largest of several rows.
    if (nan !== places[1]?.nan || gap < 0) return;
    const w = filled((i) => (i % 7) - 3);
    for (const logit of [0, 3]) {
      const x = filled((i) => (i % classes === 0 ? logit : 0));
      for (const [k, derivative] of (derivatives[name] ?? []).entries()) {
        const label = `derivative ${k + 1} of ${what}, logits ${logit} and 0`;
        await check(label, (v) => derivative({ v, x, w, own }), notFinite, true);
      }
    }
  });
}

/** What is not finite in one class of a row is in all results of the row, wherever the class is, and in none of the next row. */
async function assertLongRows(backend: Backend, name: Name, dtype: FloatDType, classes: number): Promise<void> {
  const count = rowsOf(classes);
  const length = count * classes;
  const places = placesIn(classes);
  /** The class of each row that is not finite, and its value; none in a finite row. */
  const specialsOf = (values: readonly number[]) =>
    Array.from({ length: count }, (_, row) => {
      const k = row - (row >> 2);
      return row % 4 < 3 ? { at: cycled(places, k), first: cycled(values, k) } : null;
    });
  await owning(async (own) => {
    const made = (values: Float64Array) => own(tensor(values, { shape: [count, classes], dtype, backend }));
    const w = made(cycledTo(length, [-3, -2, -1, 0, 1, 2, 3]));
    const x = made(cycledTo(length, [3, ...new Array<number>(classes - 1).fill(0)]));
    const check = async (
      values: readonly number[],
      computed: readonly (readonly [what: string, of: (v: Tensor) => Tensor])[],
    ) => {
      const specials = specialsOf(values);
      const data = new Float64Array(length);
      specials.forEach((special, row) => {
        if (special) data[row * classes + special.at] = special.first;
      });
      const v = made(data);
      for (const [what, result] of computed.map(([what, of]) => [what, own(of(v))] as const)) {
        const found = await result.data();
        const perRow = found.length / count;
        const at = found.findIndex((value: number, i: number) => {
          const special = specials[Math.floor(i / perRow)];
          return special ? isHidden(special.first, value) : !Number.isFinite(value);
        });
        if (at < 0) continue;
        const row = Math.floor(at / perRow);
        const special = specials[row];
        const where = special ? `${special.first} in class ${special.at}` : 'nothing but finite numbers';
        throw new Error(`${what} of ${classes} classes: row ${row} has ${where}, but element ${at} is ${found[at]}`);
      }
    };
    const bound = (list: typeof derivatives, what: string) =>
      (list[name] ?? []).map(
        (derivative, k) =>
          [`derivative ${k + 1} of ${name} ${what}`, (v: Tensor) => derivative({ v, x, w, own })] as const,
      );
    await check(undefining, [[name, functions[name]], ...bound(ofUndefined, 'at logits that are not finite')]);
    await check(notFinite, bound(derivatives, 'along a direction that is not finite'));
  });
}

/** Rows beside one that contains NaN. */
export const besideNans: readonly ConformanceCase[] = (['float32', 'float64'] as const).flatMap((dtype) =>
  (Object.keys(functions) as Name[]).map((name) => besideNan(name, dtype)),
);
