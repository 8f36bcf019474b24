import { type Backend, type FloatDType, logSoftmax, softmax, tensor } from '@softgrad/core';
import { expect, test } from 'vitest';

/** Row lengths with different code paths in backends cpu and wasm. */
export const lengths = [1, 2, 3, 4, 7, 10, 16, 17, 33, 48, 128, 129, 300, 1030, 5000];
/** Cotangents near the largest number of each dtype. */
export const largest = { float32: 3e38, float64: 1.7e308 } as const;

/** Rows from uniform to nearly one-hot. */
const gaps = [0, 1, 30];

export function row(classes: number, gap = 0): number[] {
  return Array.from({ length: classes }, (_, c) => (c === classes >> 1 ? gap : Math.sin(c)));
}

/** Cotangents that overflow when two are subtracted or several are added; of three rows the second is ordinary. */
function directions(classes: number, size: number): number[] {
  return [size, 1, size].flatMap((s, r) =>
    Array.from({ length: classes }, (_, c) => (((c * 7 + r) % 5) - 2) * (s / 2)),
  );
}

const functions = {
  'softmax.vjp': (x, v, options) => softmax.vjp(softmax(x, options), v),
  'logSoftmax.vjp': (x, v, options) => logSoftmax.vjp(logSoftmax(x, options), v),
  'logSoftmax.jvp': (x, v, options) => logSoftmax.jvp(logSoftmax(x, options), v),
} as const satisfies Record<string, (...operands: readonly [Tensor, Tensor, Options]) => Tensor>;

type Tensor = ReturnType<typeof softmax>;
type Options = { readonly axis: number; readonly temperature: number };

/** Derivatives along huge cotangents are those along small ones, multiplied. For backends that compute with operands up to the ends of the range. */
export function testLargestCotangents(backend: Backend): void {
  test.each(
    (['float32', 'float64'] as const).flatMap((dtype) => Object.keys(functions).map((name) => [name, dtype] as const)),
  )('%s is linear up to the largest cotangents: %s', async (name, dtype: FloatDType) => {
    const f = functions[name as keyof typeof functions];
    const size = dtype === 'float64' ? largest.float64 : largest.float32;
    const unit = dtype === 'float64' ? 2 ** -52 : 2 ** -23;
    for (const classes of lengths) {
      for (const gap of gaps) {
        for (const axis of [0, 1]) {
          const shape = axis === 1 ? [3, classes] : [classes, 3];
          const laid = (values: readonly number[]) =>
            tensor(axis === 1 ? values : values.map((_, i) => values[(i % 3) * classes + Math.floor(i / 3)] ?? 0), {
              shape,
              dtype,
              backend,
            });
          const x = laid([row(classes, gap), row(classes, gap), row(classes, gap)].flat());
          // A temperature at which all results are finite.
          const options = { axis, temperature: 16 };
          const share = 2 ** -60;
          const huge = directions(classes, size);
          const isHuge = (i: number) => (axis === 1 ? Math.floor(i / classes) : i % 3) !== 1;
          const actual = await f(x, laid(huge), options).data();
          const small = await f(
            x,
            laid(huge.map((value) => (Math.abs(value) > 2 ? value * share : value))),
            options,
          ).data();
          const wrong = [...actual].findIndex((value, i) => {
            const expected = isHuge(i) ? (small[i] ?? 0) / share : (small[i] ?? 0);
            return !(Math.abs(value - expected) <= 8 * unit * (isHuge(i) ? size : 1));
          });
          expect([wrong, classes, gap, axis]).toEqual([-1, classes, gap, axis]);
        }
      }
    }
  });
}
