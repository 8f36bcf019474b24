import { at } from '../at.js';
import { cotangents, lossFactors } from '../cotangents.js';
import { candidate, gradient, jacobian, loss, product } from '../define-form.js';
import { vjp, vjpOfLogSoftmax } from '../derivatives.js';
import type { Candidate, Form, Mistake } from '../form.js';
import { dividedBy } from '../formula.js';
import { innerProducts, rowSums, softmaxRows } from '../host-softmax.js';
import { everyLayer, ofCrossEntropy } from '../input.js';
import { byIndex, each, entries } from '../numbers.js';
import type { Problem } from '../problem.js';
import { withProbabilities } from './other-operands.js';
import { changed, unlessRight } from './unless-right.js';

/** One term, factor or function of the correct formula replaced by another one. */

/** A form of the upstream gradient that was given alone: with −y / s many of these formulas coincide. */
function ofUpstream(
  formula: string,
  expressions: readonly string[],
  compute: (problem: Problem, g: Float64Array) => ((k: number, row: number) => number) | null,
): Form {
  const form = product(
    formula,
    expressions,
    (problem, g) => {
      const valueAt = g.symbol === 'g' && problem.f > 1 ? compute(problem, g.values) : null;
      return valueAt && each(problem, valueAt);
    },
    (_, g) => (k) => byIndex(g.terms)(k) + Math.abs(at(g.values, k)),
  );
  return unlessRight(form);
}

/** s ⊙ (g − c), with a number c for each row. */
function withInner(
  formula: string,
  expressions: readonly string[],
  innerOf: (problem: Problem, g: Float64Array) => Float64Array,
): Form {
  return ofUpstream(formula, expressions, (problem, g) => {
    const { s, temperature } = problem;
    const inner = innerOf(problem, g);
    return (k, row) => (at(s, k) * (at(g, k) - at(inner, row))) / temperature;
  });
}

/** The loop over the classes that writes dx into the array of s, and reads s from it in every step. */
function inPlace({ s, f, temperature }: Problem, g: Float64Array): (k: number) => number {
  const values = s.slice();
  // Of ⟨s, g⟩, what the classes from each on add, and what those before it do that are overwritten.
  const rest = new Float64Array(f + 1);
  for (let first = 0; first < s.length; first += f) {
    for (let i = f - 1; i >= 0; i--) rest[i] = at(rest, i + 1) + at(s, first + i) * at(g, first + i);
    let overwritten = 0;
    for (let i = 0; i < f; i++) {
      const k = first + i;
      values[k] = at(s, k) * (at(g, k) - (overwritten + at(rest, i)));
      overwritten += at(values, k) * at(g, k);
    }
  }
  return (k) => at(values, k) / temperature;
}

const innerProductWrong: Mistake = {
  id: 'inner-product-wrong',
  name: 'another sum in place of ⟨s, g⟩',
  what: 's ⊙ (g − c) with a c that is not ⟨s, g⟩: the sum or mean of g, the mean of s ⊙ g, ⟨s, g⟩ subtracted outside of the brackets, or computed of an s that was partly overwritten',
  why: 'dx = s ⊙ (g − ⟨s, g⟩): ⟨s, g⟩ is the sum over the classes of s ⊙ g, one number a row, subtracted from g before the multiplication by s. Compute it before the loop that overwrites s.',
  forms: [
    withInner('s ⊙ (g − Σ g)', ['s * (g - g.sum(axis=1, keepdims=True))'], ({ n, f }, g) => rowSums(g, n, f)),
    withInner('s ⊙ (g − Σ g / f)', ['s * (g - g.mean(axis=1, keepdims=True))'], ({ n, f }, g) =>
      rowSums(g, n, f).map((sum) => sum / f),
    ),
    withInner('s ⊙ (g − ⟨s, g⟩ / f)', ['s * (g - (s * g).mean(axis=1, keepdims=True))'], ({ s, n, f }, g) =>
      innerProducts(s, g, n, f).map((sum) => sum / f),
    ),
    ofUpstream('s ⊙ g − ⟨s, g⟩', ['s * g - (s * g).sum(axis=1, keepdims=True)'], ({ s, n, f, temperature }, g) => {
      const inner = innerProducts(s, g, n, f);
      return (k, row) => (at(s, k) * at(g, k) - at(inner, row)) / temperature;
    }),
    ofUpstream('s ⊙ (g − ⟨s, g⟩), written into s class by class', [], inPlace),
  ],
};

const outerProductWrong: Mistake = {
  id: 'outer-product-wrong',
  name: 'another product in place of s sᵀ',
  what: 'diag(s) minus the number ‖s‖², or minus the row s ⊙ s, in place of the matrix s sᵀ',
  why: 'J = diag(s) − s sᵀ with the outer product, (f, f). np.dot(s, s) and s @ s of one row are a single number, also with s.T, and s * s is one row, which is subtracted from every row: write np.outer(s, s).',
  forms: [
    ofUpstream('s ⊙ g − ‖s‖² Σ g', [], ({ s, n, f, temperature }, g) => {
      const [squares, sums] = [innerProducts(s, s, n, f), rowSums(g, n, f)];
      return (k, row) => (at(s, k) * at(g, k) - at(squares, row) * at(sums, row)) / temperature;
    }),
    ofUpstream('s ⊙ g − ⟨s ⊙ s, g⟩', [], ({ s, n, f, temperature }, g) => {
      const sums = innerProducts(
        s.map((value) => value * value),
        g,
        n,
        f,
      );
      return (k, row) => (at(s, k) * at(g, k) - at(sums, row)) / temperature;
    }),
    jacobian('diag(s) − ‖s‖²', ['np.diag(s) - np.dot(s, s)'], (problem) => {
      const { s, n, f, temperature } = problem;
      if (f < 2) return null;
      const squares = innerProducts(s, s, n, f);
      return entries(problem, (i, _, same) => ((same ? at(s, i) : 0) - at(squares, Math.floor(i / f))) / temperature);
    }),
    jacobian('diag(s) − s ⊙ s', ['np.diag(s) - s * s', 'np.diag(s) - s**2'], (problem) => {
      const { s, f, temperature } = problem;
      return f < 2 ? null : entries(problem, (i, j, same) => ((same ? at(s, i) : 0) - at(s, j) ** 2) / temperature);
    }),
  ],
};

const probabilitiesTwice: Mistake = {
  id: 'probabilities-twice',
  layers: ofCrossEntropy,
  name: 'multiplied by s again',
  what: 'the right derivative multiplied by the probabilities once more, elementwise',
  why: {
    softmax:
      's ⊙ (g − ⟨s, g⟩) has its factor s already, and s − y has the whole of softmax in it: nothing is multiplied by s after it.',
    'log-softmax': 's − y has the whole of softmax in it: nothing is multiplied by s after it.',
  },
  forms: [
    ofUpstream('s ⊙ s ⊙ (g − ⟨s, g⟩)', ['s * s * (g - (s * g).sum(axis=1, keepdims=True))'], (problem, g) => {
      // The right derivative of a log-softmax is another one.
      if (problem.layer === 'log-softmax') return null;
      const through = vjp(problem, g);
      return (k) => at(through, k) * at(problem.s, k);
    }),
    unlessRight(
      loss('s ⊙ (s − y)', ['s * (s - y)'], (problem, y) => {
        const { s, f, temperature } = problem;
        return f < 2 ? null : each(problem, (k) => (at(s, k) * (at(s, k) - at(y, k))) / temperature);
      }),
    ),
  ],
};

const targetAdded: Mistake = {
  id: 'target-added',
  layers: ofCrossEntropy,
  name: 'target added, or subtracted twice',
  what: 's + y or s − 2 y: the target with the wrong sign, or taken off probabilities from which it was taken off before',
  why: 'The gradient of −Σ y log s is s − y. `s[range(n), target] -= 1` changes s itself: of the same array, s − y after it subtracts the target again.',
  forms: [
    loss('s + y', ['s + y'], (problem, y) => each(problem, (k) => (at(problem.s, k) + at(y, k)) / problem.temperature)),
    loss('s − 2 y', ['s - 2 * y'], (problem, y) =>
      each(problem, (k) => (at(problem.s, k) - 2 * at(y, k)) / problem.temperature),
    ),
  ],
};

/** log s; null if a probability is 0. */
function logarithms({ s, f }: Problem): Float64Array | null {
  return f < 2 || s.includes(0) ? null : s.map(Math.log);
}

const logarithmsForProbabilities: Mistake = {
  id: 'logarithms-for-probabilities',
  layers: ofCrossEntropy,
  name: 'log-probabilities in place of probabilities',
  what: {
    softmax: "softmax's formula with log s, the output of log-softmax, where the probabilities s belong",
    'log-softmax': 'the formula with log s, the output of log-softmax, where the probabilities s belong',
  },
  why: {
    softmax:
      's − y and s ⊙ (g − ⟨s, g⟩) are written in the probabilities: of the output of log-softmax, take exp first.',
    'log-softmax':
      's − y and g − s Σ g are written in the probabilities: of the output of log-softmax, take exp first.',
  },
  forms: [
    unlessRight(
      loss('log s − y', ['np.log(s) - y'], (problem, y) => {
        const log = logarithms(problem);
        return log && each(problem, (k) => (at(log, k) - at(y, k)) / problem.temperature);
      }),
    ),
    gradient(
      'log s ⊙ (g − ⟨log s, g⟩)',
      ['np.log(s) * (g - (np.log(s) * g).sum(axis=1, keepdims=True))'],
      (problem) => {
        const { g } = problem;
        const log = logarithms(problem);
        return g && log && vjp(problem, g, log);
      },
    ),
  ],
};

const exponentialTwice: Mistake = {
  id: 'exponential-twice',
  layers: ofCrossEntropy,
  name: 'probabilities in place of log-probabilities',
  what: 'the formula with exp(s) where the probabilities s belong: the exponential of probabilities, as if they were the output of log-softmax',
  why: {
    softmax: 'exp of the output of log-softmax gives the probabilities; of the probabilities it gives numbers above 1.',
    'log-softmax':
      'exp of the output of log-softmax gives the probabilities. What takes that output, as logSoftmax.vjp does, is passed logSoftmax(logits); with s at hand, dx = g − s Σ g needs no exp.',
  },
  forms: [
    unlessRight({
      expressions: ['g - np.exp(s) * g.sum(axis=1, keepdims=True)'],
      gives: (problem) => {
        const { s, f, layer } = problem;
        if (f < 2 || layer !== 'log-softmax') return [];
        const exponentials = { ...problem, s: s.map(Math.exp) };
        return cotangents(problem).map(({ symbol, values }) =>
          candidate(`g − exp(s) Σ g, g = ${symbol}`, vjpOfLogSoftmax(exponentials, values)),
        );
      },
    }),
    loss('exp(s) − y', ['np.exp(s) - y'], ({ s, f, temperature }, y) =>
      f < 2 ? null : s.map((value, k) => (Math.exp(value) - at(y, k)) / temperature),
    ),
  ],
};

const lossForGradient: Mistake = {
  id: 'loss-for-gradient',
  layers: ofCrossEntropy,
  name: 'the loss in place of its gradient',
  what: 'the terms of the cross-entropy, −y log s, or their sums over the classes: the loss itself, not differentiated',
  why: 'The gradient of −Σ y log s in the logits is s − y: one number for each logit, of both signs, that adds up to 0 in every row.',
  forms: [
    loss('−y ⊙ log s', ['-y * np.log(s)'], (problem, y) => {
      const log = logarithms(problem);
      return log?.map((value, k) => -value * at(y, k));
    }),
    {
      kind: 'sum over the classes',
      expressions: ['-(y * np.log(s)).sum(axis=1)'],
      gives: (problem) => {
        const { y, n, f } = problem;
        const log = logarithms(problem);
        if (!y || !log) return [];
        const losses = innerProducts(y, log, n, f);
        return lossFactors(problem).map(({ factor, over }) =>
          candidate(
            dividedBy('−Σ y log s', over),
            losses.map((value) => -value * factor),
          ),
        );
      },
    },
  ],
};

/** Candidates of probabilities that may be negative, without cancellation. */
function withNumbers(problem: Problem, s: Float64Array, words: string): readonly Candidate[] {
  if (!s.every(Number.isFinite)) return [];
  return withProbabilities(problem, s, words).map(({ formula, values }) => candidate(formula, values));
}

const otherExponential: Mistake = {
  id: 'other-exponential',
  name: 'another function in place of exp(x)',
  what: 'the right formula with x, exp(−x) or 2ˣ divided by its sum, or with logits cut to whole numbers, where s = softmax(x) belongs',
  why: 's = exp(x) / Σ exp(x), of all digits of x: without exp the numbers are no probabilities, exp(−x) turns the order of the classes around, and an array of integers (astype(int), Int32Array, | 0) cuts the logits.',
  forms: [
    unlessRight({
      gives: (problem) => {
        const { x, n, f, temperature } = problem;
        if (!x || f < 2) return [];
        const rows = { outer: n, classes: f, inner: 1 };
        const sums = rowSums(x, n, f);
        const cut = x.map(Math.trunc);
        return [
          ...withNumbers(
            problem,
            x.map((value, k) => value / at(sums, Math.floor(k / f))),
            's = x / Σ x',
          ),
          // Masked entries would have all of the probability.
          ...(x.every(Number.isFinite)
            ? withNumbers(
                problem,
                softmaxRows(
                  x.map((value) => -value),
                  rows,
                  temperature,
                ),
                's = softmax(−x)',
              )
            : []),
          ...withNumbers(problem, softmaxRows(x, rows, temperature / Math.LN2), 's = 2ˣ / Σ 2ˣ'),
          ...withNumbers(problem, softmaxRows(cut, rows, temperature), 's = softmax(x), x cut to whole numbers'),
        ];
      },
    }),
  ],
};

/** Numbers where the logits are positive, and 0 elsewhere. */
function whereLogitsArePositive({ x }: Problem, valueAt: (k: number) => number): (k: number) => number {
  return (k) => (x && at(x, k) > 0 ? valueAt(k) : 0);
}

const reluOnLogits: Mistake = {
  id: 'relu-on-logits',
  name: 'ReLU on the logits',
  layers: everyLayer,
  what: "the right derivative with zeros where the logits are not positive, ReLU's derivative, or the derivative at max(x, 0)",
  why: 'The layer takes the logits as they are, of both signs, and so does its loss. A ReLU after the last layer, or the backward pass of hidden layers run for the last one too, takes away all that negative logits could learn.',
  forms: [
    {
      ...changed(' ⊙ (x > 0)', (problem, valueAt) => whereLogitsArePositive(problem, valueAt), {
        expressions: ['(s - y) * (x > 0)', 's * (g - (s * g).sum(axis=1, keepdims=True)) * (x > 0)'],
      }),
    },
    ofUpstream('g ⊙ (x > 0)', ['g * (x > 0)'], (problem, g) => whereLogitsArePositive(problem, (k) => at(g, k))),
    unlessRight({
      expressions: ['softmax(relu(x)) - y', '(softmax(relu(x)) - y) / n'],
      gives: (problem) => {
        const { x, n, f, temperature, layer } = problem;
        if (!x?.some((value) => value < 0) || !x.every(Number.isFinite) || f < 2 || layer === 'sigmoid') return [];
        const s = softmaxRows(
          x.map((value) => Math.max(value, 0)),
          { outer: n, classes: f, inner: 1 },
          temperature,
        );
        return withProbabilities(problem, s, 's = softmax(max(x, 0))').flatMap((found) => {
          const [valueAt, termAt] = [byIndex(found.values), byIndex(found.terms)];
          return [
            found,
            {
              formula: `(${found.formula}) ⊙ (x > 0)`,
              values: whereLogitsArePositive(problem, valueAt),
              terms: whereLogitsArePositive(problem, termAt),
            },
          ];
        });
      },
    }),
  ],
};

export const slips: readonly Mistake[] = [
  innerProductWrong,
  outerProductWrong,
  probabilitiesTwice,
  targetAdded,
  logarithmsForProbabilities,
  exponentialTwice,
  lossForGradient,
  otherExponential,
  reluOnLogits,
];
