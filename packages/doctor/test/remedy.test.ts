import { describe, expect, test } from 'vitest';
import type { Goal } from '../src/form.js';
import { type DiagnoseInput, diagnose } from '../src/index.js';
import type { Layer, LossReduction } from '../src/input.js';
import { type LossSetting, remedyFor } from '../src/remedy.js';
import { settingOf } from '../src/round-trip.js';
import { softmax } from './attempts.js';
import { normal } from './random.js';

const next = normal(31);
const logits = Array.from({ length: 4 }, () => Array.from({ length: 3 }, next));
const upstream = logits.map((row) => row.map(next));
const s = softmax(logits, 1, (value) => value);
const target = [0, 2, 1, 1];
const fused = s.map((row, n) => row.map((p, i) => p - (i === target[n] ? 1 : 0)));
const mean = fused.map((row) => row.map((value) => value / 4));
const product = s.map((row, n) =>
  row.map((p, i) => p * (upstream[n][i] - row.reduce((sum, q, j) => sum + q * upstream[n][j], 0))),
);

const summedLines = {
  typescript: "const { loss, gradient } = crossEntropy(logits, target, { reduction: 'sum' });",
  numpy: 'dx = s - np.eye(s.shape[-1])[target]',
};
const meanLines = {
  typescript: 'const { loss, gradient } = crossEntropy(logits, target);',
  numpy: 'dx = (s - np.eye(s.shape[-1])[target]) / np.size(target)',
};

describe('the lines beside a right gradient give the same', () => {
  test('added up over the rows, or their mean, as the numbers are', () => {
    expect(diagnose({ logits, target, gradient: fused }).instead).toEqual(summedLines);
    expect(diagnose({ logits, target, gradient: mean }).instead).toEqual(meanLines);
  });

  test('as the expression is', () => {
    expect(diagnose({ gradient: 's - y' }).instead).toEqual(summedLines);
    expect(diagnose({ gradient: '(s - y) / n' }).instead).toEqual(meanLines);
    expect(diagnose({ gradient: 's - y', logits, target }).instead).toEqual(summedLines);
  });

  test('at a temperature the sum stays in parentheses', () => {
    const gradient = fused.map((row) => row.map((value) => value / 2));
    const { instead } = diagnose({ probabilities: s, target, gradient, temperature: 2 });
    expect(instead.numpy).toBe('dx = (s - np.eye(s.shape[-1])[target]) / 2');
  });

  test('the product, though a target is known as well', () => {
    const { verdict, instead } = diagnose({ logits, target, upstream, gradient: product });
    expect(verdict).toBe('right');
    expect(instead.typescript).toBe('const dx = softmax.vjp(s, g);');
    expect(diagnose({ logits, target, gradient: 'J @ g' }).instead.typescript).toBe('const dx = softmax.vjp(s, g);');
  });

  test('a mean with the sign flipped is to be a mean', () => {
    for (const reduction of [undefined, 'mean'] as const) {
      const gradient = mean.map((row) => row.map((value) => -value));
      const { verdict, instead } = diagnose({ logits, target, gradient, reduction });
      expect(verdict).toBe('sign-flipped');
      expect(instead).toEqual(meanLines);
    }
  });

  test('a sum with the sign flipped is to be a sum', () => {
    const { verdict, instead } = diagnose({ logits, target, gradient: fused.map((row) => row.map((value) => -value)) });
    expect(verdict).toBe('sign-flipped');
    expect(instead).toEqual(summedLines);
  });
});

describe('the suggested code', () => {
  const plain: LossSetting = { addsUp: true, labelSmoothing: 0, weighted: false, ignoreIndex: null, masked: false };

  test.each<[number, number, boolean, LossReduction | null, Partial<LossSetting>, string, string]>([
    [
      -1,
      1,
      true,
      'mean',
      { labelSmoothing: 0.1 },
      'const { loss, gradient } = crossEntropy(logits, target, { labelSmoothing: 0.1 });',
      'q = 0.9 * np.eye(s.shape[-1])[target] + 0.1 / s.shape[-1]; dx = (s * q.sum(axis=-1, keepdims=True) - q) / np.size(target)',
    ],
    [
      -1,
      1,
      true,
      'sum',
      { labelSmoothing: 0.1 },
      "const { loss, gradient } = crossEntropy(logits, target, { labelSmoothing: 0.1, reduction: 'sum' });",
      'q = 0.9 * np.eye(s.shape[-1])[target] + 0.1 / s.shape[-1]; dx = (s * q.sum(axis=-1, keepdims=True) - q)',
    ],
    [
      0,
      2,
      true,
      'mean',
      { weighted: true },
      'const { loss, gradient } = crossEntropy(logits, target, { axis: 0, temperature: 2, weight });',
      'q = (np.moveaxis(np.eye(s.shape[0])[target], -1, 0)) * np.moveaxis(weight + np.zeros(np.shape(target) + (1,)), -1, 0); dx = (s * q.sum(axis=0, keepdims=True) - q) / (weight[target]).sum() / 2',
    ],
    [
      -1,
      1,
      true,
      'sum',
      { weighted: true },
      "const { loss, gradient } = crossEntropy(logits, target, { weight, reduction: 'sum' });",
      'q = (np.eye(s.shape[-1])[target]) * weight; dx = (s * q.sum(axis=-1, keepdims=True) - q)',
    ],
    [
      -1,
      1,
      false,
      'mean',
      { weighted: true },
      'const { loss, gradient } = crossEntropy(logits, target, { weight });',
      'q = (target) * weight; dx = (s * q.sum(axis=-1, keepdims=True) - q) / (s.size / s.shape[-1])',
    ],
    [
      -1,
      1,
      true,
      null,
      { ignoreIndex: -100 },
      'const { loss, gradient } = crossEntropy(logits, target);',
      'counts = target != -100; q = np.eye(s.shape[-1])[np.where(counts, target, 0)] * counts[..., None]; dx = (s * q.sum(axis=-1, keepdims=True) - q) / counts.sum()',
    ],
    [
      -1,
      1,
      true,
      'mean',
      { ignoreIndex: 7, weighted: true, labelSmoothing: 0.1, masked: true },
      'const { loss, gradient } = crossEntropy(logits, target, { mask, labelSmoothing: 0.1, weight, ignoreIndex: 7 });',
      'counts = target != 7; q = (0.9 * np.eye(s.shape[-1])[np.where(counts, target, 0)] * counts[..., None] + 0.1 / mask.sum(axis=-1, keepdims=True) * mask) * weight; q = q * counts[..., None]; dx = (s * q.sum(axis=-1, keepdims=True) - q) / (weight[np.where(counts, target, 0)] * counts).sum()',
    ],
    [
      0,
      2,
      true,
      'sum',
      { ignoreIndex: 7, labelSmoothing: 0.1 },
      "const { loss, gradient } = crossEntropy(logits, target, { axis: 0, temperature: 2, labelSmoothing: 0.1, ignoreIndex: 7, reduction: 'sum' });",
      'counts = target != 7; q = 0.9 * np.moveaxis(np.eye(s.shape[0])[np.where(counts, target, 0)] * counts[..., None], -1, 0) + 0.1 / s.shape[0]; q = q * counts[..., None]; dx = (s * q.sum(axis=0, keepdims=True) - q) / 2',
    ],
    [
      -1,
      1,
      true,
      'mean',
      { ignoreIndex: 7, weighted: true },
      'const { loss, gradient } = crossEntropy(logits, target, { weight, ignoreIndex: 7 });',
      'counts = target != 7; q = (np.eye(s.shape[-1])[np.where(counts, target, 0)] * counts[..., None]) * weight; dx = (s * q.sum(axis=-1, keepdims=True) - q) / (weight[np.where(counts, target, 0)] * counts).sum()',
    ],
    [
      -1,
      1,
      false,
      'mean',
      { addsUp: false },
      'const { loss, gradient } = crossEntropy(logits, target);',
      'q = target; dx = (s * q.sum(axis=-1, keepdims=True) - q) / (s.size / s.shape[-1])',
    ],
    [
      -1,
      1,
      false,
      'mean',
      { ignoreIndex: 7 },
      'const { loss, gradient } = crossEntropy(logits, target, { ignoreIndex: 7 });',
      'dx = (s - target) / (s.size / s.shape[-1])',
    ],
    [
      -1,
      2,
      false,
      'sum',
      { masked: true, labelSmoothing: 0.5 },
      "const { loss, gradient } = crossEntropy(logits, target, { temperature: 2, mask, labelSmoothing: 0.5, reduction: 'sum' });",
      'q = 0.5 * target + 0.5 / mask.sum(axis=-1, keepdims=True) * mask; dx = (s * q.sum(axis=-1, keepdims=True) - q) / 2',
    ],
    [
      -1,
      2,
      true,
      'sum',
      { masked: true },
      "const { loss, gradient } = crossEntropy(logits, target, { temperature: 2, mask, reduction: 'sum' });",
      'dx = (s - np.eye(s.shape[-1])[target]) / 2',
    ],
  ])(
    'of a loss along axis %i at the temperature %d, indices %j, reduction %s, %j',
    (axis, temperature, indices, reduction, options, typescript, numpy) => {
      const setting = { ...settingOf(axis, temperature, indices), loss: { ...plain, ...options } };
      expect(remedyFor('loss', setting, reduction)).toEqual({ typescript, numpy });
    },
  );

  test.each<[Layer, Goal, number, number, LossReduction | null, string, string]>([
    [
      'log-softmax',
      'product',
      -1,
      1,
      null,
      'const dx = logSoftmax.vjp(logSoftmax(logits), g);',
      'dx = g - s * g.sum(axis=-1, keepdims=True)',
    ],
    [
      'log-softmax',
      'jacobian',
      -1,
      1,
      null,
      'const J = logSoftmax.jacobian(logSoftmax(logits));',
      'p = s; J = (np.eye(p.shape[-1]) - p[..., None, :])',
    ],
    [
      'log-softmax',
      'product',
      0,
      2,
      null,
      'const dx = logSoftmax.vjp(logSoftmax(logits, { axis: 0, temperature: 2 }), g);',
      'dx = (g - s * g.sum(axis=0, keepdims=True)) / 2',
    ],
    [
      'log-softmax',
      'jacobian',
      0,
      2,
      null,
      'const J = logSoftmax.jacobian(logSoftmax(logits, { axis: 0, temperature: 2 }));',
      'p = np.moveaxis(s, 0, -1); J = (np.eye(p.shape[-1]) - p[..., None, :]) / 2',
    ],
    ['sigmoid', 'product', -1, 1, null, 'const dx = sigmoid.vjp(s, g);', 'dx = g * s * (1 - s)'],
    ['sigmoid', 'jacobian', -1, 1, null, 'const dx = sigmoid.vjp(s, s.map(() => 1));', 'dx = s * (1 - s)'],
    [
      'sigmoid',
      'loss',
      -1,
      1,
      'mean',
      'const dx = s.map((p, i) => (p - target[i]) / s.length);',
      'dx = (s - target) / s.size',
    ],
    ['sigmoid', 'loss', -1, 1, 'sum', 'const dx = s.map((p, i) => (p - target[i]));', 'dx = (s - target)'],
    ['sigmoid', 'product', 0, 2, null, 'const dx = sigmoid.vjp(s, g);', 'dx = g * s * (1 - s) / 2'],
    ['sigmoid', 'jacobian', 0, 2, null, 'const dx = sigmoid.vjp(s, s.map(() => 1));', 'dx = s * (1 - s) / 2'],
    [
      'sigmoid',
      'loss',
      0,
      2,
      'mean',
      'const dx = s.map((p, i) => (p - target[i]) / s.length / 2);',
      'dx = (s - target) / s.size / 2',
    ],
    ['sigmoid', 'loss', 0, 2, 'sum', 'const dx = s.map((p, i) => (p - target[i]) / 2);', 'dx = (s - target) / 2'],
  ])(
    'of layer %s, %s, along axis %i at the temperature %d, reduction %s',
    (layer, goal, axis, temperature, reduction, typescript, numpy) => {
      expect(remedyFor(goal, { ...settingOf(axis, temperature, true), layer }, reduction)).toEqual({
        typescript,
        numpy,
      });
    },
  );

  test('of a loss behind log-softmax is that of the logits', () => {
    const setting = settingOf(0, 2, true);
    expect(remedyFor('loss', { ...setting, layer: 'log-softmax' }, 'sum')).toEqual(remedyFor('loss', setting, 'sum'));
    expect(remedyFor('softmax', { ...setting, layer: 'log-softmax' }, null)).toEqual(
      remedyFor('softmax', setting, null),
    );
  });

  test('of softmax itself is recognized with its assignment', () => {
    expect(diagnose({ gradient: 'const s = softmax(logits);' }).what).toContain('is softmax itself, which is safe');
    expect(diagnose({ gradient: 'softmax(logits)' }).verdict).toBe('target-missing');
  });

  test('has the options of the loss that the caller gave', () => {
    const mask = [
      [1, 1, 1],
      [1, 1, 0],
      [1, 1, 1],
      [0, 1, 1],
    ];
    const known = { logits, target: [0, 1, 7, 1], gradient: mean };
    const of = (more: Partial<DiagnoseInput>) => diagnose({ ...known, ...more }).instead.typescript;
    const call = (options: string) => `const { loss, gradient } = crossEntropy(logits, target${options});`;
    expect(of({ ignoreIndex: 7 })).toBe(call(', { ignoreIndex: 7 }'));
    expect(of({ ignoreIndex: 7, mask, weight: [1, 2, 3], labelSmoothing: 0.1, reduction: 'sum' })).toBe(
      call(", { mask, labelSmoothing: 0.1, weight, ignoreIndex: 7, reduction: 'sum' }"),
    );
    expect(of({ target, ignoreIndex: 7, labelSmoothing: 0, reduction: 'mean' })).toBe(call(''));
    expect(of({ target: [0, 1, -100, 1], reduction: 'mean' })).toBe(call(''));
  });
});
