import { cpu } from '@softgrad/backend-cpu';
import { crossEntropy, logSoftmax, logSumExp, setBackend, softmax, tensor } from '@softgrad/core';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { readManifest } from '../src/index.js';
import { noise, workspace } from './workspace.js';

beforeAll(() => setBackend(cpu));

const rows = 23;
const classes = 37;
const logits = Float32Array.from(noise(rows * classes));
const direction = Float32Array.from(noise(rows * classes, 3, 7));
const labels = Int32Array.from({ length: rows }, (_, row) => (row % 5 === 4 ? -100 : (row * 7) % classes));
const x = () => tensor(logits, { shape: [rows, classes] });

async function results(by: 'rows' | 'classes') {
  using work = workspace();
  work.write('logits.npy', [rows, classes], logits);
  work.write('direction.npy', [rows, classes], direction);
  work.write('labels.npy', [rows], labels, '<i4');
  const common = { shardClasses: by === 'classes', shardBytes: by === 'rows' ? 4 * classes * 4 : rows * 8 * 4 };
  const run = async (options: Parameters<typeof work.plan>[0]) => {
    await work.compute(await work.plan({ ...common, out: options.operation, ...options }));
    const manifest = await readManifest(work.store, options.operation);
    const names = Object.keys(manifest?.arrays ?? {});
    const arrays = await Promise.all(
      names.map(async (name) => [name, (await work.read(options.operation, name)).data]),
    );
    return { values: manifest?.values, ...Object.fromEntries(arrays) };
  };
  const target = ['labels.npy'];
  return {
    softmax: (await run({ operation: 'softmax', temperature: 0.7 })).softmax,
    logSoftmax: (await run({ operation: 'log-softmax' }))['log-softmax'],
    logSumExp: (await run({ operation: 'log-sum-exp' }))['log-sum-exp'],
    vjp: (await run({ operation: 'vjp', direction: ['direction.npy'] })).vjp,
    crossEntropy: await run({ operation: 'cross-entropy', target }),
  };
}

describe.each(['rows', 'classes'] as const)('split by %s', (by) => {
  test('every operation equals that on one machine', async () => {
    const found = await results(by);
    const close = (actual: ArrayLike<number>, expected: ArrayLike<number>, bound = 4) =>
      expectWithin(actual, expected, bound);
    close(found.softmax, await softmax(x(), { temperature: 0.7 }).data());
    close(found.logSoftmax, await logSoftmax(x()).data(), 16);
    close(found.logSumExp, await logSumExp(x()).data());
    close(found.vjp, await softmax.vjp(softmax(x()), tensor(direction, { shape: [rows, classes] })).data(), 16);
    const single = crossEntropy(x(), labels);
    close(found.crossEntropy.gradient, await single.gradient.data());
    close([Number(found.crossEntropy.values.loss)], await single.loss.data());
  });

  const weight = Float64Array.from({ length: classes }, (_, c) => 0.25 + (c % 7));
  const mask = Uint8Array.from({ length: classes }, (_, c) => (c % 6 === 5 ? 0 : 1));
  const settings = [
    { labelSmoothing: 0.1 },
    { weight },
    { weight, labelSmoothing: 0.3 },
    { weight, labelSmoothing: 0.3, mask: { data: mask, shape: [classes] } },
  ];
  // `npm test` has for each kind of target what makes it one with weights, each alone, and all options.
  const [smoothed, weighted, , masked] = settings;
  const few = [
    ['labels', smoothed],
    ['labels', weighted],
    ['labels', masked],
    ['shares', weighted],
    ['shares', masked],
    ['shares', {}],
  ] as const;
  const each = [
    ...settings.map((setting) => ['labels', setting] as const),
    ...[...settings, {}].map((setting) => ['shares', setting] as const),
  ];
  test.each(inject('everything') ? each : few)('cross-entropy with a target of %s and %o', async (target, setting) => {
    using work = workspace();
    const shares = Float32Array.from(noise(rows * classes, 0.5, 3), (value) => value + 0.5);
    const counted = labels.map((label) => (label % 6 === 5 ? -100 : label));
    work.write('logits.npy', [rows, classes], logits);
    work.write('labels.npy', [rows], counted, '<i4');
    work.write('shares.npy', [rows, classes], shares);
    work.write('weight.npy', [classes], weight, '<f8');
    work.write('mask.npy', [classes], mask, '|b1');
    const split = { shardClasses: by === 'classes', shardBytes: by === 'rows' ? 4 * classes * 4 : rows * 8 * 4 };
    for (const reduction of ['mean', 'none'] as const) {
      const files = {
        target: [`${target}.npy`],
        weight: 'weight' in setting ? ['weight.npy'] : undefined,
        mask: 'mask' in setting ? ['mask.npy'] : undefined,
        labelSmoothing: 'labelSmoothing' in setting ? Number(setting.labelSmoothing) : undefined,
      };
      const out = reduction;
      await work.compute(await work.plan({ operation: 'cross-entropy', ...split, ...files, reduction, out }));
      const given = target === 'labels' ? counted : tensor(shares, { shape: [rows, classes] });
      const expected = crossEntropy(x(), given, { ...setting, reduction });
      const { values } = (await readManifest(work.store, out)) ?? {};
      const losses = reduction === 'mean' ? [Number(values?.loss)] : (await work.read(out, 'loss')).data;
      expectWithin(losses, await expected.loss.data(), 4);
      expectWithin((await work.read(out, 'gradient')).data, await expected.gradient.data(), 16);
    }
  });

  test.each([
    ['have no weight', [0, 1, 1], [0, 0, -100], [Number.NaN, 0, 0]],
    ['have weights that cancel', [1, -1, 2], [0, 1, -100], [Number.NaN, Number.POSITIVE_INFINITY, 0]],
    ['have weights', [0, 1, 1], [0, 1, -100], [Number.NaN, 0.7552715, 0]],
  ])(
    'a mean over rows that %s: NaN stays NaN, and the others are what they are in core',
    async (_, weights, classesOfRows, sizes) => {
      using work = workspace();
      const values = Float64Array.of(...[Number.NaN, 1, 2], ...[0, 1, 2], ...[Number.NaN, 0, 1]);
      work.write('logits.npy', [3, 3], values, '<f8');
      work.write('labels.npy', [3], Int32Array.from(classesOfRows), '<i4');
      work.write('weight.npy', [3], Float64Array.from(weights), '<f8');
      const files = { target: ['labels.npy'], weight: ['weight.npy'] };
      for (const labelSmoothing of [0, 0.1]) {
        const out = `smoothing-${labelSmoothing}`;
        const options = { ...files, shardClasses: by === 'classes', labelSmoothing, out } as const;
        await work.compute(await work.plan({ operation: 'cross-entropy', ...options }));
        const found = Array.from((await work.read(out, 'gradient')).data, Number);
        const own = { weight: weights, labelSmoothing };
        const expected = crossEntropy(tensor(values, { shape: [3, 3] }), Int32Array.from(classesOfRows), own);
        const isNaNOrInfinite = (value: number) => !Number.isFinite(value);
        const gradient = Array.from(await expected.gradient.data(), Number);
        expect(found.map(isNaNOrInfinite)).toEqual(gradient.map(isNaNOrInfinite));
        expect(found.slice(0, 3)).toEqual([Number.NaN, Number.NaN, Number.NaN]);
        expect(found.slice(6)).toEqual([0, 0, 0]);
        if (labelSmoothing === 0)
          expect([0, 4, 8].map((k) => Math.abs(found[k] ?? 0)).map((size) => Number(size.toFixed(7)))).toEqual(sizes);
        expect((await readManifest(work.store, out))?.values.loss).toBe('NaN');
        expect(String(await expected.loss.data())).toBe('NaN');
      }
    },
  );
});

test('rows of several strips: a shard with more logits than are computed at once', async () => {
  using work = workspace();
  const [many, wide] = [3, 400_000];
  const large = Float32Array.from({ length: many * wide }, (_, i) => ((i * 7919) % 4001) / 400 - 5);
  const mask = Uint8Array.from({ length: many * wide }, (_, i) => (i % 11 === 4 ? 0 : 1));
  const chosen = Int32Array.of(8, 399_999, 13);
  work.write('logits.npy', [many, wide], large);
  work.write('mask.npy', [many, wide], mask, '|b1');
  work.write('labels.npy', [many], chosen, '<i4');
  const files = { mask: ['mask.npy'], target: ['labels.npy'] };
  await work.compute(await work.plan({ operation: 'cross-entropy', ...files, reduction: 'sum', out: 'out' }));
  const manifest = await readManifest(work.store, 'out');
  expect(manifest?.arrays.gradient?.parts).toHaveLength(1);
  const shape = [many, wide];
  const expected = crossEntropy(tensor(large, { shape }), chosen, { mask: { data: mask, shape }, reduction: 'sum' });
  expect((await work.read('out', 'gradient')).data).toEqual(await expected.gradient.data());
  expectWithin([Number(manifest?.values.loss)], await expected.loss.data(), 4);
});

/** A bound in ULP of float32, of what is above 1/64. */
function expectWithin(actual: ArrayLike<number>, expected: ArrayLike<number>, bound: number) {
  expect(actual.length).toBe(expected.length);
  const ulps = Array.from(expected, (value, i) => {
    const scale = Math.max(Math.abs(value), 2 ** -6);
    return Math.abs(actual[i] - value) / (2 ** -23 * scale);
  });
  // One assertion for all, which a NaN fails: one for each takes longer than computing them.
  expect(Math.max(...ulps)).toBeLessThanOrEqual(bound);
}
