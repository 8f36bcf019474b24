import type { Backend, FloatDType, Rows } from '@softgrad/core';
import { plainCrossEntropy, reference, referenceCrossEntropy, tolerance } from '@softgrad/core/conformance';
import { describe, expect, inject, test } from 'vitest';
import { type WasmBuffer, wasm } from '../src/index.js';
import { compute, random } from './ulp.js';

/** Lengths of short rows, and longer ones for blocks, stretches and lanes. */
const lengths = inject('everything')
  ? [1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 33, 64, 100, 256, 257, 1030]
  : [1, 2, 3, 5, 8, 17, 64, 256, 257];

type Kind = (next: () => number, classes: number) => number[];

/** Kinds of rows for which kernels have different code paths. */
const kinds: readonly Kind[] = [
  (next, f) => Array.from({ length: f }, () => next() * 16 - 8),
  (next, f) => Array.from({ length: f }, () => Math.fround(next() * 160 - 80)),
  (next, f) => new Array(f).fill(Math.fround(next() * 100 - 50)),
  (next, f) => Array.from({ length: f }, (_, c) => (c === f >> 1 ? 60 + next() : next())),
  (next, f) => Array.from({ length: f }, (_, c) => (c === 1 || next() < 0.6 ? next() : Number.NEGATIVE_INFINITY)),
  (next, f) => Array.from({ length: f }, () => 256 + next() * 4 - 2),
  (next, f) => Array.from({ length: f }, (_, c) => (c % 2 ? 1e30 * next() : -1e30 * next())),
  (next, f) => Array.from({ length: f }, (_, c) => (c === 0 ? 20 : 20 - [99, 100, 101][Math.floor(next() * 3)])),
  (next, f) => Array.from({ length: f }, () => 1e-40 * next()),
  (next, f) => Array.from({ length: f }, (_, c) => (c === f - 1 ? Number.NaN : next())),
  (next, f) => Array.from({ length: f }, (_, c) => (c === 0 ? Number.POSITIVE_INFINITY : next())),
  (_, f) => new Array(f).fill(Number.NEGATIVE_INFINITY),
];

const near: Kind = (next, f) => Array.from({ length: f }, () => next() * 16 - 8);

/** A number for each entry that is left out, in a row that keeps entry 0. */
const without =
  (...gone: readonly number[]): Kind =>
  (next, f) =>
    Array.from({ length: f }, (_, c) => (c === 0 || next() < 0.6 ? next() : gone[Math.floor(next() * gone.length)]));

const constant =
  (value: number): Kind =>
  (_, f) =>
    new Array(f).fill(value);

/** Numbers with which additive masks leave out logits: twice REDUCIBLE of src/kernels/exp.h is the largest that is left out by all rows near 0. */
const additive = [Number.NEGATIVE_INFINITY, -3e38, -1e9, -1e4, -5000];
const leftOut = [near, without(...additive)];

/** Blocks in which most rows have entries that are left out; in all but the first, some have no entry near those of the others, or none at all. */
const additiveKinds: Readonly<Record<string, readonly Kind[]>> = {
  'entries left out': leftOut,
  'rows left out': [...leftOut, constant(-1e9)],
  'rows of −Infinity': [...leftOut, constant(Number.NEGATIVE_INFINITY)],
  'rows far below the others': [...leftOut, constant(-500), constant(-4000)],
  'entries between those left out and the others': [...leftOut, without(-110), without(-400), without(-900)],
  'entries beside the threshold': [...leftOut, without(-511, -512, -513, -4095, -4096, -4097)],
  NaN: [...leftOut, (next, f) => near(next, f).map((v, c) => (c === 0 ? Number.NaN : v))],
};

/** Rows of random kinds, so that a block, or a group of rows in lanes, has several kinds. */
function mixed(
  dtype: FloatDType,
  { outer, classes, inner }: Rows,
  seed: number,
  kinds: readonly Kind[],
): Float32Array | Float64Array {
  const next = random(seed);
  const x = dtype === 'float64' ? new Float64Array(outer * classes * inner) : new Float32Array(outer * classes * inner);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const row = kinds[Math.floor(next() * kinds.length)](next, classes);
      for (let c = 0; c < classes; c++) x[(o * classes + c) * inner + i] = row[c];
    }
  }
  return x;
}

function wrong(actual: ArrayLike<number>, expected: ArrayLike<number>, bounds: ArrayLike<number>): readonly string[] {
  return Array.from({ length: expected.length }, (_, i) => i)
    .filter((i) => !Object.is(actual[i] + 0, expected[i] + 0) && !(Math.abs(actual[i] - expected[i]) <= bounds[i]))
    .map((i) => `${i}: ${actual[i]}, expected ${expected[i]}`)
    .slice(0, 3);
}

/** The results of a kernel that writes to a separate buffer, and of the same kernel in place. */
function bothWays(
  backend: Backend<WasmBuffer>,
  x: Float32Array | Float64Array,
  use: (out: WasmBuffer, input: WasmBuffer) => void,
): readonly ArrayLike<number>[] {
  const buffer = backend.alloc(x.length, x instanceof Float64Array ? 'float64' : 'float32');
  backend.write(buffer, x);
  use(buffer, buffer);
  const inPlace = backend.readSync?.(buffer) ?? [];
  backend.free(buffer);
  return [compute(backend, [x], use), inPlace];
}

describe.each(['float32', 'float64'] as const)('%s', (dtype) => {
  test.each(lengths)('rows of %i are right beside rows of every kind', (classes) => expectRight(dtype, classes, kinds));

  test.each(Object.entries(additiveKinds))('rows beside rows of additive masks, with %s', async (_, some) => {
    for (const classes of [2, 3, 5, 10, 17, 64, 256]) await expectRight(dtype, classes, some);
  });

  // The reference of the block is that of its first row. With it, the last logit of the last row would be 0, but not with that of its own row.
  test.each([3, 5, 7])('the last logit of a block of rows of %i, one of which has −Infinity', async (classes) => {
    const backend = await wasm.open({ relaxedSimd: false });
    const rows = { outer: 3, classes, inner: 1 };
    const [far, farther] = dtype === 'float32' ? [-95, -112] : [-690, -760];
    const x = new (dtype === 'float64' ? Float64Array : Float32Array)(3 * classes);
    x[0] = Number.NEGATIVE_INFINITY;
    x.fill(far, 2 * classes);
    x[3 * classes - 1] = farther;
    const s = compute(backend, [x], (out, input) => backend.softmax(out, input, rows, { temperature: 1, mask: null }));
    const p = Math.exp(farther - far) / (classes - 1 + Math.exp(farther - far));
    expect(Math.abs(s[3 * classes - 1] / p - 1)).toBeLessThan(dtype === 'float32' ? 1e-6 : 1e-14);
  });
});

async function expectRight(dtype: FloatDType, classes: number, kinds: readonly Kind[]): Promise<void> {
  const backend = await wasm.open({ relaxedSimd: false });
  const { kernels } = backend;
  if (!kernels) expect.fail('no kernels');
  const precision = tolerance.operationPrecision(backend.supports, dtype);
  const { unit, floor } = precision;
  const shapes = [
    { outer: Math.max(5, Math.min(61, Math.ceil(1200 / classes))), classes, inner: 1 },
    { outer: 2, classes, inner: 7 },
  ];
  for (const [i, rows] of shapes.entries()) {
    for (const temperature of [1, -1.5]) {
      const x = mixed(dtype, rows, 100 * classes + i, kinds);
      const options = { temperature };
      const parameters = { temperature, mask: null };
      const p = reference.softmax(x, rows, options);
      // The floor of the bound is one subnormal step; for subnormal probabilities the same number of ULP is allowed as for others.
      const steps = dtype === 'float32' ? 3 : 2;
      const bounds = tolerance
        .softmaxTolerance(precision, x, p, rows, options)
        .map((bound) => Math.max(bound, steps * floor));
      for (const s of bothWays(backend, x, (out, input) => backend.softmax(out, input, rows, parameters))) {
        expect(wrong(s, p, bounds)).toEqual([]);
      }
      const logs = reference.logSoftmax(x, rows, options);
      const logBounds = tolerance.logSoftmaxTolerance(precision, x, logs, rows, options);
      for (const y of bothWays(backend, x, (out, input) => kernels.logSoftmax?.(out, input, rows, parameters))) {
        expect(wrong(y, logs, logBounds)).toEqual([]);
      }
      const sums = reference.logSumExp(x, rows, options);
      const l = compute(backend, [x], (out, input) => kernels.logSumExp?.(out, input, rows, parameters));
      expect(wrong(l, sums, tolerance.logSumExpTolerance(precision, x, sums, rows, options))).toEqual([]);

      // Every third class has weight 0, so its loss is 0 even if its logit is −Infinity.
      const indices = Int32Array.from({ length: rows.outer * rows.inner }, (_, r) =>
        r % 7 ? (r * 5) % classes : -100,
      );
      const weight = new (dtype === 'float64' ? Float64Array : Float32Array)(classes).map((_, c) => (c % 3) / 2);
      const even = x.map(() => 1 / classes);
      for (const target of [
        { kind: 'indices', values: indices },
        { kind: 'probabilities', values: even },
      ] as const) {
        const right = referenceCrossEntropy(x, target, rows, { ...options, weight, reduction: 'none' });
        const buffers = [
          backend.alloc(target.values.length, target.kind === 'indices' ? 'int32' : dtype),
          backend.alloc(classes, dtype),
          backend.alloc(right.loss.length, dtype),
        ];
        const [values, weights, loss] = buffers;
        backend.write(values, target.values);
        backend.write(weights, weight);
        const gradients = bothWays(backend, x, (gradient, input) =>
          kernels.crossEntropy?.({ loss, gradient }, input, rows, {
            ...plainCrossEntropy,
            ...parameters,
            target: { kind: target.kind, buffer: values },
            weight: weights,
          }),
        );
        const logBound = logBounds.reduce((a, b) => (b < Number.POSITIVE_INFINITY ? Math.max(a, b) : a), 0);
        const lossBounds = right.loss.map((value) => logBound + 20 * unit * Math.abs(value) + floor);
        expect(wrong(backend.readSync?.(loss) ?? [], right.loss, lossBounds)).toEqual([]);
        const errors = bounds.map((bound) => 2 * bound + (12 * unit) / Math.abs(temperature));
        for (const gradient of gradients) expect(wrong(gradient, right.gradient, errors)).toEqual([]);
        for (const buffer of buffers) backend.free(buffer);
      }
    }
  }
}
