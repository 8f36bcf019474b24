import { describe, expect, test } from 'vitest';
import { diagnose } from '../src/index.js';
import { normal } from './random.js';

type Matrix = readonly (readonly number[])[];

const next = normal(7);
const logits = Array.from({ length: 5 }, () => Array.from({ length: 4 }, () => 1.5 * next()));
const target = [1, 3, 0, 2, 1];
const s = logits.map((row) => {
  const e = row.map(Math.exp);
  const sum = e.reduce((a, b) => a + b);
  return e.map((value) => value / sum);
});
const error = s.map((row, n) => row.map((value, i) => value - (i === target[n] ? 1 : 0)));

const each = (a: Matrix, change: (value: number, n: number, i: number) => number) =>
  a.map((row, n) => row.map((value, i) => change(value, n, i)));
const clip = (least: number, most: number) => each(error, (value) => Math.min(Math.max(value, least), most));
const formulaOf = (gradient: Matrix, known = {}) => {
  const { verdict, matches } = diagnose({ logits, target, gradient: gradient as number[][], ...known });
  return `${verdict}: ${matches.map(({ formula }) => formula).join(' or ')}`;
};

describe('a gradient that was clipped', () => {
  test('entry by entry, is named with the bound', () => {
    expect(formulaOf(clip(-0.4, 0.4))).toBe('gradient-clipped: s − y, clipped to ±0.4');
    expect(formulaOf(clip(-0.3, 0.2))).toBe('gradient-clipped: s − y, clipped to −0.3 … 0.2');
    expect(formulaOf(clip(-Infinity, 0.25))).toBe('gradient-clipped: s − y, clipped to at most 0.25');
    expect(formulaOf(clip(-0.5, Infinity))).toBe('gradient-clipped: s − y, clipped to at least −0.5');
    expect(formulaOf(each(error, (value) => Math.min(Math.max(value / 5, -0.1), 0.1)))).toBe(
      'gradient-clipped: (s − y) / n, clipped to ±0.1',
    );
  });

  test('needs a bound that is round or that several entries have', () => {
    const largest = Math.max(...error.flat());
    const bound = (share: number) => Number((largest * share).toPrecision(5));
    expect(error.flat().filter((value) => value > bound(0.95))).toHaveLength(1);
    expect(formulaOf(clip(-Infinity, bound(0.95)))).toMatch(/^unknown/);
    const second = error.flat().sort((a, b) => b - a)[1] ?? 0;
    expect(formulaOf(clip(-Infinity, Number((second * 0.95).toPrecision(5))))).toMatch(/^gradient-clipped/);
  });

  test('is not one whose entries beyond the bound have another value, or the bound with the wrong sign', () => {
    const clipped = clip(-0.4, 0.4);
    expect(formulaOf(each(clipped, (value, n, i) => ((error[n]?.[i] ?? 0) < -0.4 ? 0.4 : value)))).toMatch(/^unknown/);
    expect(formulaOf(each(clipped, (value, n, i) => (n === 0 && i === 0 ? value + 0.01 : value)))).toMatch(/^unknown/);
  });

  test('by its norm, is named where the norm is a common bound; otherwise it is scaled', () => {
    const norm = Math.hypot(...error.flat());
    const to = (bound: number) => each(error, (value) => (value * bound) / norm);
    expect(formulaOf(to(0.5))).toBe('gradient-clipped: s − y, clipped to the norm 0.5');
    // A loss may be divided by the norm of its gradient on purpose.
    expect(formulaOf(to(1))).toBe('ambiguous: s − y, clipped to the norm 1 or (s − y) / ‖s − y‖');
    expect(diagnose({ logits, target, gradient: to(1) as number[][] }).text).toContain(
      'If the loss is divided by the norm',
    );
    expect(diagnose({ logits, target, gradient: to(0.5) as number[][] }).text).not.toContain('If the loss is divided');
    expect(formulaOf(to(0.53))).toMatch(/^scaled/);
    // Clipping makes nothing larger.
    expect(formulaOf(to(5), { reduction: 'sum' })).toMatch(/^scaled/);
    // A norm of two digits is named.
    const notesOf = (gradient: Matrix) =>
      diagnose({ logits, target, gradient: gradient as number[][] }).evidence.notes.filter((note) =>
        note.startsWith('The norm'),
      );
    const note =
      'The norm of all numbers is 0.53, as clipping by the norm (clip_grad_norm_) with that bound leaves it: compare the numbers before it.';
    expect(notesOf(to(0.53))).toEqual([note]);
    expect(notesOf(each(to(0.53), Math.fround))).toEqual([note]);
    expect(notesOf(to(0.5312))).toEqual([]);
    expect(notesOf(to(0.53001))).toEqual([]);
    // Clipping makes nothing larger.
    expect(notesOf(to(7))).toEqual([]);
    // Printed with 3 decimals, many norms may be round.
    expect(notesOf(each(to(0.53), (value) => Number(value.toFixed(3))))).toEqual([]);
  });

  test('that leaves nothing but its bound is not said to have rows that add up to 0', () => {
    const notesOf = (scale: number) =>
      diagnose({
        logits,
        target,
        gradient: each(error, (value) => Math.sign(value) * scale) as number[][],
      }).evidence.notes.join();
    expect(notesOf(0.001)).not.toContain('adds up to 0');
    expect(notesOf(0.1)).not.toContain('adds up to 0');
  });

  test('by the norm of each row, is named unless all rows have that norm', () => {
    const norms = error.map((row) => Math.hypot(...row));
    const to = (bound: number) => each(error, (value, n) => value * Math.min(1, bound / (norms[n] ?? 1)));
    const middle = Number((norms.toSorted((a, b) => a - b)[2] ?? 0).toPrecision(3));
    expect(formulaOf(to(middle))).toBe(`gradient-clipped: s − y, each row clipped to the norm ${middle}`);
    expect(formulaOf(to(0.01))).toMatch(/^ambiguous: w \(s − y\)/);
  });
});

describe('one row of the Jacobian for each sample', () => {
  const jacobianRow = (classOf: (n: number) => number) =>
    s.map((row, n) => row.map((value, j) => (row[classOf(n)] ?? 0) * ((j === classOf(n) ? 1 : 0) - value)));
  const upstream = Array.from({ length: 5 }, () => Array.from({ length: 4 }, next));
  const of = (gradient: Matrix, known = {}) => formulaOf(gradient, { target: undefined, ...known });

  test('is named with how the class was picked', () => {
    const label = (n: number) => target[n] ?? 0;
    const predicted = (n: number) => s[n]?.indexOf(Math.max(...(s[n] ?? []))) ?? 0;
    expect(of(jacobianRow(label), { upstream })).toBe('one-row: J_cj, c = 1, 3, 0, 2, 1 for the rows');
    expect(of(jacobianRow(predicted), { upstream })).toBe('one-row: J_cj, c the predicted class');
    expect(
      of(
        jacobianRow(() => 2),
        { upstream },
      ),
    ).toBe('one-row: J_cj, c = 2');
    const product = each(jacobianRow(label), (value, n, j) => value * (error[n]?.[j] ?? 0));
    expect(of(product, { target })).toBe('one-row: J_cj (s_j − y_j), c the class of the target');
  });

  test('may be right of a loss that is not known', () => {
    expect(of(jacobianRow(() => 2))).toMatch(/^ambiguous: J_cj, c = 2 or s ⊙ \(g − ⟨s, g⟩\)/);
    const oneHot = s.map((row, n) => row.map((_, i) => (i === target[n] ? 1 : 0)));
    expect(
      of(
        jacobianRow((n) => target[n] ?? 0),
        { upstream: oneHot },
      ),
    ).toMatch(/^right/);
  });

  test('is not one with a wrong entry', () => {
    const wrong = each(
      jacobianRow(() => 2),
      (value, n, j) => (n === 1 && j === 1 ? -value : value),
    );
    expect(of(wrong, { upstream })).toMatch(/^unknown/);
  });
});

test('a ReLU on the logits is named, and makes no difference where all logits are positive', () => {
  const masked = each(error, (value, n, i) => ((logits[n]?.[i] ?? 0) > 0 ? value : 0));
  expect(formulaOf(masked)).toBe('relu-on-logits: (s − y) ⊙ (x > 0)');
  const positive = each(logits, Math.abs);
  const own = positive.map((row, n) => {
    const sum = row.reduce((total, value) => total + Math.exp(value), 0);
    return row.map((value, i) => Math.exp(value) / sum - (i === target[n] ? 1 : 0));
  });
  expect(formulaOf(own, { logits: positive })).toBe('right: s − y');
  expect(diagnose({ gradient: '(s - y) * (x > 0)' }).verdict).toBe('relu-on-logits');
});
