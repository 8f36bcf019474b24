import { describe, expect, test } from 'vitest';
import { diagnose } from '../src/index.js';
import { remedyFor } from '../src/remedy.js';
import { digitsOf, formatError, sentence } from '../src/report.js';
import { settingOf } from '../src/round-trip.js';
import { type Matrix, softmax } from './attempts.js';
import { normal } from './random.js';

const random = (n: number, f: number, seed: number): number[][] => {
  const next = normal(seed);
  return Array.from({ length: n }, () => Array.from({ length: f }, next));
};
const plain = (value: number) => value;
const product = (p: Matrix, g: Matrix) =>
  p.map((row, n) => row.map((q, i) => q * (g[n][i] - row.reduce((sum, r, j) => sum + r * g[n][j], 0))));

const x = random(4, 3, 41);
const g = random(4, 3, 42);
const s = softmax(x, 1, plain);
const right = product(s, g);

describe('numbers in words', () => {
  test('errors have two digits, and digits are counted where there are fewer than float32 has', () => {
    expect([0, 0.0123, 1e-9, 12.6].map(formatError)).toEqual(['0', '0.012', '1.0e-9', '13']);
    expect([0, 1e-6, 1.1e-6, 8e-4, 0.2].map(digitsOf)).toEqual([null, null, 5, 3, 0]);
  });

  test('a sentence starts with a capital letter unless it starts with a symbol', () => {
    expect(
      ['sign flipped', 'right', 's ⊙ g', 'σ(x)', 's_i everywhere', 'log-softmax', '⟨s, g⟩', 'ab'].map(sentence),
    ).toEqual(['Sign flipped', 'Right', 's ⊙ g', 'σ(x)', 's_i everywhere', 'Log-softmax', '⟨s, g⟩', 'Ab']);
  });
});

describe('a verdict in words', () => {
  test('saturated, with the share of the rows and the way out', () => {
    const logits = [
      [30, 0, 0],
      [0, 25, 0],
      [1, 0, 2],
    ];
    const upstream = random(3, 3, 43);
    const { verdict, what, why, instead } = diagnose({
      logits,
      upstream,
      gradient: product(softmax(logits, 1, plain), upstream),
    });
    expect(verdict).toBe('saturated');
    expect(what).toBe(
      'The right derivative of a saturated softmax: in 2 of 3 rows (67 %) it is nearly one-hot, with no entry of J above 0.001.',
    );
    expect(why).toContain('the cross-entropy of logits has the gradient s − y, which does not vanish');
    expect(instead.typescript).toBe('const { loss, gradient } = crossEntropy(logits, target);');
  });

  test('exactly half of the rows are not most of them', () => {
    const logits = [
      [30, 0, 0],
      [1, 0, 2],
    ];
    const upstream = random(2, 3, 43);
    const { verdict, evidence } = diagnose({
      logits,
      upstream,
      gradient: product(softmax(logits, 1, plain), upstream),
    });
    expect(verdict).toBe('right');
    expect(evidence.saturatedRows).toBe(1);
    expect(evidence.notes).toContain('1 of 2 rows are saturated: their Jacobian is nearly 0.');
  });

  test('underflow, of zeros', () => {
    const logits = [
      [200, 0, 0],
      [0, 300, 0],
    ];
    const { verdict, what, why, instead, evidence } = diagnose({
      logits,
      upstream: random(2, 3, 44),
      gradient: [
        [0, 0, 0],
        [0, 0, 0],
      ],
    });
    expect(verdict).toBe('underflow');
    expect(what).toBe(
      'Zeros by underflow: in 2 of 2 rows (100 %) all probabilities but one are below 1.4e-45 and so 0 in float32, and the Jacobian with them.',
    );
    expect(why).toContain('exp(x − max) is 0 in float32 below a gap of 104');
    expect(instead.typescript).toContain('crossEntropy');
    expect([evidence.largest, evidence.underflowedRows, evidence.saturatedRows]).toEqual([0, 2, 2]);
    expect(evidence.notes.join(' ')).not.toContain('rows are saturated');
  });

  test('unknown, with the nearest explanation and what to check', () => {
    const unknown = [
      [3, 1, 4],
      [1, 5, 9],
      [2, 6, 5],
      [3, 5, 8],
    ];
    const known = diagnose({ logits: x, upstream: g, gradient: unknown });
    expect(known.what).toMatch(
      /^No known mistake gives these numbers: the nearest, .{3,}, is off by 0\.\d+ of their size\.$/,
    );
    expect(known.why).toContain('Check that these are the logits, the axis and the upstream gradient');
    expect(known.why).toContain('; `gradcheck` of the package softgrad compares any derivative with differences.');
    expect(known.instead.typescript).toBe('const dx = softmax.vjp(s, g);');
    const alone = diagnose({ logits: x, gradient: unknown });
    expect(alone.why).toContain('can be said only with `upstream` or `target`.');
    const target = diagnose({ logits: x, target: [0, 1, 2, 0], gradient: unknown });
    expect(target.why).toContain('Check that these are the logits');
    expect(target.instead.typescript).toContain('crossEntropy');
    const nothing = diagnose({ logits: x, gradient: unknown.map((row) => row.map(() => Number.NaN)) });
    expect([nothing.verdict, nothing.what]).toEqual(['unknown', 'No known mistake gives these numbers.']);
    expect(nothing.evidence.nextBest).toBeNull();
  });

  test('unknown, where some rows are right, with those that are not', () => {
    const wrong = right.map((row, n) => (n === 2 ? [3, -1, 2] : row));
    const { verdict, evidence } = diagnose({ logits: x, upstream: g, gradient: wrong });
    expect(verdict).toBe('unknown');
    expect(evidence.notes).toContain('3 of 4 rows are right; these are not: 2.');
    const many = random(9, 3, 45);
    const upstream = random(9, 3, 46);
    const products = product(softmax(many, 1, plain), upstream);
    const off = (count: number) =>
      diagnose({ logits: many, upstream, gradient: products.map((row, n) => (n < count ? [3, -1 - n, 2] : row)) });
    expect(off(5).evidence.notes).toContain('4 of 9 rows are right; these are not: 0, 1, 2, 3, 4.');
    expect(off(6).evidence.notes).toContain('3 of 9 rows are right; these are not: 0, 1, 2, 3, 4 ….');
    expect(off(9).evidence.notes.join(' ')).not.toContain('rows are right');
  });

  test('unknown without an upstream, where the rows add up to 0 as those of a product do', () => {
    const cancel = 'Each row adds up to 0, as a right product does';
    const notes = (gradient: Matrix, more = {}) =>
      diagnose({ logits: x, gradient: gradient as number[][], ...more }).evidence.notes.join(' ');
    expect(notes(right)).toContain(cancel);
    expect(notes(right.map(([a, b, c]) => [a, b, c + 1e-4 * Math.abs(c)]))).not.toContain(cancel);
    expect(
      notes(
        random(4, 3, 47).map(([a, b]) => [a, b, -a - b]),
        { target: [0, 1, 2, 0] },
      ),
    ).not.toContain(cancel);
  });

  test('ambiguous, with all names and why nothing tells them apart', () => {
    const one = softmax(random(1, 3, 4), 1, plain);
    const error = one.map((row) => row.map((p, i) => p - (i === 1 ? 1 : 0)));
    const { what, why, text, evidence } = diagnose({ probabilities: one, target: [1], gradient: product(one, error) });
    expect(what).toBe('2 explanations give these numbers: right; multiplied by the Jacobian again.');
    expect(why).toMatch(
      / Nothing in the numbers tells it from multiplied by the Jacobian again: `upstream` can, or `target` with `layer`\.$/,
    );
    expect(text).toContain('\nIf the loss is the cross-entropy\n');
    expect(evidence.notes).toContain(
      'n = 1: with one row a sum and a mean over the batch are the same; look at two rows or more.',
    );
    const none = diagnose({ probabilities: [[1], [1]], upstream: [[2], [3]], gradient: [[0], [0]] });
    expect(none.what).toMatch(/^\d+ explanations give these numbers: right; /);
    expect(none.why).toMatch(/ Nothing in the numbers tells it from the others\.$/);
    const zeros = { probabilities: one, gradient: [[0, 0, 0]] };
    expect(diagnose(zeros).why).toMatch(/tells it from right: `upstream` can, or `target` with `layer`\.$/);
    for (const decided of [{ upstream: [[1, 2, 3]] }, { target: [1], layer: 'cross-entropy' as const }])
      expect(diagnose({ ...zeros, ...decided }).verdict).toBe('row-sum');
    const given = diagnose({ probabilities: [[0.5, 0.5]], upstream: [[1, 1]], gradient: [[0, 0]] });
    expect(given.matches.length).toBeGreaterThan(1);
    expect(given.why).not.toContain('`upstream`');
    const same = diagnose({ probabilities: [[0.5, 0.5]], upstream: [[1, 1]], gradient: [[0, 0]] });
    expect(same.text).toContain('\nWhat is right in any case\n');
  });

  test('right to few digits, with the number of them', () => {
    const gradient = right.map((row, n) => row.map((value, i) => value * (1 + 5e-5 * (-1) ** (n + i))));
    const { what, why, text } = diagnose({ logits: x, upstream: g, gradient });
    expect(what).toBe(
      'Right, but only to 4 digits: the gradient in the logits for the upstream gradient that was given, off by 0.000050 of its size.',
    );
    expect(why).toContain('that many digits are left by float16');
    expect(text).toContain('\nTo compare with in full precision\n');
  });

  test('zeros that were never written look like summed rows', () => {
    const zeros = x.map((row) => row.map(() => 0));
    expect(diagnose({ logits: x, gradient: zeros }).evidence.notes).toContain(
      'All numbers are exactly 0, without the noise of rounding, as of an array never written, or of whole numbers (np.zeros_like of integers, an Int32Array).',
    );
    const noise = x.map((row) => row.map((_, i) => (i - 1) * 1e-17));
    const largest = Math.max(...s.flat()).toPrecision(2);
    expect(diagnose({ logits: x, gradient: noise }).evidence.notes).toContain(
      `The largest of the numbers is 1.0e-17; the terms that cancel are probabilities of up to ${largest}.`,
    );
  });

  test('an upstream that has been through softmax is said to be that', () => {
    const upstream = s.map((row, n) => row.map((p, i) => p - (i === n % 3 ? 1 : 0)));
    const { verdict, evidence } = diagnose({ logits: x, upstream, gradient: product(s, upstream) });
    expect(verdict).toBe('ambiguous');
    expect(evidence.notes).toContain(
      'The upstream gradient that you gave is s − y (for some target). In the probabilities that is the gradient of ½‖s − y‖², and goes through the Jacobian; the cross-entropy has s − y in the logits, behind the Jacobian. Say which it is: layer softmax or cross-entropy.',
    );
  });

  test('a factor of its own, with its size', () => {
    const { verdict, matches, what, why } = diagnose({
      logits: x,
      upstream: g,
      gradient: right.map((row) => row.map((v) => -0.0123 * v)),
    });
    expect([verdict, matches[0].formula]).toEqual(['scaled', '-0.0123 × (s ⊙ (g − ⟨s, g⟩))']);
    expect(what).toBe(
      'Right but for a constant factor: the right derivative times a constant that is neither the batch size nor the temperature.',
    );
    expect(why).toContain('A factor of its own');
    const J = s.map((row) => row.map((a, i) => row.map((b, j) => 0.3 * ((i === j ? a : 0) - a * b))));
    const jacobian = diagnose({ logits: x, gradient: J });
    expect([jacobian.verdict, jacobian.matches[0].formula]).toEqual(['scaled', '0.3 × (diag(s) − s sᵀ)']);
    // Of fewer than four numbers that differ freely, a factor is found by chance.
    const few = x.slice(0, 1);
    const product1 = product(softmax(few, 1, plain), g.slice(0, 1)).map((row) => row.map((v) => 0.0123 * v));
    expect(diagnose({ logits: few, upstream: g.slice(0, 1), gradient: product1 }).verdict).not.toBe('scaled');
  });

  test('an expression, with the numbers that it gives for the data', () => {
    const { what, evidence, matches, why } = diagnose({ gradient: ' s * (1 - s) ', logits: x });
    expect(what).toMatch(/^`s \* \(1 - s\)` is the Jacobian's diagonal alone: .*[^.]\.$/);
    expect(matches).toEqual([{ id: 'diagonal', name: 'diagonal only', formula: ' s * (1 - s) ', error: 0 }]);
    const largest = Math.max(...s.flat().map((p) => p * (1 - p)));
    expect(evidence).toEqual({
      nextBest: null,
      largest: expect.closeTo(largest, 14),
      nonFinite: 0,
      rows: 4,
      saturatedRows: 0,
      underflowedRows: 0,
      notes: [`With your data it gives numbers up to ${largest.toPrecision(2)}.`],
    });
    expect(why).toContain('∂s_i/∂x_j');
    const J = diagnose({ gradient: 'np.diag(s) - np.outer(s, s)', logits: x });
    expect(J.evidence.largest).toBeCloseTo(largest, 14);
    expect(diagnose({ gradient: 's * (1 - s)' }).evidence).toMatchObject({ largest: null, rows: 0, notes: [] });
  });
});

describe('the lines to write instead', () => {
  const lines = (...parameters: Parameters<typeof remedyFor>) => {
    const { typescript, numpy } = remedyFor(...parameters);
    return [typescript, numpy];
  };

  test('are for the last axis and the temperature 1 where nothing is known', () => {
    expect(lines('product', null, null)).toEqual([
      'const dx = softmax.vjp(s, g);',
      'dx = s * (g - (s * g).sum(axis=-1, keepdims=True))',
    ]);
    expect(lines('loss', null, null)).toEqual([
      'const { loss, gradient } = crossEntropy(logits, target);',
      'dx = (s - np.eye(s.shape[-1])[target]) / np.size(target)',
    ]);
    expect(lines('jacobian', null, null)).toEqual([
      'const J = softmax.jacobian(s);',
      'p = s; J = (p[..., None] * np.eye(p.shape[-1]) - p[..., None] * p[..., None, :])',
    ]);
    expect(lines('softmax', null, null)).toEqual([
      'const s = softmax(logits);',
      'e = np.exp((x - x.max(axis=-1, keepdims=True))); s = e / e.sum(axis=-1, keepdims=True)',
    ]);
  });

  test('have the axis and the temperature of the problem', () => {
    const setting = settingOf(0, 2, true);
    expect(lines('product', setting, null)).toEqual([
      'const dx = softmax.vjp(s, g, { axis: 0, temperature: 2 });',
      'dx = s * (g - (s * g).sum(axis=0, keepdims=True)) / 2',
    ]);
    expect(lines('jacobian', setting, null)).toEqual([
      'const J = softmax.jacobian(s, { axis: 0, temperature: 2 });',
      'p = np.moveaxis(s, 0, -1); J = (p[..., None] * np.eye(p.shape[-1]) - p[..., None] * p[..., None, :]) / 2',
    ]);
    expect(lines('softmax', setting, null)).toEqual([
      'const s = softmax(logits, { axis: 0, temperature: 2 });',
      'e = np.exp((x - x.max(axis=0, keepdims=True)) / 2); s = e / e.sum(axis=0, keepdims=True)',
    ]);
    expect(lines('product', settingOf(-1, 0.5, true), null)[0]).toBe(
      'const dx = softmax.vjp(s, g, { temperature: 0.5 });',
    );
    expect(lines('product', settingOf(1, 1, true), null)[0]).toBe('const dx = softmax.vjp(s, g, { axis: 1 });');
  });

  test('add up the losses as the problem does, of indices or probabilities', () => {
    expect(lines('loss', settingOf(-1, 1, true), 'sum')).toEqual([
      "const { loss, gradient } = crossEntropy(logits, target, { reduction: 'sum' });",
      'dx = s - np.eye(s.shape[-1])[target]',
    ]);
    expect(lines('loss', settingOf(0, 2, true), 'sum')).toEqual([
      "const { loss, gradient } = crossEntropy(logits, target, { axis: 0, temperature: 2, reduction: 'sum' });",
      'dx = (s - np.moveaxis(np.eye(s.shape[0])[target], -1, 0)) / 2',
    ]);
    expect(lines('loss', settingOf(-1, 1, false), 'sum')[1]).toBe('dx = s - target');
    expect(lines('loss', settingOf(-1, 1, false), 'mean')).toEqual([
      'const { loss, gradient } = crossEntropy(logits, target);',
      'dx = (s - target) / (s.size / s.shape[-1])',
    ]);
    expect(lines('loss', settingOf(1, 3, true), 'mean')[1]).toBe(
      'dx = (s - np.moveaxis(np.eye(s.shape[1])[target], -1, 1)) / np.size(target) / 3',
    );
  });
});
