import { type FloatDType, logSoftmax, softmax, softmin, tensor } from '@softgrad/core';
import { expect, test } from 'vitest';
import { cpu } from '../src/index.js';

const backend = cpu.openSync();

/** Lengths that are taken in different ways. */
const lengths = [1, 2, 3, 4, 7, 10, 16, 17, 33, 48, 128, 129, 300, 1030, 5000];
const largest = { float32: 3e38, float64: 1.7e308 } as const;

/** Rows from uniform to nearly one-hot. */
const gaps = [0, 1, 30];

function row(classes: number, gap: number): number[] {
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
        // What is finite for all of them.
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

test('second derivatives along the largest float32 cotangents and tangents', async () => {
  const s = tensor([[0.25, 0.25, 0.5]], { backend });
  const y = tensor([[Math.log(0.25), Math.log(0.25), Math.log(0.5)]], { backend });
  for (const [g, t] of [
    [3e38, 1],
    [1, 3e38],
    [3e38, 1e-30],
  ] as const) {
    const cotangent = tensor([[g, -g, g]], { backend });
    const tangent = tensor([[t, t, -t]], { backend });
    const relative = (values: Float32Array) => [...values].map((value) => (value / (g * t)).toFixed(5));
    const d = relative(await softmax.hvp(s, cotangent, tangent).data());
    expect(d).toEqual(['0.25000', '-0.25000', '0.00000']);
    const e = relative(await logSoftmax.hvp(y, cotangent, tangent).data());
    expect(e).toEqual(['-0.25000', '-0.25000', '0.50000']);
  }
});

test('a derivative in float32 that is too small before it is divided by a tiny temperature is not lost', async () => {
  for (const classes of lengths.filter((length) => length > 1)) {
    const made = (first: number, others: number) =>
      tensor([Array.from({ length: classes }, (_, c) => (c === 0 ? first : others))], { dtype: 'float32', backend });
    // Their product, 2⁻¹⁵⁶, is 0 in float32.
    const [s, g] = [made(2 ** -126, 1 / (classes - 1)), made(2 ** -30, 0)];
    const at = async (temperature: number) => (await softmax.vjp(s, g, { temperature }).data())[0];
    expect((await at(2 ** -60)) * 2 ** 96).toBeCloseTo(1, 5);
    expect(await at(2 ** -970)).toBe(Number.POSITIVE_INFINITY);
  }
});

test('softmin of logits whose differences overflow takes the smallest, along each axis and masked', async () => {
  const column = [1.7e308, -1.7e308, 0];
  for (const sign of [1, -1]) {
    const x = tensor(
      column.map((value) => [sign * value, -sign * value]),
      { dtype: 'float64', backend },
    );
    const mask = [
      [true, true],
      [true, true],
      [true, false],
    ];
    const smallest = sign === 1 ? [0, 1, 1, 0, 0, 0] : [1, 0, 0, 1, 0, 0];
    for (const options of [{ axis: 0 }, { axis: 0, mask }]) {
      expect([...(await softmin(x, options).data())]).toEqual(smallest);
      expect([...(await softmax(x, options).data())]).toEqual(smallest.map((p, k) => (k < 4 ? 1 - p : p)));
    }
  }
});

test('at negative temperatures, logits whose differences overflow are negated', () => {
  const rows = { outer: 1, classes: 3, inner: 1 };
  const logSoftmaxOf = (values: readonly number[], temperature: number) => {
    const [x, out] = [backend.alloc(3, 'float64'), backend.alloc(3, 'float64')];
    backend.write(x, Float64Array.from(values));
    backend.kernels?.logSoftmax?.(out, x, rows, { temperature, mask: null });
    return [...(backend.readSync?.(out) ?? [])];
  };
  const logits = [1.7e308, -1.6e308, 3];
  const expected = logSoftmaxOf(logits, 1);
  expect(expected).toEqual([0, Number.NEGATIVE_INFINITY, -1.7e308]);
  expect(
    logSoftmaxOf(
      logits.map((x) => -x),
      -1,
    ),
  ).toEqual(expected);
});

test('the sum of a long row of cotangents is as exact as that of a short one', async () => {
  const classes = 2 ** 18;
  const y = tensor(new Float64Array(classes).fill(-Math.log(classes)), { shape: [1, classes], backend });
  const g = tensor(new Float64Array(classes).fill(0.1), { shape: [1, classes], backend });
  // g − exp(y) Σ g = 0, but for the rounding of exp(y).
  const dx = await logSoftmax.vjp(y, g).data();
  const p = Math.exp(-Math.log(classes)) * classes;
  const expected = 0.1 - 0.1 * p;
  expect(Math.max(...Array.from(dx.subarray(0, 100), (d) => Math.abs(d - expected)))).toBeLessThan(2 ** -50);
});

test('derivatives of the smallest cotangents keep their bits', async () => {
  for (const dtype of ['float32', 'float64'] as const) {
    const smallest = dtype === 'float64' ? 2 ** -1074 : 2 ** -149;
    const y = tensor([[1, 1, 1, 1].map((p) => Math.log(p / 4))], { dtype, backend });
    const g = tensor([[64, 0, -16, 16].map((multiple) => multiple * smallest)], { dtype, backend });
    // g − Σ g / 4, exactly.
    const dx = await logSoftmax.vjp(y, g).data();
    expect(Array.from(dx, (d) => d / smallest)).toEqual([48, -16, -32, 0]);
    const dy = await logSoftmax.jvp(y, g).data();
    expect(Array.from(dy, (d) => d / smallest)).toEqual([48, -16, -32, 0]);
  }
});
