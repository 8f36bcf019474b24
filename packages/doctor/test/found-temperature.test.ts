import { describe, expect, test } from 'vitest';
import { diagnose } from '../src/index.js';
import type { Layer } from '../src/input.js';
import { type Matrix, softmax } from './attempts.js';
import { normal } from './random.js';

const random = (n: number, f: number, seed: number): number[][] => {
  const next = normal(seed);
  return Array.from({ length: n }, () => Array.from({ length: f }, next));
};
const logits = random(6, 5, 11);
const upstream = random(6, 5, 12);
const target = [0, 3, 1, 4, 2, 2];
const plain = (value: number) => value;

/** The vector-Jacobian product at a temperature, times a factor. */
function productAt(x: Matrix, g: Matrix, temperature: number, factor = 1): number[][] {
  return softmax(x, temperature, plain).map((row, n) => {
    const inner = row.reduce((sum, p, i) => sum + p * (g[n]?.[i] ?? 0), 0);
    return row.map((p, i) => (factor * p * ((g[n]?.[i] ?? 0) - inner)) / temperature);
  });
}

/** The gradient of the summed cross-entropy at a temperature, times a factor. */
function lossAt(x: Matrix, labels: readonly number[], temperature: number, factor = 1): number[][] {
  return softmax(x, temperature, plain).map((row, n) =>
    row.map((p, i) => (factor * (p - (i === labels[n] ? 1 : 0))) / temperature),
  );
}

describe('a gradient that is right at a temperature that was not given', () => {
  test.each([0.07, 0.5, 1.25, 3.7, 20])('%s', (temperature) => {
    const ofProduct = diagnose({ logits, upstream, gradient: productAt(logits, upstream, temperature) });
    expect(ofProduct.verdict).toBe('right');
    expect(ofProduct.matches[0]?.formula).toMatch(new RegExp(`, T = ${temperature}$`));
    expect(ofProduct.instead.typescript).toBe(`const dx = softmax.vjp(s, g, { temperature: ${temperature} });`);
    expect(ofProduct.evidence.notes).toContain('The code below has the options that were found in the numbers.');
    const ofLoss = diagnose({ logits, target, gradient: lossAt(logits, target, temperature, 1 / 6) });
    expect(ofLoss.verdict).toBe('right');
    expect(ofLoss.matches[0]?.formula).toBe(`(s − y) / n / T, T = ${temperature}`);
    expect(ofLoss.instead.typescript).toContain(`temperature: ${temperature}`);
  });

  test('of a sigmoid and of a log-softmax', () => {
    const of: Record<Extract<Layer, 'sigmoid' | 'log-softmax'>, number[][]> = {
      sigmoid: logits.map((row, n) =>
        row.map((x, i) => {
          const s = 1 / (1 + Math.exp(-x / 0.3));
          return ((upstream[n]?.[i] ?? 0) * s * (1 - s)) / 0.3;
        }),
      ),
      'log-softmax': softmax(logits, 0.3, plain).map((row, n) => {
        const g = upstream[n] ?? [];
        const sum = g.reduce((a, b) => a + b, 0);
        return row.map((p, i) => ((g[i] ?? 0) - p * sum) / 0.3);
      }),
    };
    for (const [layer, gradient] of Object.entries(of)) {
      const { verdict, matches } = diagnose({ logits, upstream, gradient, layer: layer as Layer });
      expect([verdict, matches[0]?.formula]).toEqual(['right', expect.stringMatching(/, T = 0.3$/)]);
    }
  });

  test('of printed numbers, whose temperature is written with few digits', () => {
    const printed = productAt(logits, upstream, 2.5).map((row) => row.map((value) => Number(value.toFixed(6))));
    expect(diagnose({ logits, upstream, gradient: printed }).matches[0]?.formula).toMatch(/, T = 2.5$/);
  });

  test('of many rows, of which a sample is fitted', () => {
    const [x, g] = [random(4000, 10, 13), random(4000, 10, 14)];
    const { verdict, matches } = diagnose({ logits: x, upstream: g, gradient: productAt(x, g, 0.35) });
    expect([verdict, matches[0]?.formula]).toEqual(['right', expect.stringMatching(/, T = 0.35$/)]);
  });

  test('but wrong in one row is not right', () => {
    const gradient = productAt(logits, upstream, 0.5);
    gradient[2] = productAt(logits, upstream, 0.6)[2] ?? [];
    expect(diagnose({ logits, upstream, gradient }).verdict).not.toBe('right');
  });
});

test('without the inner derivative 1/T it is the mistake, and the code has the temperature', () => {
  for (const { formula, ...input } of [
    { upstream, gradient: productAt(logits, upstream, 0.4, 0.4), formula: 's ⊙ (g − ⟨s, g⟩), T = 0.4' },
    { target, gradient: lossAt(logits, target, 0.4, 0.4 / 6), formula: '(s − y) / n, T = 0.4' },
  ]) {
    const { verdict, matches, instead } = diagnose({ logits, ...input });
    expect(verdict).toBe('temperature');
    expect(matches[0]?.formula).toBe(formula);
    expect(instead.typescript).toContain('temperature: 0.4');
  }
});

describe('where another reduction without the inner derivative has the same numbers', () => {
  test('the mean at T = 1/n may be the sum without 1/T', () => {
    for (const [n, T] of [
      [2, 0.5],
      [4, 0.25],
    ] as const) {
      const x = logits.slice(0, n);
      const labels = target.slice(0, n);
      const { verdict, matches, instead } = diagnose({
        logits: x,
        target: labels,
        gradient: lossAt(x, labels, T, 1 / n),
      });
      expect(verdict).toBe('ambiguous');
      expect(matches.map(({ id, formula }) => [id, formula])).toEqual([
        ['right', `(s − y) / n / T, T = ${T}`],
        ['temperature', `(s − y), T = ${T}`],
      ]);
      expect(instead.typescript).toContain(`temperature: ${T}`);
      const rounded = lossAt(x, labels, T, 1 / n).map((row) => row.map((value) => Number(value.toFixed(4))));
      expect(diagnose({ logits: x, target: labels, gradient: rounded }).matches.map(({ id }) => id)).toContain('right');
    }
  });

  test('but at any other temperature only one of them has', () => {
    const [x, labels] = [logits.slice(0, 2), target.slice(0, 2)];
    expect(diagnose({ logits: x, target: labels, gradient: lossAt(x, labels, 0.6, 1 / 2) }).verdict).toBe('right');
    expect(diagnose({ logits: x, target: labels, gradient: lossAt(x, labels, 0.6, 0.6) }).verdict).toBe('temperature');
  });

  test('of soft targets, the T² of distillation is right, at T = n as well', () => {
    const soft = softmax(random(6, 5, 15), 1, plain);
    for (const T of [2, 3, 6]) {
      const gradient = softmax(logits, T, plain).map((row, n) =>
        row.map((p, i) => ((p - (soft[n]?.[i] ?? 0)) * T) / 6),
      );
      const { verdict, matches } = diagnose({ logits, target: soft, gradient });
      expect([verdict, matches.map(({ id }) => id)]).toEqual(['ambiguous', ['right', 'temperature']]);
      expect(matches[0]?.formula).toBe(`T² · ((s − y) / n / T), the T² of distillation, T = ${T}`);
    }
  });
});

test('a temperature that was given is not replaced, but the one that fits is named', () => {
  const gradient = productAt(logits, upstream, 0.7);
  for (const temperature of [1, 2]) {
    const { verdict, evidence } = diagnose({ logits, upstream, gradient, temperature });
    expect(verdict).toBe('unknown');
    expect(evidence.notes.join()).toContain(
      'They are right at the temperature 0.7, which is not the one that was given.',
    );
  }
});

test('three numbers more than the sums of the rows are too few to fit a temperature', () => {
  const [x, g] = [logits.slice(0, 1), upstream.slice(0, 1)];
  expect(diagnose({ logits: x, upstream: g, gradient: productAt(x, g, 0.5) }).verdict).toBe('right');
  const [narrow, own] = [x.map((row) => row.slice(0, 4)), g.map((row) => row.slice(0, 4))];
  expect(diagnose({ logits: narrow, upstream: own, gradient: productAt(narrow, own, 0.5) }).verdict).not.toBe('right');
});

test('at a temperature so small that the gradient is below the rounding noise of row sums, it is not taken for these', () => {
  const wide = [
    [0, 5, 10],
    [9, 0, 4],
    [1, -4, 6],
    [3, 8, -2],
  ];
  const cotangent = wide.map((_, n) => (upstream[n] ?? []).slice(0, 3));
  for (const temperature of [0.05, 0.1]) {
    const gradient = productAt(wide, cotangent, temperature);
    expect(diagnose({ logits: wide, upstream: cotangent, gradient }).verdict).not.toBe('row-sum');
  }
  const sums = softmax(logits, 1, plain).map((row) =>
    row.map((p, i) => row.reduce((sum, q, j) => sum + (i === j ? p * (1 - p) : -p * q), 0)),
  );
  expect(diagnose({ logits, upstream, gradient: sums }).verdict).toBe('row-sum');
});
