import { describe, expect, test } from 'vitest';
import { reference, referenceCrossEntropy, tolerance } from '../conformance/index.js';
import { crossEntropyLossTolerance } from '../conformance/tolerance-cross-entropy.js';

const { statedBounds } = tolerance;
type Name = keyof typeof statedBounds;

const expUlp = { base: 1.5, slope: 0.25 };
const precision = tolerance.precisionOf({ expUlp, subnormals: 'preserve' }, 'float32');

/** The numbers and functions that the symbols of a formula stand for. */
type Symbols = Readonly<Record<string, unknown>>;

/** The value of a formula in TeX. */
function computed(tex: string, symbols: Symbols): number {
  const code = tex
    .replaceAll(/\\left|\\right/g, '')
    .replaceAll('x_{\\max}', 'xMax')
    .replaceAll('x_{\\min}', 'xMin')
    .replaceAll('\\sum_{k \\ne \\max} (', 'others((k) => ')
    .replaceAll('\\sum_k (', 'all((k) => ')
    .replaceAll(/\b([xsqy])_([ik])\b/g, '$1[$2]')
    .replaceAll('\\lvert', 'abs(')
    .replaceAll('\\rvert', ')')
    .replaceAll('\\,', '*')
    .replaceAll(/\\sqrt\{(\w)\}/g, 'sqrt($1)')
    .replaceAll(/\\frac\{([^{}]*)\}\{([^{}]*)\}/g, '(($1) / ($2))')
    .replaceAll(/\\(max|min|log|exp|sigma|Lambda|ell)\b/g, '$1');
  expect(code).not.toMatch(/[\\{}]/);
  return new Function(...Object.keys(symbols), `return ${code}`)(...Object.values(symbols));
}

/** The stated bound of the result at position i of a row of logits. */
function stated(name: Name, x: readonly number[], i: number, more: Symbols): number {
  const { tex, where } = statedBounds[name];
  const top = x.indexOf(Math.max(...x));
  const over = (term: (k: number) => number, but?: number) =>
    x.reduce((sum, _, k) => (k === but ? sum : sum + term(k)), 0);
  const symbols: Record<string, unknown> = {
    ...{ max: Math.max, min: Math.min, abs: Math.abs, sqrt: Math.sqrt, log: Math.log, exp: Math.exp },
    ...{ x, i, e: precision.exp, u: precision.unit, f: x.length, b: expUlp.base },
    ...{ xMax: Math.max(...x), xMin: Math.min(...x) },
    all: (term: (k: number) => number) => over(term),
    others: (term: (k: number) => number) => over(term, top),
    ...more,
  };
  const texOf = (symbol: string) => where.filter((one) => one.symbol === symbol).map((one) => one.tex);
  for (const [symbol, name] of [
    ['r', 'r'],
    ['\\sigma', 'sigma'],
  ] as const) {
    for (const one of texOf(symbol)) symbols[name] = computed(one, symbols);
  }
  const [large, small] = texOf('\\Lambda');
  const logarithm = Number(symbols.r) > 0.5 ? large : small;
  if (logarithm !== undefined) symbols.Lambda = computed(logarithm, symbols);
  return computed(tex, symbols);
}

/** Rows where each part of the formulas decides: alike and spread logits, one dominant, one class, a sum with many terms far below the maximum. */
const rows: readonly (readonly number[])[] = [
  [0.25, 0, -0.5],
  [3, -7, 2.5, 1, -12, 2.75],
  [20, 1, 3],
  [-40, 2, 3.5, -1.25],
  [1.5],
  [8, ...Array.from({ length: 3000 }, (_, k) => Math.sin(k))],
];

describe.each(rows.map((x) => ({ x, name: `${x.length} logits from ${x[0]}` })))('of $name', ({ x }) => {
  const layout = { outer: 1, classes: x.length, inner: 1 };
  const everywhere = (name: Name, expected: ArrayLike<number>, bounds: ArrayLike<number>, more: Symbols) => {
    expect(bounds.length).toBe(expected.length);
    const step = Math.ceil(expected.length / 6);
    for (let i = 0; i < expected.length; i += step) {
      // Bounds of 0 have the smallest number added.
      expect(Math.abs(stated(name, x, i, more) - bounds[i]), `${name} at ${i}`).toBeLessThan(1e-9 * bounds[i] + 1e-40);
    }
  };

  test('the stated bounds of softmax and softmin are their tolerances', () => {
    for (const [name, temperature] of [
      ['softmax', 1],
      ['softmin', -1],
    ] as const) {
      const s = reference.softmax(x, layout, { temperature });
      everywhere(name, s, tolerance.softmaxTolerance(precision, x, s, layout, { temperature }), { s });
    }
  });

  test('the stated bounds of logSoftmax, logSumExp and cross-entropy are their tolerances', () => {
    const s = reference.softmax(x, layout);
    const y = reference.logSoftmax(x, layout);
    everywhere('logSoftmax', y, tolerance.logSoftmaxTolerance(precision, x, y, layout), { s, y });
    const sums = reference.logSumExp(x, layout);
    everywhere('logSumExp', sums, tolerance.logSumExpTolerance(precision, x, sums, layout), { s, ell: sums[0] });
    const q = x.map((_, k) => (k + 1) / 8);
    for (const [w, options] of [
      [0, {}],
      [9, { labelSmoothing: 0.25, weight: q }],
    ] as const) {
      const target = { kind: 'probabilities', values: q } as const;
      const all = { ...options, reduction: 'none' } as const;
      const { loss } = referenceCrossEntropy(x, target, layout, all);
      const weights = x.map((_, k) => (w === 0 ? q[k] : (0.75 * q[k] + 0.25 / x.length) * q[k]));
      const bounds = crossEntropyLossTolerance(precision, x, target, loss, layout, all);
      everywhere('crossEntropy', loss, bounds, { s, y, w, q: weights });
    }
  });

  test('the stated bound of sigmoid is its tolerance', () => {
    const y = reference.sigmoid(x);
    const bounds = tolerance.sigmoidTolerance(precision, x, y);
    x.slice(0, 6).forEach((one, i) => {
      expect(stated('sigmoid', x, i, { x: one, y: y[i] }) / bounds[i]).toBeCloseTo(1, 9);
    });
  });
});
