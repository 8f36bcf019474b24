import type { FloatDType, Rows } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { crossEntropyOf } from './cross-entropy.js';
import { random, ulp } from './ulp.js';

const backend = await wasm.open({ relaxedSimd: false });

/** Losses that are finite although x/T − max, or its product with the weight, overflows. */
interface Far {
  readonly label: string;
  readonly temperature: number;
  readonly weight: number;
  readonly scale: number;
  /** Whether the logits are so far apart that their difference overflows; otherwise the weight is so large that its product does. */
  readonly apart: boolean;
}

/** 2^64, the unit in which the expected losses are summed so that no term overflows. */
const unit = 2 ** 64;

const fars = (dtype: FloatDType, top: number): readonly Far[] => [
  { label: 'the difference overflows', temperature: 1, weight: 2 ** -20, scale: 0.25, apart: true },
  { label: 'the difference overflows, T < 0', temperature: -2.5, weight: 0.3, scale: 0.5, apart: true },
  // x/T reaches 2^192 in float32: the largest that fits when counted in units of 2^64.
  {
    label: 'T is small',
    temperature: dtype === 'float32' ? 2 ** -62.5 : 2 ** -61.75,
    weight: 2 ** -70,
    scale: 0.5,
    apart: true,
  },
  // The products, counted in units of 2^64, are barely normal numbers in float32.
  {
    label: 'T is large',
    temperature: 2 ** 99,
    weight: dtype === 'float32' ? 2 ** -91 : 2 ** -960,
    scale: 1,
    apart: true,
  },
  { label: 'the weight is large', temperature: 1, weight: top, scale: 2 ** -30, apart: false },
  { label: 'the weight is large, T = 1.5', temperature: 1.5, weight: top, scale: 2 ** -30, apart: false },
  { label: 'the weight is large, T is very small', temperature: 2 ** -99, weight: top, scale: 2 ** -30, apart: false },
];

const shapes = [
  { way: 'rows in lanes', rows: { outer: 7, classes: 5, inner: 5 }, kind: 'indices' },
  { way: 'a block', rows: { outer: 11, classes: 5, inner: 1 }, kind: 'indices' },
  { way: 'a row', rows: { outer: 3, classes: 700, inner: 1 }, kind: 'indices' },
  { way: 'probabilities', rows: { outer: 3, classes: 5, inner: 3 }, kind: 'probabilities' },
] as const;

/** Logits whose target is the lowest and far from the highest, and the losses, counted in units of 2^64 until the end. */
function problem(dtype: FloatDType, rows: Rows, { temperature, weight, scale, apart }: Far, top: number) {
  const { outer, classes, inner } = rows;
  const next = random(classes + inner);
  const host = (length: number) => (dtype === 'float64' ? new Float64Array(length) : new Float32Array(length));
  const [x, shares] = [host(outer * classes * inner), host(outer * classes * inner)];
  const weights = host(classes).map(() => weight * (1 + next() / 3.3));
  const indices = new Int32Array(outer * inner);
  const sign = Math.sign(temperature);
  const magnitude = Math.abs(temperature);
  const expected = Array.from(indices, (_, row) => {
    const at = (c: number) => (Math.floor(row / inner) * classes + c) * inner + (row % inner);
    const target = Math.floor(next() * classes);
    const highest = (target + 1 + Math.floor(next() * (classes - 1))) % classes;
    indices[row] = target;
    shares[at(target)] = 1;
    for (let c = 0; c < classes; c++) x[at(c)] = apart ? -sign * top * next() : next() * 4 * Math.min(1, magnitude);
    if (apart) {
      x[at(highest)] = sign * top * (1 + next() * 0.9);
      x[at(target)] = -sign * top * (1 + next() * 0.9);
    }
    const quarters = Array.from({ length: classes }, (__, c) => (sign * x[at(c)]) / 4);
    const max = Math.max(...quarters);
    const sum = quarters.reduce((total, value) => total + Math.exp(((value - max) / magnitude) * 4), 0);
    const gap = ((max - quarters[target]) * (4 / unit)) / magnitude + Math.log(sum) / unit;
    return weights[target] > 1 ? weights[target] * scale * gap * unit : weights[target] * (gap * unit * scale);
  });
  return { x, target: { indices, shares }, weights, expected };
}

describe.each([
  ['float32', 2 ** 127],
  ['float64', 2 ** 1023],
] as const)('%s losses that are finite although a step overflows are within 2 ULP', (dtype, top) => {
  test.each(shapes)('$way', ({ rows, kind }) => {
    for (const far of fars(dtype, top)) {
      const { x, target, weights, expected } = problem(dtype, rows, far, top);
      const { temperature, scale } = far;
      const options = { temperature, weight: weights, scale };
      const { loss } = crossEntropyOf(backend, x, rows, kind === 'indices' ? target.indices : target.shares, options);
      const wrong = expected.flatMap((value, row) =>
        Math.abs(loss[row] - value) <= 2 * ulp(value, dtype) ? [] : [`${loss[row]} instead of ${value} in row ${row}`],
      );
      expect({ far: far.label, wrong }).toEqual({ far: far.label, wrong: [] });
    }
  });
});
