import type { Rows } from '@softgrad/core';
import { referenceCrossEntropy } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { type WasmBuffer, wasm } from '../src/index.js';
import { logits, random, sameBits } from './ulp.js';

const backend = await wasm.open({ relaxedSimd: false });

interface Options {
  readonly target: 'indices' | 'probabilities' | 'one of them';
  readonly labelSmoothing?: number;
  readonly weighted?: boolean;
  readonly masked?: boolean;
  readonly temperature?: number;
  readonly spread?: number;
  readonly offset?: number;
  readonly scale?: number;
}

const rowCount = 6;

/** Operands of a call, with logits that the mask leaves out which would spoil every row. */
function operandsOf(classes: number, options: Options, seed: number) {
  const { spread = 4, offset = 0, masked = false, weighted = false } = options;
  const next = random(seed);
  const rows: Rows = { outer: rowCount, classes, inner: 1 };
  const spoilers = [Number.NaN, Number.POSITIVE_INFINITY, 3e38, Number.NEGATIVE_INFINITY];
  const indices = Int32Array.from({ length: rowCount }, (_, row) =>
    row === 4 && options.target === 'indices' ? -100 : (row * 37 + 3) % classes,
  );
  // Two blocks of a mask for three rows each; every row keeps the class of its index.
  const mask = Uint8Array.from({ length: (rowCount / 2) * classes }, () => Number(next() < 0.6));
  for (const [row, index] of indices.entries()) if (index >= 0) mask[(row % 3) * classes + index] = 1;
  const keeps = (i: number) => !masked || mask[i % mask.length] !== 0;
  const x = logits('float32', rowCount * classes, spread, offset, seed).map((v, i) => (keeps(i) ? v : spoilers[i % 4]));
  const soft = Float32Array.from(x, () => (next() < 0.3 ? 0 : next()));
  for (let row = 0; row < rowCount; row++) {
    const [begin, end] = [row * classes, (row + 1) * classes];
    const sum = soft.slice(begin, end).reduce((a, b) => a + b, 0) || 1;
    for (let i = begin; i < end; i++) {
      const hot = Number(i - begin === Math.max(0, indices[row]));
      soft[i] = options.target === 'one of them' ? hot : soft[i] / sum;
    }
  }
  const weight = weighted ? Float32Array.from({ length: classes }, (_, c) => (c % 5 === 1 ? 0 : 0.3 + next())) : null;
  return { rows, indices, mask: masked ? mask : null, x, soft, weight };
}

type Place = 'beside' | 'over logits' | 'over target';

function computed(classes: number, options: Options, seed: number, place: Place, results = 'both') {
  const { rows, indices, mask, x, soft, weight } = operandsOf(classes, options, seed);
  const made: WasmBuffer[] = [];
  const hold = (host: Float32Array | Float64Array | Int32Array | Uint8Array, dtype: 'float32' | 'int32' | 'bool') => {
    const buffer = backend.alloc(host.length, dtype);
    backend.write(buffer, host);
    made.push(buffer);
    return buffer;
  };
  const isIndices = options.target === 'indices';
  const input = hold(x, 'float32');
  const target = isIndices ? hold(indices, 'int32') : hold(soft, 'float32');
  const beside = hold(new Float32Array(x.length), 'float32');
  const out = { beside, 'over logits': input, 'over target': target }[place];
  const loss = hold(new Float32Array(rows.outer), 'float32');
  backend.kernels?.crossEntropy?.(
    { loss: results === 'gradient' ? null : loss, gradient: results === 'loss' ? null : out },
    input,
    rows,
    {
      temperature: options.temperature ?? 1,
      mask: mask && { buffer: hold(mask, 'bool'), outer: mask.length / classes },
      target: { kind: isIndices ? 'indices' : 'probabilities', buffer: target },
      weight: weight && hold(weight, 'float32'),
      labelSmoothing: options.labelSmoothing ?? 0,
      ignoreIndex: -100,
      scale: options.scale ?? 1,
    },
  );
  const found = { loss: backend.readSync?.(loss) ?? [], gradient: backend.readSync?.(out) ?? [] };
  for (const buffer of made) backend.free(buffer);
  return found;
}

const cases: readonly Options[] = [
  { target: 'indices', labelSmoothing: 0.1 },
  { target: 'indices', labelSmoothing: 1 },
  { target: 'indices', masked: true },
  { target: 'indices', masked: true, labelSmoothing: 0.3 },
  { target: 'indices', masked: true, weighted: true, temperature: -0.7 },
  { target: 'indices', temperature: 2, weighted: true },
  { target: 'indices', temperature: -2, labelSmoothing: 0.2, weighted: true },
  { target: 'indices', temperature: 0.01, labelSmoothing: 0.2 },
  { target: 'indices', labelSmoothing: 0.1, spread: 40 },
  { target: 'indices', labelSmoothing: 0.1, offset: 1e5, spread: 8 },
  { target: 'indices', temperature: 3, offset: 1e5, spread: 8 },
  { target: 'indices', labelSmoothing: 1e-7 },
  { target: 'indices', labelSmoothing: 0.1, scale: 1e-36 },
  { target: 'probabilities' },
  { target: 'probabilities', labelSmoothing: 0.1, temperature: 2 },
  { target: 'probabilities', masked: true, labelSmoothing: 0.1, weighted: true },
  { target: 'probabilities', masked: true, spread: 30 },
  { target: 'probabilities', offset: -300, temperature: 0.5 },
  { target: 'probabilities', scale: 1e-36, spread: 10 },
  { target: 'one of them', spread: 30 },
  { target: 'one of them', labelSmoothing: 1e-6, spread: 60 },
];

/** As the numbers of a float32, in units in the last place of the larger of the terms of which the gradient is the difference. */
function wrongEntries(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  size: (i: number) => number,
  steps: number,
): readonly string[] {
  return Array.from(found, (value, i) => ({ value, right: expected[i], bound: steps * 2 ** -24 * size(i) + 2 ** -148 }))
    .map(({ value, right, bound }, i) =>
      Math.abs(value - right) <= bound || Object.is(value + 0, right + 0) ? '' : `${i}: ${value}, expected ${right}`,
    )
    .filter((text) => text !== '')
    .slice(0, 3);
}

describe.each([16, 17, 31, 64, 130, 256, 257, 700, 1100])('cross-entropy of float32 rows of %i classes', (classes) => {
  test.each(cases.map((options) => [JSON.stringify(options), options] as const))('is right: %s', (_, options) => {
    const { rows, indices, mask, x, soft, weight } = operandsOf(classes, options, classes);
    const { temperature = 1, labelSmoothing = 0, scale = 1 } = options;
    const isIndices = options.target === 'indices';
    const right = referenceCrossEntropy(
      x,
      isIndices ? { kind: 'indices', values: indices } : { kind: 'probabilities', values: soft },
      rows,
      {
        temperature,
        weight,
        labelSmoothing,
        ignoreIndex: -100,
        reduction: 'none',
        mask: mask && Array.from(x, (_, i) => mask[i % mask.length]),
      },
    );
    const { loss, gradient } = computed(classes, options, classes, 'beside');
    const losses = right.loss.map((value) => value * scale);
    expect(wrongEntries(loss, losses, (i) => Math.abs(losses[i]), 6)).toEqual([]);
    const gradients = right.gradient.map((value) => value * scale);
    // p Σ q and q are rounded before one is subtracted from the other; their sizes are at most the gradient's and the target's.
    const smallest = 0.003 / classes;
    const sizes = gradients.map((value, i) => {
      const q = isIndices ? labelSmoothing / classes : soft[i] + labelSmoothing / classes;
      return (
        Math.abs(value) +
        (2 * Math.max(q, labelSmoothing > 0 ? smallest * labelSmoothing : 0) * scale) / Math.abs(temperature)
      );
    });
    expect(wrongEntries(gradient, gradients, (i) => sizes[i], 10)).toEqual([]);
    const places: readonly Place[] = isIndices ? ['over logits'] : ['over logits', 'over target'];
    for (const place of places) {
      const there = computed(classes, options, classes, place);
      expect([sameBits(there.loss, loss), sameBits(there.gradient, gradient)]).toEqual([true, true]);
    }
    expect(sameBits(computed(classes, options, classes, 'beside', 'loss').loss, loss)).toBe(true);
    expect(sameBits(computed(classes, options, classes, 'beside', 'gradient').gradient, gradient)).toBe(true);
  });
});

test('a row that is undefined has a NaN loss and gradient, but where the mask leaves entries out, and a wholly masked one has zeros', () => {
  for (const classes of [16, 33, 257]) {
    for (const labelSmoothing of [0, 0.1]) {
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
        const x = logits('float32', 4 * classes, 4, 0, classes);
        x[classes + 5] = value;
        x[3 * classes + 6] = Number.NEGATIVE_INFINITY;
        // The third row is masked as a whole, the others keep their targets and what was written here.
        const keptEntries = [1, classes + 2, classes + 5, 3 * classes + 6, 3 * classes + 7];
        const isThird = (i: number) => Math.floor(i / classes) === 2;
        const mask = Uint8Array.from(x, (_, i) => Number(!isThird(i) && (i % 3 !== 0 || keptEntries.includes(i))));
        const [loss, gradient, input] = [4, x.length, x.length].map((size) => backend.alloc(size, 'float32'));
        const [target, kept] = [backend.alloc(4, 'int32'), backend.alloc(x.length, 'bool')];
        backend.write(input, x);
        backend.write(kept, mask);
        backend.write(target, Int32Array.of(1, 2, 4, 7));
        const parameters = { temperature: 1, weight: null, ignoreIndex: -100, scale: 1, labelSmoothing } as const;
        backend.kernels?.crossEntropy?.(
          { loss, gradient },
          input,
          { outer: 4, classes, inner: 1 },
          {
            ...parameters,
            mask: { buffer: kept, outer: 4 },
            target: { kind: 'indices', buffer: target },
          },
        );
        const losses = Array.from(backend.readSync?.(loss) ?? []);
        const kind = (v: number) => (Number.isNaN(v) ? 'NaN' : v === 0 ? '0' : Number.isFinite(v) ? 'finite' : `${v}`);
        // Smoothing gives a weight to the entry whose logarithm is infinite.
        expect(losses.map(kind)).toEqual(['finite', 'NaN', '0', labelSmoothing > 0 ? 'Infinity' : 'finite']);
        const wrong = Array.from(backend.readSync?.(gradient) ?? []).filter((g, i) => {
          if (mask[i] === 0) return !Object.is(g, 0);
          return Math.floor(i / classes) === 1 ? !Number.isNaN(g) : !Number.isFinite(g);
        });
        expect({ classes, labelSmoothing, value, wrong }).toEqual({ classes, labelSmoothing, value, wrong: [] });
        for (const buffer of [loss, gradient, input, target, kept]) backend.free(buffer);
      }
    }
  }
});
