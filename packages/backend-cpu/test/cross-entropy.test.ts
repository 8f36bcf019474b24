import { type CrossEntropyParameters, crossEntropy, type Rows, tensor } from '@softgrad/core';
import { reference, referenceCrossEntropy } from '@softgrad/core/conformance';
import { describe, expect, inject, test } from 'vitest';
import { rowsPerBlock } from '../src/blocks.js';
import { type CpuBuffer, cpu } from '../src/index.js';
import type { FloatArray } from '../src/storage.js';
import { randomFrom } from './accuracy.js';
import { type DType, dtypes, everyLayout, expectWithin, floats, guarded, type Mask } from './layouts.js';

const backend = cpu.openSync();
const { kernels } = backend;

type Target = CrossEntropyParameters<CpuBuffer>['target'];

interface Options {
  readonly temperature: number;
  readonly mask: Mask | null;
  readonly weight: FloatArray | null;
  readonly labelSmoothing: number;
  readonly ignoreIndex: number;
}

const plain: Options = { temperature: 1, mask: null, weight: null, labelSmoothing: 0, ignoreIndex: -100 };
// A power of 2, by which a reference can be multiplied without another rounding.
const scale = 0.25;
const plus = Number.POSITIVE_INFINITY;

/** Loss and gradient between guard values; each is the same where the other is not asked for. */
function computed(x: FloatArray, rows: Rows, target: Target, options: Options, dtype: DType) {
  const parameters = { ...options, target, scale };
  const [loss, gradient] = [guarded(rows.outer * rows.inner, dtype), guarded(x.length, dtype)];
  kernels.crossEntropy({ loss: loss.values, gradient: gradient.values }, x, rows, parameters);
  const [lossAlone, inPlace] = [guarded(loss.values, dtype), guarded(x, dtype)];
  kernels.crossEntropy({ loss: lossAlone.values, gradient: null }, x, rows, parameters);
  kernels.crossEntropy({ loss: null, gradient: inPlace.values }, inPlace.values, rows, parameters);
  expect(lossAlone.values).toEqual(loss.values);
  expect(inPlace.values).toEqual(gradient.values);
  expect([loss, gradient, lossAlone, inPlace].every((result) => result.intact())).toBe(true);
  return { loss: loss.values, gradient: gradient.values };
}

/** Expects loss and gradient within a few ULP of the terms that they are made of. */
function expectRight(x: FloatArray, rows: Rows, target: Target, options: Options, dtype: DType, label: string): void {
  const { loss, gradient } = computed(x, rows, target, options, dtype);
  const settings = { ...options, mask: options.mask?.whole ?? null, reduction: 'none' as const };
  const values = Array.from(target.buffer);
  const expected = referenceCrossEntropy(x, { kind: target.kind, values }, rows, settings);
  const losses = expected.loss.map((value) => value * scale);
  expectWithin(1, loss, losses, dtype, `loss ${label}`);
  const p = reference.softmax(x, rows, settings);
  const sizes = new Float64Array(x.length);
  reference.rowIndices(rows).forEach((at, row) => {
    const keeps = (k: number) => options.mask?.whole[k] !== 0;
    const kept = at.filter(keeps).length;
    const q = at.map((k, c) => (keeps(k) ? weightOf(target, options, kept, row, k, c) : 0));
    const total = q.reduce((a, b) => a + b);
    at.forEach((k, c) => {
      // Above ½ the other entries' sums are taken, so that nothing cancels.
      const terms = p[k] > 0.5 ? total - q[c] + total * (1 - p[k]) : p[k] * total + q[c];
      // The reference itself has 2^-104 of the total.
      sizes[k] = (scale * (terms + total * 2 ** -51)) / Math.abs(options.temperature);
    });
  });
  const gradients = expected.gradient.map((value) => value * scale);
  expectWithin(1, gradient, gradients, dtype, `gradient ${label}`, sizes);
}

function weightOf(
  { kind, buffer }: Target,
  { weight, labelSmoothing }: Options,
  kept: number,
  row: number,
  k: number,
  c: number,
): number {
  const certain = kind === 'indices' ? Number(buffer[row] === c) : buffer[k];
  return ((1 - labelSmoothing) * certain + labelSmoothing / kept) * (weight ? weight[c] : 1);
}

describe.each(dtypes)('cross-entropy in %s', (dtype) => {
  test('is the reference in every layout, with every mask, kind of target, weight and smoothing', () => {
    const random = randomFrom(11);
    for (const { x, rows, mask, temperature, label } of everyLayout(dtype)) {
      const { outer, classes, inner } = rows;
      const indices = Int32Array.from({ length: outer * inner }, () => Math.floor(random() * classes));
      const shares = floats(x.length, dtype).map(() => (random() < 0.2 ? 0 : random()));
      const someWeights = floats(classes, dtype).map((_, c) => (c === 2 ? 0 : 0.3 + c / 7));
      const targets: Target[] = [
        { kind: 'indices', buffer: indices },
        { kind: 'probabilities', buffer: shares },
      ];
      for (const target of targets) {
        const weight = random() < 0.5 ? someWeights : null;
        const labelSmoothing = random() < 0.5 ? 0.3 : 0;
        // Class 0 is ignored where there are others.
        const options = { temperature, mask, weight, labelSmoothing, ignoreIndex: classes > 1 ? 0 : -100 };
        const name = `${target.kind} ${label} weight=${weight !== null} smoothing=${labelSmoothing}`;
        expectRight(x, rows, target, options, dtype, name);
      }
    }
  });

  test.each(inject('everything') ? [257, 1000, 50_257] : [257, 10_007])(
    'of %i classes adds up its terms without losing digits',
    (classes) => {
      const rows = { outer: 1, classes, inner: 1 };
      const random = randomFrom(classes);
      const shares = floats(classes, dtype).map(() => random() / classes);
      const targets: Target[] = [
        { kind: 'indices', buffer: Int32Array.of(classes - 1) },
        { kind: 'probabilities', buffer: shares },
      ];
      const smoothed = { ...plain, labelSmoothing: 0.1 };
      for (const x of [floats(classes, dtype), floats(classes, dtype).map(() => 8 * random() - 4)]) {
        for (const target of targets) expectRight(x, rows, target, smoothed, dtype, target.kind);
      }
    },
  );

  test('of probabilities that do not add up to 1 has the gradient p Σ q − q', () => {
    const x = floats(3, dtype).map((_, k) => k);
    const rows = { outer: 1, classes: 3, inner: 1 };
    for (const q of [
      [0.2, 0.2, 0.2],
      [3, 0, 5],
      [0, 0, 0],
    ]) {
      const buffer = floats(3, dtype);
      buffer.set(q);
      expectRight(x, rows, { kind: 'probabilities', buffer }, plain, dtype, `${q}`);
    }
  });

  test('of an ignored row is 0 even where the row has no softmax; of another such row it is NaN even with weight 0', () => {
    const rows = { outer: 3, classes: 2, inner: 1 };
    const x = floats(6, dtype);
    x.set([Number.NaN, 0, Number.POSITIVE_INFINITY, 0, 1, 2]);
    for (const [weight, labelSmoothing, temperature] of [
      [null, 0, 1],
      [floats(2, dtype), 0, 1],
      [floats(2, dtype), 0.1, 2],
    ] as const) {
      const options = { ...plain, weight, labelSmoothing, temperature };
      const target = { kind: 'indices', buffer: Int32Array.of(-100, 0, 1) } as const;
      const { loss, gradient } = computed(x, rows, target, options, dtype);
      expect([...loss.subarray(0, 2)]).toEqual([0, Number.NaN]);
      expect([...gradient.subarray(0, 4)]).toEqual([0, 0, Number.NaN, Number.NaN]);
      expect(Number.isFinite(loss[2])).toBe(true);
      if (weight) expect([...loss.subarray(2), ...gradient.subarray(4).map(Math.abs)]).toEqual([0, 0, 0]);
    }
  });
});

test('weights and probabilities whose products alone are in the range cost float64 no digits of p', () => {
  const random = randomFrom(23);
  const rows = { outer: 30, classes: 3, inner: 1 };
  const [x, shares] = [0, 1].map(() => Float64Array.from({ length: 90 }, () => 3 * random()));
  const weight = Float64Array.of(0.7, 1.3, 1.1);
  const gradientOf = (factor: number) => {
    const gradient = new Float64Array(90);
    const target = { kind: 'probabilities', buffer: shares.map((share) => share / factor) } as const;
    const scaled = weight.map((value) => value * factor);
    kernels.crossEntropy({ loss: null, gradient }, x, rows, { ...plain, target, weight: scaled, scale });
    return gradient;
  };
  const sizes = new Float64Array(90).fill(scale);
  expectWithin(8, gradientOf(2 ** 1000), gradientOf(1), 'float64', 'weights of 2^1000', sizes);
});

test('a subnormal class weight in float64 keeps the digits of its gradient at a tiny temperature', () => {
  const temperature = 1.37 * 2 ** -300;
  const rows = { outer: 1, classes: 3, inner: 1 };
  const x = Float64Array.of(0, 0.3, -0.9).map((value) => value * temperature);
  const p = reference.softmax(x, rows, { temperature });
  const random = randomFrom(29);
  for (let sample = 0; sample < 100; sample++) {
    const multiple = Math.floor(2 ** (26 + sample / 8) * (1 + random()));
    const weight = new Float64Array(3).fill(multiple * 2 ** -1074);
    const logits = tensor(x, { shape: [1, 3], backend });
    const gradient = crossEntropy.gradient(logits, [2], { temperature, weight, reduction: 'sum' }).dataSync();
    const expected = [p[0], p[1], p[2] - 1].map((slope) => ((slope * multiple) / 1.37) * 2 ** -774);
    expectWithin(4, gradient, expected, 'float64', `${multiple}`);
  }
});

test('float32 rows are right in every block, those beside a row that needs a shift too', () => {
  const random = randomFrom(5);
  for (const classes of [4, 5, 700]) {
    const perBlock = rowsPerBlock(classes);
    for (const outer of [perBlock, 2 * perBlock + 1]) {
      const rows = { outer, classes, inner: 1 };
      const x = Float32Array.from({ length: outer * classes }, () => 20 * (random() - 0.5));
      // In the second block alone.
      if (outer > perBlock) x[perBlock * classes + 1] = 1e5;
      const buffer = Int32Array.from({ length: outer }, (_, row) => (row % 7 === 3 ? -100 : row % classes));
      const weight = Float32Array.from({ length: classes }, (_, c) => (c === 1 ? 0 : 1 + c / 8));
      for (const options of [plain, { ...plain, weight }]) {
        expectRight(x, rows, { kind: 'indices', buffer }, options, 'float32', `${outer} rows of ${classes}`);
      }
    }
  }
});

test.each([3, 4, 5, 6, 7, 700])(
  'float32 rows of %i classes are right with masks that repeat within and across blocks, smoothed, tempered and of probabilities',
  (classes) => {
    const random = randomFrom(classes);
    const outer = rowsPerBlock(classes) + 7;
    const rows = { outer, classes, inner: 1 };
    const weight = Float32Array.from({ length: classes }, (_, c) => (c === 1 ? 0 : 1 + c / 8));
    for (const blocks of [0, 5, outer]) {
      // Class 0 is kept in all rows but one of the mask's.
      const buffer = Uint8Array.from({ length: blocks * classes }, (_, k) =>
        k % classes === 0 || random() < 0.6 ? 1 : 0,
      );
      if (blocks > 0) buffer.fill(0, 3 * classes, 4 * classes);
      const whole = Uint8Array.from({ length: outer * classes }, (_, k) => buffer[k % buffer.length]);
      const mask = blocks === 0 ? null : { buffer, outer: blocks, whole };
      const isEmpty = (row: number) => mask !== null && row % blocks === 3;
      const indices = Int32Array.from({ length: outer }, (_, row) => {
        const index = Math.floor(random() * classes);
        return isEmpty(row) || row % 7 === 2 ? -100 : mask && whole[row * classes + index] === 0 ? 0 : index;
      });
      const shares = Float32Array.from({ length: outer * classes }, () => random() / classes);
      for (const temperature of [1, 2, -0.5]) {
        for (const labelSmoothing of [0, 0.1]) {
          for (const hard of [0, 1]) {
            const x = Float32Array.from({ length: outer * classes }, () => 20 * temperature * (random() - 0.5));
            // NaN and infinities where they have no influence, and a row in the second block that needs a shift.
            if (mask && hard)
              whole.forEach((keep, k) => {
                if (keep === 0 && k % 11 === 0) x[k] = [Number.NaN, plus, -plus][k % 3];
              });
            if (hard) x[(rowsPerBlock(classes) + 1) * classes] = 1e5 * temperature;
            const targets: Target[] = [
              { kind: 'indices', buffer: indices },
              { kind: 'probabilities', buffer: shares },
            ];
            for (const target of targets) {
              for (const weights of [null, weight]) {
                const options = { ...plain, temperature, labelSmoothing, mask, weight: weights };
                const label = `${target.kind} blocks=${blocks} T=${temperature} smoothing=${labelSmoothing} hard=${hard} weight=${weights !== null}`;
                expectRight(x, rows, target, options, 'float32', label);
              }
            }
          }
        }
      }
    }
  },
);

test.each(dtypes)(
  'a masked entry of %s has the gradient 0, not −0, at a negative temperature and with a negative weight too',
  (dtype) => {
    const rows = { outer: 1, classes: 6, inner: 1 };
    const x = floats(6, dtype).map((_, c) => c);
    const buffer = Uint8Array.of(1, 0, 1, 1, 0, 1);
    const negative = floats(6, dtype).fill(-1);
    const shares = floats(6, dtype).fill(0.25);
    const targets: Target[] = [
      { kind: 'indices', buffer: Int32Array.of(2) },
      { kind: 'probabilities', buffer: shares },
    ];
    for (const target of targets) {
      for (const temperature of [2, -2]) {
        for (const weight of [null, negative]) {
          for (const labelSmoothing of [0, 0.1]) {
            const options = {
              ...plain,
              temperature,
              weight,
              labelSmoothing,
              mask: { buffer, outer: 1, whole: buffer },
            };
            const { gradient } = computed(x, rows, target, options, dtype);
            expect([gradient[1], gradient[4]]).toEqual([0, 0]);
          }
        }
      }
    }
  },
);

test.each(dtypes)(
  'a probability that is NaN has no influence where it is masked, and makes the row NaN in %s otherwise',
  (dtype) => {
    const rows = { outer: 3, classes: 5, inner: 1 };
    const x = floats(15, dtype).map((_, k) => k % 5);
    const shares = floats(15, dtype).fill(0.25);
    shares[6] = Number.NaN;
    shares[13] = Number.NaN;
    const buffer = Uint8Array.from(x, (_, k) => (k === 6 ? 0 : 1));
    const target = { kind: 'probabilities', buffer: shares } as const;
    const { loss, gradient } = computed(
      x,
      rows,
      target,
      { ...plain, mask: { buffer, outer: 3, whole: buffer } },
      dtype,
    );
    expect([...loss].map(Number.isNaN)).toEqual([false, false, true]);
    expect([...gradient].findIndex(Number.isNaN)).toBe(10);
    expect(gradient[6]).toBe(0);
  },
);

test.each(dtypes)('the loss and the gradient of a confident row in %s do not cancel, whatever its gap', (dtype) => {
  const rows = { outer: 1, classes: 3, inner: 1 };
  for (const gap of [0.5, 0.6, 1, 5, 20, 40, 60, 85]) {
    for (const index of [0, 1, 2]) {
      const x = floats(3, dtype);
      x[1] = gap;
      const label = `gap ${gap}, target ${index}`;
      expectRight(x, rows, { kind: 'indices', buffer: Int32Array.of(index) }, plain, dtype, label);
      const buffer = floats(3, dtype);
      buffer[index] = 1;
      expectRight(x, rows, { kind: 'probabilities', buffer }, plain, dtype, label);
      for (const labelSmoothing of [1e-3, 1e-25]) {
        const smoothed = { ...plain, labelSmoothing };
        expectRight(x, rows, { kind: 'indices', buffer: Int32Array.of(index) }, smoothed, dtype, label);
        expectRight(x, rows, { kind: 'probabilities', buffer }, smoothed, dtype, label);
        buffer[(index + 1) % 3] = labelSmoothing;
        expectRight(x, rows, { kind: 'probabilities', buffer }, plain, dtype, label);
      }
    }
  }
});
