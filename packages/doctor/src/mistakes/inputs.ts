import { at } from '../at.js';
import { lossFactors } from '../cotangents.js';
import { candidate, gradient, jacobian, loss, product } from '../define-form.js';
import { jacobianEntries, jacobianOfLogSoftmax, lossGradient, vjp, vjpOfLogSoftmax } from '../derivatives.js';
import type { Candidate, Mistake } from '../form.js';
import { dividedBy } from '../formula.js';
import { rowMaxima, rowSums, sigmoidOf, softmaxRows } from '../host-softmax.js';
import { everyLayer, ofCrossEntropy } from '../input.js';
import { inEachLayer } from '../layer-formulas.js';
import { each, entries, scaled } from '../numbers.js';
import type { Problem } from '../problem.js';
import { unlessRight } from './unless-right.js';

/** The correct formula applied to the wrong numbers, or the derivative of another function. */

function rowsOf({ n, f }: Problem) {
  return { outer: n, classes: f, inner: 1 };
}

const softmaxTwice: Mistake = {
  id: 'softmax-twice',
  name: 'softmax applied twice',
  what: 'the derivative at softmax(softmax(x)): probabilities went into a function that expects logits',
  why: "The second softmax squeezes numbers between 0 and 1 to almost equal ones, s' ≥ 1/(1 + (f − 1) e), so gradients are small and the loss cannot reach 0. Losses 'with logits' apply softmax themselves.",
  forms: [
    {
      kind: 'gradient',
      expressions: ['softmax(s) - y', '(softmax(s) - y) / n', 's2 * (g - (s2 * g).sum(axis=1, keepdims=True))'],
      gives: (problem) => {
        const { s, g, y } = problem;
        const twice = softmaxRows(s, rowsOf(problem));
        const found: Candidate[] = [];
        if (g) {
          const inner = vjp(problem, g, twice);
          found.push(candidate("s' ⊙ (g − ⟨s', g⟩), s' = softmax(s)", inner));
          found.push(
            candidate("J(s) J(s') g, s' = softmax(s)", vjp(problem, vjp({ ...problem, temperature: 1 }, g, twice))),
          );
        }
        for (const { factor, over } of lossFactors(problem)) {
          if (!y) continue;
          const inner = lossGradient({ ...problem, s: twice, temperature: 1 }, y).map((value) => value * factor);
          found.push(candidate(dividedBy('softmax(s) − y', over), inner));
          found.push(candidate(`J(s) (softmax(s) − y)${over}`, vjp(problem, inner)));
        }
        return found;
      },
    },
    {
      kind: 'jacobian',
      expressions: [],
      gives: (problem) => {
        const { s, n, f, temperature } = problem;
        const a = softmaxRows(s, rowsOf(problem));
        const inner = new Float64Array(n);
        for (let k = 0; k < n * f; k++) inner[Math.floor(k / f)] = at(inner, Math.floor(k / f)) + at(a, k) * at(s, k);
        const chained = entries(problem, (i, j, same) => {
          const own = same ? at(a, i) * at(s, i) : 0;
          return (own - at(a, i) * at(s, j) * (at(s, i) + at(a, j) - at(inner, Math.floor(i / f)))) / temperature;
        });
        return [
          candidate('the Jacobian at softmax(s)', jacobianEntries(problem, a)),
          candidate('the Jacobian of softmax(softmax(x))', chained),
        ];
      },
    },
  ],
};

const softmaxOfUpstream: Mistake = {
  id: 'softmax-of-upstream',
  name: 'softmax of the upstream gradient',
  what: "the derivative at softmax(g): backward computed softmax of the gradient that came in, not of the layer's input",
  why: 'J = diag(s) − s sᵀ is made of the probabilities of the forward pass; keep them, and use g only as the vector that J multiplies.',
  forms: [
    gradient('softmax(g) ⊙ (g − ⟨softmax(g), g⟩)', [], (problem) =>
      problem.g ? vjp(problem, problem.g, softmaxRows(problem.g, rowsOf(problem))) : null,
    ),
    gradient('softmax(g) ⊙ (1 − softmax(g))', ['softmax(g) * (1 - softmax(g))'], (problem) =>
      problem.g ? softmaxRows(problem.g, rowsOf(problem)).map((value) => value * (1 - value)) : null,
    ),
    jacobian('the Jacobian at softmax(g)', ['np.diagflat(softmax(g)) - np.dot(softmax(g), softmax(g).T)'], (problem) =>
      problem.g ? jacobianEntries(problem, softmaxRows(problem.g, rowsOf(problem))) : null,
    ),
  ],
};

/** The logits, unless some are masked: −Infinity cannot be multiplied. */
function finiteLogits({ x }: Problem): Float64Array | null {
  return x?.every(Number.isFinite) ? x : null;
}

const logitsForProbabilities: Mistake = {
  id: 'logits-for-probabilities',
  layers: ofCrossEntropy,
  name: 'logits in place of probabilities',
  what: {
    softmax: "softmax's formula with the logits x where the probabilities s belong",
    'log-softmax': 'the formula with the logits x where the probabilities s belong',
  },
  why: {
    softmax:
      'J = diag(s) − s sᵀ is written in the output of softmax: ∂s_i/∂x_j = s_i (δ_ij − s_j), with s twice and x nowhere.',
    'log-softmax': 'J_ij = δ_ij − s_j and s − y are written in the probabilities, with x nowhere.',
  },
  forms: [
    gradient('x ⊙ (1 − x)', ['x * (1 - x)'], (problem) => {
      const x = finiteLogits(problem);
      return x?.map((value) => value * (1 - value));
    }),
    gradient('s ⊙ (1 − x)', ['s * (1 - x)'], (problem) => {
      const x = finiteLogits(problem);
      return x?.map((value, k) => at(problem.s, k) * (1 - value));
    }),
    {
      kind: 'gradient',
      expressions: ['x - y', '(x - y) / n'],
      gives: (problem) => {
        const x = finiteLogits(problem);
        const { y } = problem;
        const difference = x && y && x.map((value, k) => value - at(y, k));
        if (!difference) return [];
        return lossFactors(problem).map(({ factor, over }) =>
          candidate(dividedBy('x − y', over), scaled(difference, factor)),
        );
      },
    },
    product('x ⊙ (g − ⟨x, g⟩)', ['x * (g - (x * g).sum(axis=1, keepdims=True))'], (problem, g) => {
      const x = finiteLogits(problem);
      return x && scaledByLogits(problem, x, g.values);
    }),
    product('g ⊙ x ⊙ (1 − x)', ['g * x * (1 - x)'], (problem, g) => {
      const x = finiteLogits(problem);
      return x?.map((value, k) => at(g.values, k) * value * (1 - value));
    }),
    gradient('s_i (δ_i,f−1 − x_f−1), the last column', [], (problem) => {
      const x = finiteLogits(problem);
      const { s, f, temperature } = problem;
      if (!x || f < 2) return null;
      return each(problem, (k, row, i) => (at(s, k) * ((i === f - 1 ? 1 : 0) - at(x, row * f + f - 1))) / temperature);
    }),
    gradient('x ⊙ (1 − Σ x), the rows of diag(x) − x xᵀ added up', [], (problem) => {
      const x = finiteLogits(problem);
      const sums = x && rowSums(x, problem.n, problem.f);
      return x && sums && each(problem, (k, row) => (at(x, k) * (1 - at(sums, row))) / problem.temperature);
    }),
    loss('(diag(x) − x xᵀ) (s − y)', [], (problem, y) => {
      const x = finiteLogits(problem);
      return x && scaledByLogits(problem, x, lossGradient(problem, y));
    }),
    loss('(diag(x) − x xᵀ) (x − y)', [], (problem, y) => {
      const x = finiteLogits(problem);
      return (
        x &&
        scaledByLogits(
          problem,
          x,
          x.map((value, k) => value - at(y, k)),
        )
      );
    }),
    jacobian('x_i (1 − x_i) on the diagonal, −s_i s_j off it', [], (problem) => {
      const x = finiteLogits(problem);
      const { s, temperature } = problem;
      return (
        x && entries(problem, (i, j, same) => (same ? at(x, i) * (1 - at(x, i)) : -at(s, i) * at(s, j)) / temperature)
      );
    }),
    jacobian('diag(x) − x xᵀ', ['np.diag(x) - np.outer(x, x)'], (problem) => {
      const x = finiteLogits(problem);
      return x && entries(problem, (i, j, same) => ((same ? at(x, i) : 0) - at(x, i) * at(x, j)) / problem.temperature);
    }),
    jacobian('s_i (δ_ij − x_j)', [], (problem) => {
      const x = finiteLogits(problem);
      const { s, temperature } = problem;
      return x && entries(problem, (i, j, same) => (at(s, i) * ((same ? 1 : 0) - at(x, j))) / temperature);
    }),
  ],
};

function scaledByLogits(problem: Problem, x: Float64Array, g: Float64Array): Float64Array {
  const { f, temperature } = problem;
  const inner = new Float64Array(problem.n);
  for (let k = 0; k < x.length; k++) inner[Math.floor(k / f)] = at(inner, Math.floor(k / f)) + at(x, k) * at(g, k);
  return each(problem, (k, row) => (at(x, k) * (at(g, k) - at(inner, row))) / temperature);
}

function sigmoidSlope(x: number): number {
  return sigmoidOf(x) * sigmoidOf(-x);
}

const sigmoid: Mistake = {
  id: 'sigmoid',
  layers: ofCrossEntropy,
  name: "sigmoid's derivative",
  what: "the sigmoid's derivative, of the logits or of the output, for another layer",
  why: {
    softmax:
      'σ looks at one logit, softmax at all of a row: dx = s ⊙ (g − ⟨s, g⟩) with s = softmax(x). (For two classes softmax is a sigmoid, of the difference of the logits.)',
    'log-softmax':
      'σ looks at one logit, log-softmax at all of a row: dx = g − s Σ g with s = softmax(x). (For two classes softmax is a sigmoid, of the difference of the logits.)',
  },
  forms: [
    gradient('σ(x) ⊙ (1 − σ(x))', ['sigmoid(x) * (1 - sigmoid(x))'], ({ x }) => x?.map(sigmoidSlope)),
    product('g ⊙ σ(x) ⊙ (1 − σ(x))', ['g * sigmoid(x) * (1 - sigmoid(x))'], ({ x }, g) =>
      x?.map((value, k) => at(g.values, k) * sigmoidSlope(value)),
    ),
    loss('σ(x) − y', ['sigmoid(x) - y'], ({ x }, y) => x?.map((value, k) => sigmoidOf(value) - at(y, k))),
    gradient('σ(s) ⊙ (1 − σ(s))', ['sigmoid(s) * (1 - sigmoid(s))'], ({ s }) => s.map(sigmoidSlope)),
    product('g ⊙ σ(s) ⊙ (1 − σ(s))', ['g * sigmoid(s) * (1 - sigmoid(s))'], ({ s }, g) =>
      s.map((value, k) => at(g.values, k) * sigmoidSlope(value)),
    ),
    loss('(s − y) ⊙ σ(s) ⊙ (1 − σ(s))', ['(s - y) * sigmoid(s) * (1 - sigmoid(s))'], ({ s }, y) =>
      s.map((value, k) => (value - at(y, k)) * sigmoidSlope(value)),
    ),
    loss('(s − y) ⊙ σ(x) ⊙ (1 − σ(x))', ['(s - y) * sigmoid(x) * (1 - sigmoid(x))'], ({ s, x }, y) =>
      x?.map((value, k) => (at(s, k) - at(y, k)) * sigmoidSlope(value)),
    ),
  ],
};

/** What is squared in 1 − t², and the code of it. */
const squaredInTanh: readonly (readonly [
  written: string,
  code: string,
  of: (problem: Problem) => Float64Array | undefined,
])[] = [
  ['s', 's', ({ s }) => s],
  ['tanh(x)', 'np.tanh(x)', ({ x }) => x?.map(Math.tanh)],
  ['tanh(s)', 'np.tanh(s)', ({ s }) => s.map(Math.tanh)],
];

const tanh: Mistake = {
  id: 'tanh',
  layers: everyLayer,
  name: "tanh's derivative",
  what: "tanh's derivative, 1 − tanh²(x), or 1 minus the square of the output, for another layer",
  why: inEachLayer(
    ({ product: own }) =>
      `tanh has the slope 1 − tanh²(x), which a layer with tanh writes as 1 − a² with its output a. Each layer has a derivative of its own; that of this one is dx = ${own}.`,
  ),
  forms: squaredInTanh.flatMap(([written, code, squared]) => {
    const slopes = (problem: Problem) => {
      const values = squared(problem);
      // Of logits that are all 0 the slopes are 1, which is no mistake of its own.
      return values?.some((value) => value !== 0) ? values.map((value) => 1 - value * value) : null;
    };
    return [
      gradient(`1 − ${written}²`, [`1 - ${code}**2`], slopes),
      // Of −y / s it would be −y / s + y s, which few digits do not tell from −y / s.
      product(`g ⊙ (1 − ${written}²)`, [`g * (1 - ${code}**2)`], (problem, g) =>
        g.symbol === 'g' ? slopes(problem)?.map((slope, k) => slope * at(g.values, k)) : null,
      ),
      loss(`(s − y) ⊙ (1 − ${written}²)`, [`(s - y) * (1 - ${code}**2)`], (problem, y) =>
        slopes(problem)?.map((slope, k) => slope * (at(problem.s, k) - at(y, k))),
      ),
    ];
  }),
};

/** Only for −y, the upstream gradient of the negative log-likelihood, are these right. */
const upstreamSumMissing: Mistake = {
  id: 'upstream-sum-missing',
  layers: ['log-softmax'],
  name: 'Σ g missing',
  what: 'g + s or g − s: the derivative of log-softmax without the sum of the upstream gradient over the row, by which s is multiplied',
  why: 'dx = g − s Σ g. With the upstream gradient −y of the negative log-likelihood Σ g is −1, and dx = g + s = s − y; with any other it is not.',
  forms: [1, -1].map((sign) =>
    unlessRight(
      product(`g ${sign > 0 ? '+' : '−'} s`, [], ({ s }, g) => s.map((value, k) => at(g.values, k) + sign * value)),
    ),
  ),
};

const logSoftmax: Mistake = {
  id: 'log-softmax',
  layers: ['softmax', 'sigmoid'],
  name: "log-softmax's derivative",
  what: "log-softmax's derivative, g − s Σ g, for another layer",
  why: {
    softmax:
      'log-softmax has the Jacobian δ_ij − s_j, softmax has s_i (δ_ij − s_j): the factor s_i is the derivative of the logarithm. Use each with the loss that takes its output.',
    sigmoid:
      'log-softmax has the Jacobian δ_ij − s_j, a sigmoid σ_i (1 − σ_i) on the diagonal and nothing beside it. Use each with the loss that takes its output.',
  },
  forms: [
    product(
      'g − s Σ g',
      ['g - s * g.sum(axis=1, keepdims=True)'],
      (problem, g) => vjpOfLogSoftmax(problem, g.values),
      (_, g) => g.values.map(Math.abs),
    ),
    jacobian('δ_ij − s_j', ['np.eye(f) - s'], jacobianOfLogSoftmax),
    jacobian('δ_ij − s_i', [], ({ s, ...problem }) =>
      entries({ s, ...problem }, (i, _, same) => ((same ? 1 : 0) - at(s, i)) / problem.temperature),
    ),
  ],
};

/** exp(x) without the division, with and without the shift by the row's maximum. */
function exponentials(problem: Problem): readonly { readonly e: Float64Array; readonly written: string }[] {
  const { x, n, f, temperature } = problem;
  if (!x) return [];
  const largest = rowMaxima(x, n, f);
  return [
    { e: x.map((value) => Math.exp(value / temperature)), written: 'exp(x)' },
    {
      e: x.map((value, k) => Math.exp((value - at(largest, Math.floor(k / f))) / temperature)),
      written: 'exp(x − max x)',
    },
  ];
}

const normalisationMissing: Mistake = {
  id: 'normalisation-missing',
  layers: ofCrossEntropy,
  name: 'exponentials not divided by their sum',
  what: 'a derivative with exp(x) in the place of the probabilities: the division by the sum over the classes is missing',
  why: {
    softmax:
      's = exp(x) / Σ exp(x). Without the division the numbers do not add up to 1, and neither s − y nor s ⊙ (g − ⟨s, g⟩) is a derivative of anything.',
    'log-softmax':
      's = exp(x) / Σ exp(x). Without the division the numbers do not add up to 1, and neither s − y nor g − s Σ g is a derivative of anything.',
  },
  forms: [
    {
      kind: 'gradient',
      expressions: [
        'np.exp(x) - y',
        'np.exp(x)',
        'np.exp(x) * (1 - np.exp(x))',
        'g - np.exp(x) * g.sum(axis=1, keepdims=True)',
      ],
      gives: (problem) => {
        const { g, y, layer, temperature } = problem;
        return exponentials(problem).flatMap(({ e, written }): Candidate[] => [
          ...(g && layer === 'log-softmax'
            ? [candidate(`g − e Σ g, e = ${written}`, vjpOfLogSoftmax({ ...problem, s: e }, g))]
            : []),
          candidate(
            `e ⊙ (1 − e), e = ${written}`,
            e.map((value) => (value * (1 - value)) / temperature),
          ),
          ...(g ? [candidate(`e ⊙ (g − ⟨e, g⟩), e = ${written}`, scaledByLogits(problem, e, g))] : []),
          ...(y
            ? lossFactors(problem).map(({ factor, over }) =>
                candidate(
                  dividedBy(`${written} − y`, over),
                  e.map((value, k) => ((value - at(y, k)) * factor) / temperature),
                ),
              )
            : []),
        ]);
      },
    },
    {
      kind: 'jacobian',
      expressions: [],
      gives: (problem) =>
        exponentials(problem).map(({ e, written }) =>
          candidate(
            `diag(e) − e eᵀ, e = ${written}`,
            entries(problem, (i, j, same) => ((same ? at(e, i) : 0) - at(e, i) * at(e, j)) / problem.temperature),
          ),
        ),
    },
  ],
};

const softmaxDerivative: Mistake = {
  id: 'softmax-derivative',
  name: "softmax's derivative",
  what: "softmax's derivative, s ⊙ (g − ⟨s, g⟩), for another layer",
  why: 'Every layer has its own Jacobian: softmax s_i (δ_ij − s_j), log-softmax δ_ij − s_j, a sigmoid σ_i (1 − σ_i) on the diagonal and nothing beside it.',
  layers: ['log-softmax', 'sigmoid'],
  forms: [
    // For a single class it is the sigmoid's own.
    ...[1, -1].map((sign) =>
      product(`${sign < 0 ? '−' : ''}s ⊙ (g − ⟨s, g⟩)`, [], (problem, g) =>
        problem.f > 1 ? scaled(vjp(problem, g.values), sign) : null,
      ),
    ),
    product('s ⊙ (g − ⟨s, g⟩), s = softmax(x)', [], (problem, g) => {
      const { x, temperature } = problem;
      return x && problem.layer === 'sigmoid'
        ? vjp(problem, g.values, softmaxRows(x, rowsOf(problem), temperature))
        : null;
    }),
    jacobian('diag(s) − s sᵀ', [], (problem) => jacobianEntries(problem)),
    loss('softmax(x) − y', [], (problem, y) => {
      const { x, temperature, layer } = problem;
      if (!x || layer !== 'sigmoid') return null;
      return softmaxRows(x, rowsOf(problem), temperature).map((value, k) => (value - at(y, k)) / temperature);
    }),
  ],
};

export const inputs: readonly Mistake[] = [
  softmaxTwice,
  softmaxOfUpstream,
  logitsForProbabilities,
  normalisationMissing,
  sigmoid,
  tanh,
  logSoftmax,
  upstreamSumMissing,
  softmaxDerivative,
];
