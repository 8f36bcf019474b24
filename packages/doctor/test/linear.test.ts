import { describe, expect, test } from 'vitest';
import { explanationsOf } from '../src/catalogue.js';
import { jacobianEntries } from '../src/derivatives.js';
import type { DiagnoseInput } from '../src/index.js';
import { byIndex } from '../src/numbers.js';
import { readProblem } from '../src/problem.js';

/** The classes of a large vocabulary: what reads a row once for each of its entries takes seconds, all other things milliseconds. */
const f = 40_000;
const row = (of: (i: number) => number) => ({ data: Float64Array.from({ length: f }, (_, i) => of(i)), shape: [1, f] });
const logits = row(Math.sin);
const upstream = row((i) => Math.sin(2 * i));
const mask = row((i) => (i % 9 === 1 ? 0 : 1));
const settings: Readonly<Record<string, Omit<DiagnoseInput, 'gradient'>>> = {
  'an upstream gradient': { logits, upstream },
  'a target': { logits, target: [7] },
  'a target, smoothed, and a mask': { logits, target: [7], labelSmoothing: 0.1, mask },
  'a sigmoid': { logits, layer: 'sigmoid', upstream },
  'a sigmoid with a target': { logits, layer: 'sigmoid', target: row((i) => i % 2) },
  'a log-softmax': { logits, layer: 'log-softmax', upstream },
};

function millisecondsOf(compute: () => unknown): number {
  const start = performance.now();
  compute();
  return performance.now() - start;
}

describe.each(Object.entries(settings))('with %s, in time that is linear in the number of classes', (_, input) => {
  test('the problem is read', () => {
    expect(millisecondsOf(() => readProblem(input))).toBeLessThan(400);
  });

  test('the candidates of each form are computed', () => {
    const problem = readProblem(input);
    const slow: string[] = [];
    for (const { id, forms } of explanationsOf(problem.layer ?? 'softmax')) {
      for (const form of forms) {
        if (form.kind !== 'gradient') continue;
        const time = millisecondsOf(() => {
          for (const { values } of form.gives(problem)) {
            const valueAt = byIndex(values);
            for (let k = 0; k < f; k++) valueAt(k);
          }
        });
        if (time > 400) slow.push(`${id}: ${form.expressions.join()} ${time}`);
      }
    }
    expect(slow).toEqual([]);
  });

  test('an entry of the Jacobian is computed', () => {
    const problem = readProblem(input);
    expect(millisecondsOf(() => jacobianEntries(problem)(0))).toBeLessThan(400);
  });
});
