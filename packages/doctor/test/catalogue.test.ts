import { describe, expect, expectTypeOf, test } from 'vitest';
import { explanations, explanationsOfExpressions } from '../src/catalogue.js';
import type { Mistake } from '../src/form.js';
import { knownExpressions } from '../src/index.js';
import { everyLayer, ofCrossEntropy, type ProblemInput } from '../src/input.js';
import { isOfSoftmaxOnly, wordsOf, wordsOfExpression } from '../src/layer-words.js';
import { scaledMistake } from '../src/match.js';
import { right } from '../src/mistakes/right.js';
import { rowsRescaled, rowsSkipped } from '../src/mistakes/rows.js';
import { readProblem } from '../src/problem.js';
import { normal } from './random.js';

const matrix = (n: number, f: number, seed: number) => {
  const next = normal(seed);
  return Array.from({ length: n }, () => Array.from({ length: f }, next));
};

const oneHot = (labels: readonly number[]) => labels.map((label) => [0, 1, 2].map((i) => (i === label ? 1 : 0)));

/** Problems in which everything is known, or parts of it. */
const problems: readonly ProblemInput[] = [
  { upstream: matrix(4, 3, 2), target: [0, 2, 1, 1] },
  { upstream: matrix(4, 3, 2), temperature: 0.7 },
  { target: [0, 2, 1, 1], temperature: 0.7, reduction: 'sum' as const },
  { target: [0, 2, 1, 1], reduction: 'mean' as const },
  {},
  { target: [0, 2, 1, 1], labelSmoothing: 0.1, weight: [1, 0.5, 2] },
  { target: [0, -100, 1, 1], labelSmoothing: 0.1 },
  { target: oneHot([0, 2, 1, 1]).map((row, n) => (n === 0 ? [1, 1, 0] : row)) },
  { mask: [[1, 0, 1]], target: [0, 2, 2, 0] },
  { upstream: matrix(4, 3, 2), target: [0, 2, 1, 1], layer: 'log-softmax' as const },
  { upstream: matrix(4, 3, 2), target: [0, 2, 1, 1], layer: 'sigmoid' as const },
  { logits: matrix(3, 3, 1), upstream: matrix(3, 3, 2), target: [0, 2, 1] },
  { logits: matrix(4, 3, 1).map(([first = 0, ...row]) => [first - 9, ...row]), target: [0, 2, 1, 1] },
].map((known) => ({ logits: matrix(4, 3, 1), ...known }));

/** The formula with (), ⟨⟩ and ‖‖ emptied, from the inside out. */
function withoutBrackets(formula: string): string {
  const emptied = formula.replace(/\([^()⟨⟩]+\)|⟨[^()⟨⟩]+⟩|‖[^‖()]+‖/g, '_');
  return emptied === formula ? formula : withoutBrackets(emptied);
}

describe('every explanation', () => {
  test('has an id and a name', () => {
    const ids = explanations.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { id, name, forms } of explanations) {
      expect(id).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect(name.length, id).toBeGreaterThan(3);
      expect(forms.length, id).toBeGreaterThan(0);
    }
  });

  test.each(everyLayer)('says what and why after a %s, in its formulas', (layer) => {
    // These compare the layers.
    const comparing = ['softmax-derivative', 'log-softmax', 'sigmoid', 'jacobian-transposed'];
    const ofOthers = {
      softmax: /σ|g − s Σ g/,
      'log-softmax': /σ|diag\(s\)|s sᵀ|s ⊙ \(g|−y \/ s|s_i \(δ|J_n g_n|nj->ni/,
      sigmoid: /diag\(s\)|s sᵀ|s ⊙ \(g|−y \/ s|s_i \(δ|−Σ y log s|s − y|J_nᵀ|ni->nj|(?<!binary )cross-entropy/,
    }[layer];
    for (const mistake of [...explanationsOfExpressions, scaledMistake, rowsSkipped, rowsRescaled]) {
      const { id } = mistake;
      if (isOfSoftmaxOnly(mistake, layer)) continue;
      const { what, why } = wordsOf(mistake, layer);
      expect(what.length, id).toBeGreaterThan(15);
      expect(what, id).not.toMatch(/\.$/);
      expect(why, id).toMatch(/[^ ]{2}.{30,}[.)]$/);
      if (!comparing.includes(id)) expect(`${what}. ${why}`, id).not.toMatch(ofOthers);
    }
  });

  test('says of a mistake of a softmax what it would be, and why the derivative of the layer is another one', () => {
    const diagonal = explanations.find(({ id }) => id === 'diagonal') ?? right;
    expect(wordsOfExpression(diagonal, 'sigmoid')).toEqual({
      what: "no derivative of a sigmoid; for a softmax it would be the Jacobian's diagonal alone: softmax treated like a sigmoid, one input for each output",
      why: wordsOf(right, 'sigmoid').why,
    });
    expect(wordsOfExpression(diagonal, 'cross-entropy')).toEqual(wordsOf(diagonal, null));
    const twice = explanations.find(({ id }) => id === 'jacobian-twice') ?? right;
    expect(wordsOfExpression(twice, 'sigmoid').what).toContain(
      "it would be the right gradient multiplied by the Jacobian once more; the cross-entropy's s − y",
    );
  });

  test('is not accepted by the types with the words of some of its layers only', () => {
    const some = { softmax: 'for a softmax', 'log-softmax': 'for a log-softmax' };
    const common = { id: 'x', name: 'x', forms: [], what: 'for all' };
    expectTypeOf({ ...common, layers: ofCrossEntropy, why: some }).toExtend<Mistake>();
    expectTypeOf({ ...common, layers: everyLayer, why: { ...some, sigmoid: 'for a sigmoid' } }).toExtend<Mistake>();
    expectTypeOf({ ...common, layers: everyLayer, why: some }).not.toExtend<Mistake>();
    expectTypeOf({ ...common, neutral: true as const, why: some }).not.toExtend<Mistake>();
    expectTypeOf({ ...common, why: some }).not.toExtend<Mistake>();
  });

  test('has forms whose numbers are finite and of the shape of their kind, each with a formula of its own', () => {
    const seen = new Set<string>();
    for (const input of problems) {
      const problem = readProblem(input);
      const { n, f } = problem;
      const sizes: Readonly<Record<string, number>> = {
        gradient: n * f,
        jacobian: n * f * f,
        'transposed gradient': n * f,
        'transposed jacobian': n * f * f,
        'jacobian along the other axis': f * n * n,
        'one jacobian for the batch': f * f,
        'jacobian of the flattened batch': (n * f) ** 2,
        'sum over the batch': f,
        'sum over the classes': n,
      };
      for (const { id, forms } of explanations) {
        const formulas: string[] = [];
        for (const form of forms) {
          for (const { formula, values, terms } of form.gives(problem)) {
            formulas.push(`${form.kind} ${formula}`);
            expect(formula.trim(), id).not.toBe('');
            const valueAt = typeof values === 'function' ? values : (k: number) => values[k];
            const termAt = typeof terms === 'function' ? terms : (k: number) => terms[k];
            const places = [...Array(sizes[form.kind]).keys()];
            const wrong = places.filter((k) => !Number.isFinite(valueAt(k)) || !(termAt(k) >= 0));
            expect(wrong, `${id}: ${formula}`).toEqual([]);
            if (typeof values !== 'function') expect(values.length, formula).toBe(sizes[form.kind]);
          }
        }
        expect(new Set(formulas).size, `${id}: ${formulas}`).toBe(formulas.length);
        if (formulas.length > 0) seen.add(id);
      }
    }
    // These need logits that leave the range of the floats.
    const beyond = ['missing-max-shift', 'batch-max-shift', 'underflow'];
    const ids = explanations.map(({ id }) => id).filter((id) => !beyond.includes(id));
    expect([...seen].sort()).toEqual(ids.sort());
  });

  test('has formulas in which a division is of a whole sum or difference', () => {
    const far = matrix(4, 3, 1).map((row, n) => row.map((value) => value + (n % 2 ? 800 : 0)));
    const divided: string[] = [];
    for (const input of [...problems, { logits: far, target: [0, 2, 1, 1] }]) {
      const problem = readProblem(input);
      for (const { id, forms } of explanations) {
        // Here the division of one term is the mistake.
        if (id === 'partly-averaged') continue;
        for (const { formula } of forms.flatMap((form) => form.gives(problem))) {
          if (!/ \/ (n|f|T|\d|\(n f\))/.test(formula)) continue;
          divided.push(formula);
          for (const part of withoutBrackets(formula.replaceAll('(n f)', 'n')).split(/, | with /))
            expect(part, `${id}: ${formula}`).not.toMatch(/[^ ] [−+] .* \/ (n|f|T|\d)/);
        }
      }
    }
    for (const some of [
      '(s − y) / n with softmax',
      'in float64',
      '(softmax(s) − y) / n',
      '(1 − Σ y s) / n',
      ') / (1 − s)) / n',
    ])
      expect(
        divided.filter((formula) => formula.includes(some)),
        some,
      ).not.toEqual([]);
  });

  test('has caveats in sentences, each for an expression that it has', () => {
    for (const { id, forms } of explanations) {
      for (const { expressions, caveats = {}, reductions = {} } of forms) {
        for (const [expression, caveat] of Object.entries(caveats)) {
          expect(expressions, id).toContain(expression);
          expect(caveat, expression).toMatch(/^[A-Z].{15,}\.$/);
        }
        for (const expression of Object.keys(reductions)) expect(expressions).toContain(expression);
      }
    }
    for (const { expression } of knownExpressions()) expect(expression).toMatch(/\w/);
    expect(knownExpressions().filter(({ caveat }) => caveat !== null).length).toBeGreaterThan(8);
  });
});
