import { type FloatDType, logSoftmax, softmax, tensor } from '@softgrad/core';
import { expect, test } from 'vitest';
import { wasm } from '../src/index.js';

const backend = await wasm.open({ relaxedSimd: false });

/** Lengths with different code paths. */
const lengths = [1, 2, 3, 4, 7, 10, 16, 17, 33, 48, 128, 129, 300, 1030, 5000];
const largest = { float32: 3e38, float64: 1.7e308 } as const;

/** Rows from uniform to nearly one-hot. */
const gaps = [0, 1, 30];

function row(classes: number, gap: number): number[] {
  return Array.from({ length: classes }, (_, c) => (c === classes >> 1 ? gap : Math.sin(c)));
}

/** Cotangents that overflow when two are subtracted or several are added, in three rows of which the second is ordinary. */
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

test.each(['float32', 'float64'] as const)('a row of huge cotangents is noticed in every lane: %s', async (dtype) => {
  const size = largest[dtype];
  const unit = dtype === 'float64' ? 2 ** -52 : 2 ** -23;
  const rows = 8;
  const share = 2 ** -60;
  for (const classes of [3, 5, 20]) {
    for (const [axis, temperature] of [
      [1, 1],
      [1, 2],
      [0, 2],
    ] as const) {
      for (let huge = 0; huge < rows; huge++) {
        // Each cotangent is huge where its row is, and `by` is 1 or `share`.
        const cotangent = (by: number) => {
          const values = Array.from({ length: rows * classes }, (_, i) => {
            const [row, c] = axis === 1 ? [Math.floor(i / classes), i % classes] : [i % rows, Math.floor(i / rows)];
            const k = ((c * 7 + row) % 5) - 2;
            return row === huge ? (k < 0 ? -size : size * (1 - k / 8)) * by : k;
          });
          return tensor(values, { shape: axis === 1 ? [rows, classes] : [classes, rows], dtype, backend });
        };
        const s = softmax(tensor(new Float64Array(rows * classes), { shape: cotangent(1).shape, dtype, backend }), {
          axis,
          temperature,
        });
        const actual = await softmax.vjp(s, cotangent(1)).data();
        const small = await softmax.vjp(s, cotangent(share)).data();
        const wrong = [...actual].findIndex((value, i) => {
          const isHuge = (axis === 1 ? Math.floor(i / classes) : i % rows) === huge;
          const expected = (small[i] ?? 0) / (isHuge ? share : 1);
          return !(Math.abs(value - expected) <= 8 * unit * (isHuge ? size : 1));
        });
        expect([wrong, classes, axis, huge]).toEqual([-1, classes, axis, huge]);
      }
    }
  }
});
