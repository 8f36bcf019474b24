import { expect, test } from 'vitest';
import { diagnose } from '../src/index.js';
import { type Matrix, softmax } from './attempts.js';
import { normal } from './random.js';

function problem(n: number, f: number) {
  const next = normal(61);
  const matrix = () => Array.from({ length: n }, () => Array.from({ length: f }, next));
  const [logits, upstream] = [matrix(), matrix()];
  const s = softmax(logits, 1, (value) => value);
  const product = s.map((row, k) =>
    row.map((p, i) => p * (upstream[k][i] - row.reduce((sum, q, j) => sum + q * upstream[k][j], 0))),
  );
  const verdict = (gradient: Matrix) => diagnose({ logits, upstream, gradient: gradient as number[][] }).verdict;
  return { product, verdict };
}

test('an explanation fits up to a relative error of a thousandth', () => {
  const { product, verdict } = problem(4, 3);
  const off = (share: number) => product.map((row, n) => row.map((value, i) => value * (1 + share * (-1) ** (n + i))));
  expect([0.98e-3, 1.02e-3].map((share) => verdict(off(share)) === 'right')).toEqual([true, false]);
});

test('a factor is found in four numbers that differ freely, and not in three', () => {
  for (const [n, f, expected] of [
    [2, 3, 'scaled'],
    [1, 5, 'scaled'],
    [4, 2, 'scaled'],
    [1, 4, 'unknown'],
    [3, 2, 'unknown'],
  ] as const) {
    const { product, verdict } = problem(n, f);
    expect([n, f, verdict(product.map((row) => row.map((value) => 0.0123 * value)))]).toEqual([n, f, expected]);
  }
});
