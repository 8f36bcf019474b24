import { describe, expect, test } from 'vitest';
import { diagnose } from '../src/index.js';
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
