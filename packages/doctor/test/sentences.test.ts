import { describe, expect, test } from 'vitest';
import { type DiagnoseInput, diagnose } from '../src/index.js';
import { softmax } from './attempts.js';
import { normal } from './random.js';

const next = normal(5);
const logits = Array.from({ length: 8 }, () => [next(), next(), next()]);
const s = softmax(logits, 1, (value) => value);
const target = [2, 0, 1, 2, 1, 0, 0, 2];
const hot = (size = 1) => target.map((label) => [0, 1, 2].map((i) => (i === label ? size : 0)));
const lossOf = (factor: (row: number) => number, labels: readonly number[] = target) =>
  s.map((row, n) => row.map((p, i) => factor(n) * (p - (i === labels[n] ? 1 : 0))));

describe('a sentence is there where it applies, and only there', () => {
  test('weights are told by class, in the order of the classes, or by row', () => {
    const weight = [0.5, 2, 1.25];
    const formula = (factor: (row: number) => number) =>
      diagnose({ logits, target, gradient: lossOf(factor) }).matches[0]?.formula;
    expect(formula((row) => weight[target[row] ?? 0] ?? 0)).toBe(
      'w (s − y), w = 0.5 for class 0, 2 for class 1, 1.25 for class 2',
    );
    expect(formula((row) => (row + 1) / 4)).toBe('w (s − y), w = 0.25, 0.5, 0.75, 1, 1.25, 1.5 … for the rows');
  });

  test('rows of zeros that the loss leaves out', () => {
    const said =
      'Rows of zeros are right where the loss leaves them out on purpose; a loop that skips rows gives the same.';
    const notes = (factor: (row: number) => number) =>
      diagnose({ logits, target, gradient: lossOf(factor) }).evidence.notes;
    expect(notes((row) => (row % 3 === 1 ? 0 : 1))).toContain(said);
    expect(notes(() => 1)).not.toContain(said);
    expect(notes(() => -1)).not.toContain(said);
  });

  describe('label smoothing together with class weights, which are not inferred together', () => {
    const weight = [1, 2, 0.5];
    const said = 'or label smoothing together with class weights';
    const gradient = s.map((row, n) => {
      const q = row.map((_, i) => ((i === target[n] ? 0.9 : 0) + 0.1 / 3) * weight[i]);
      const sum = q.reduce((a, b) => a + b);
      return row.map((p, i) => (p * sum - q[i]) / 8.5);
    });
    const notes = (more: Partial<DiagnoseInput>) => {
      const { verdict, evidence } = diagnose({ logits, target, gradient, ...more });
      return `${verdict}: ${evidence.notes.filter((note) => note.includes(said)).length}`;
    };

    test('are asked for where the rows add up to 0 within their precision, unless both were given', () => {
      expect(notes({})).toBe('unknown: 1');
      expect(notes({ weight })).toBe('unknown: 1');
      expect(notes({ labelSmoothing: 0.1 })).toBe('unknown: 1');
      expect(notes({ gradient: gradient.map((row) => row.map((value) => Number(value.toFixed(4)))) })).toBe(
        'unknown: 1',
      );
      expect(notes({ labelSmoothing: 0.1, weight })).toBe('right: 0');
      expect(notes({ labelSmoothing: 0.2, weight })).toBe('unknown: 0');
    });

    test('are no explanation of rows that do not add up to 0, or of a target of probabilities', () => {
      expect(notes({ gradient: gradient.map(([first = 0, ...row]) => [first + 0.001, ...row]) })).toBe('unknown: 0');
      expect(notes({ target: hot() })).toBe('unknown: 0');
    });
  });

  describe('precision', () => {
    const inBits = (bits: number) => (value: number) => {
      const step = 2 ** (Math.floor(Math.log2(Math.abs(value))) - bits + 1);
      return value === 0 ? 0 : Math.round(value / step) * step;
    };
    const rounded = (values: readonly (readonly number[])[], round: (value: number) => number) =>
      values.map((row) => row.map(round));

    test('an error of 0 within rounding is no error of 0', () => {
      const four = rounded(
        lossOf(() => 1),
        (value) => Number(value.toFixed(4)),
      );
      expect(diagnose({ logits, target, gradient: four }).text).toContain(
        's − y: no difference beyond rounding.\n  The numbers are of 4 decimals',
      );
      expect(diagnose({ logits, target, gradient: lossOf(() => 1) }).text).toContain('s − y: relative error 0.\n');
    });

    test.each([
      ['float16', 11],
      ['bfloat16', 8],
    ])('logits of %s are not called a printout', (name, bits) => {
      const x = rounded(logits, inBits(bits));
      const gradient = rounded(
        softmax(x, 1, (value) => value),
        inBits(bits),
      ).map((row, n) => row.map((p, i) => inBits(bits)(p - (i === target[n] ? 1 : 0))));
      const { verdict, text } = diagnose({ logits: x, target, gradient });
      expect(verdict).toBe('right');
      expect(text).toContain(`The numbers are of ${name}, and`);
      expect(text).not.toContain('Of what is known');
    });
  });

  test('a target that does not add up to 1', () => {
    const said = 'The target does not add up to 1 in every row, so the gradient is s Σy − y rather than s − y.';
    const notes = (size: number, layer?: 'sigmoid') => {
      const y = hot(size);
      const gradient = s.map((row, n) => row.map((p, i) => p * (layer ? 1 : size) - (y[n]?.[i] ?? 0)));
      return diagnose({ logits, target: y, gradient, ...(layer && { layer }) }).evidence.notes;
    };
    expect(notes(2)).toContain(said);
    expect(notes(1)).not.toContain(said);
    expect(notes(2, 'sigmoid')).not.toContain(said);
  });

  test('a sum in place of the mean that was given is not divided by n', () => {
    const { matches } = diagnose({
      logits,
      target: [2, 0, 1, 2, 1, 0, -100, 2],
      reduction: 'mean',
      gradient: lossOf((row) => (row === 6 ? 0 : 1)),
    });
    expect(matches[0]?.formula).toMatch(/^\(s − y.*\), not divided by n$/);
  });

  test('a factor that a weight of the only class may be', () => {
    const matches = (labels: readonly number[], factor: number) =>
      diagnose({ logits, target: labels, gradient: lossOf(() => factor, labels) }).matches.map(({ id }) => id);
    const one = target.map(() => 1);
    // Three of eight is a factor of its own; a 24th is the mean over all numbers.
    for (const factor of [3 / 8, 1 / 24]) {
      expect(matches(one, factor)).toContain('right');
      expect(matches(target, factor)).not.toContain('right');
      expect(matches(one, factor).filter((id) => id !== 'right')).toEqual(matches(target, factor));
    }
  });

  test('a single number is explained too', () => {
    const { verdict, matches } = diagnose({ logits: [[1]], gradient: [[0]] });
    expect(verdict).toBe('ambiguous');
    expect(matches.map(({ id }) => id)).toEqual(expect.arrayContaining(['right', 'row-sum']));
    for (const { formula, error } of matches) expect([typeof formula, error]).toEqual(['string', 0]);
  });
});
