import { expect, test } from 'vitest';
import { diagnose } from '../src/index.js';
import { softmax } from './attempts.js';
import { normal } from './random.js';

/** Right gradients in which a mistake of a loop changes nothing, and those that are right of another problem. */

const exact = (value: number) => value;
const next = normal(21);
const [n, f] = [4, 5];
const logits = Array.from({ length: n }, () => Array.from({ length: f }, next));
const upstream = Array.from({ length: n }, () => Array.from({ length: f }, next));
const target = [2, 4, 1, 3];
const error = (x: readonly (readonly number[])[], labels: readonly number[] = target) =>
  softmax(x, 1, exact).map((row, k) => row.map((p, i) => p - (i === labels[k] ? 1 : 0)));
const through = (x: readonly (readonly number[])[], g: readonly (readonly number[])[]) =>
  softmax(x, 1, exact).map((row, k) => {
    const inner = row.reduce((sum, p, i) => sum + p * (g[k]?.[i] ?? 0), 0);
    return row.map((p, i) => p * ((g[k]?.[i] ?? 0) - inner));
  });

test('of equal rows, one row for all and rows that are moved are no mistakes', () => {
  const equal = logits.map(() => logits[0] ?? []);
  const g = equal.map(() => upstream[0] ?? []);
  const labels = equal.map(() => 2);
  for (const known of [
    { upstream: g, gradient: through(equal, g) },
    { target: labels, gradient: error(equal, labels) },
  ]) {
    const ids = diagnose({ logits: equal, ...known }).matches.map(({ id }) => id);
    expect(ids).toContain('right');
    for (const id of ['one-row-for-all', 'rows-shifted', 'class-skipped', 'not-reset']) expect(ids).not.toContain(id);
  }
});

test('a term that is 0 is not missed', () => {
  const g = upstream.map(([, ...others]) => [0, ...others]);
  expect(diagnose({ logits, upstream: g, gradient: through(logits, g) }).verdict).toBe('right');
  // Class 0 is no target.
  expect(diagnose({ logits, target, gradient: error(logits) }).verdict).toBe('right');
});

test('numbers of which nothing but rounding is left are not sums that were not reset', () => {
  const sure = logits.map((row, k) => row.map((value, i) => (i === k ? 40 : value)));
  const gradient = through(sure, upstream).map((row) => row.map((value, i) => value * (1 + (i % 2 ? 1e-6 : -1e-6))));
  expect(diagnose({ logits: sure, upstream, gradient }).verdict).toBe('saturated');
});

test('a class whose logits are the constant 0 may have no gradient', () => {
  const reference = logits.map(([, ...others]) => [0, ...others]);
  const known = { logits: reference, target, gradient: error(reference).map(([, ...others]) => [0, ...others]) };
  const { verdict, matches } = diagnose(known);
  expect([verdict, ...matches.map(({ id }) => id).sort()]).toEqual(['ambiguous', 'class-skipped', 'right']);
  const other = diagnose({ ...known, logits, gradient: error(logits).map(([, ...others]) => [0, ...others]) });
  expect(other.verdict).toBe('class-skipped');
});

test.each([
  ['s - y[:, None]', 'class-index-subtracted'],
  ['np.cumsum(dx, axis=0)', 'not-reset'],
  ['dx[target] -= 1', 'target-indexing'],
  ['s - 1', 'target-indexing'],
  ['s * g - (s * g).sum(axis=-1, keepdims=True)', 'inner-product-wrong'],
  ['s * (g - (s * g).mean(axis=-1, keepdims=True))', 'inner-product-wrong'],
  ['np.diag(s) - np.dot(s, s)', 'outer-product-wrong'],
  ['s * (s - y)', 'probabilities-twice'],
  ['s + y', 'target-added'],
  ['np.log(s) - y', 'logarithms-for-probabilities'],
  ['-y * np.log(s)', 'loss-for-gradient'],
])('the expression %s is %s', (gradient, id) => {
  expect(diagnose({ gradient }).verdict).toBe(id);
});
