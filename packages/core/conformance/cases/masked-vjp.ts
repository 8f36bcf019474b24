import { softmax as probabilitiesOf, softmaxVjp } from '../../reference/functions.js';
import { type Backend, type FloatDType, type Rows, softmax, tensor } from '../../src/index.js';
import { type ConformanceCase, defineCase, dtypeSuffix, floatDTypes } from '../case.js';
import { assertClose } from '../check.js';
import { cotangents, cycled, logits, rounded } from '../inputs.js';
import { owning } from '../owning.js';
import { precisionIn } from '../problem.js';
import { checkEach } from '../sweep.js';
import { softmaxVjpTolerance } from '../tolerance.js';

interface Call {
  readonly classes: number;
  /** How many of the dimensions of the logits the mask has, the last of them: it repeats over the others. */
  readonly dimensions: 1 | 2 | 3;
  /** Along another axis than the last, classes are not adjacent in memory. */
  readonly axis: 1 | 2;
  readonly temperature: number;
}

/** Rows that kernels compute in lanes, one by one, and in parts. */
const lengths = [1, 2, 3, 5, 8, 13, 20, 37, 70, 131, 300];

const calls: readonly Call[] = lengths.flatMap((classes) =>
  ([1, 2, 3] as const).flatMap((dimensions) => [
    { classes, dimensions, axis: 2, temperature: 1 } as const,
    ...(classes === 5 || classes === 37 ? [{ classes, dimensions, axis: 1, temperature: 0.5 } as const] : []),
  ]),
);

function maskedVjpCase(dtype: FloatDType): ConformanceCase {
  const id = `vjp/masks:classes=1..${Math.max(...lengths)}${dtypeSuffix(dtype)}`;
  return defineCase(id, { dtype, kernel: 'maskedVjp', classes: Math.max(...lengths) }, (backend) =>
    checkEach(
      calls,
      ({ classes, dimensions, axis }) => `${classes} classes along axis ${axis}, a mask of ${dimensions} dimensions`,
      (call) => assertMaskedVjp(backend, dtype, call),
    ),
  );
}

/** Rows some of whose entries, which have the cotangents that would be noticed most, are left out. In some rows they all are. */
async function assertMaskedVjp(backend: Backend, dtype: FloatDType, call: Call): Promise<void> {
  const { classes, dimensions, axis, temperature } = call;
  const shape = axis === 2 ? [3, 4, classes] : [3, classes, 4];
  const rows: Rows = axis === 2 ? { outer: 12, classes, inner: 1 } : { outer: 3, classes, inner: 4 };
  const size = 12 * classes;
  const ofMask = shape.slice(3 - dimensions);
  const period = ofMask.reduce((a, b) => a * b, 1);
  const classOf = (i: number) => (axis === 2 ? i % classes : Math.floor(i / 4) % classes);
  const kept = Uint8Array.from({ length: period }, (_, i) =>
    Number((i * 7 + Math.floor(i / classes)) % 3 !== 0 || classOf(i) === 1),
  );
  const isKept = (i: number) => kept[i % period] !== 0;
  const mask = Uint8Array.from({ length: size }, (_, i) => Number(isKept(i)));
  const s = probabilitiesOf(logits('spread', shape, axis, dtype), rows, { temperature, mask }).map((value) =>
    rounded(value, dtype),
  );
  const wild = backend.supports.nonFinite === 'ieee' ? [Number.NaN, Number.POSITIVE_INFINITY, 1e3] : [1e3];
  const g = cotangents(size, dtype);
  const given = g.map((value, i) => (isKept(i) ? value : cycled(wild, i)));
  const direction = g.map((value, i) => (isKept(i) ? value : 0));
  const expected = softmaxVjp(s, given, rows, { temperature, mask });
  const precision = precisionIn(backend, dtype, 'operation');
  const bound = softmaxVjpTolerance(precision, s, direction, expected, rows, { temperature });
  await owning(async (own) => {
    const made = (values: Float64Array) => own(tensor(values, { shape, dtype, backend }));
    const options = { axis, temperature, mask: { data: Array.from(kept, Boolean), shape: ofMask } };
    const result = own(softmax.vjp(made(s), made(given), options));
    assertClose(
      'softmax.vjp with a mask',
      await result.data(),
      expected,
      bound.map((b, i) => (isKept(i) ? b : 0)),
    );
  });
}

/** softmax.vjp with masks that repeat over rows, and rows so long that a kernel may take another way than for the few classes of other cases. */
export const maskedVjp: readonly ConformanceCase[] = floatDTypes.map(maskedVjpCase);
