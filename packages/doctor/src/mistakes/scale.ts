import { type Candidate, candidate, type Form, type Kind, type Mistake, type Numbers, scaled } from '../form.js';
import { softmaxRows } from '../host-softmax.js';
import type { Problem } from '../problem.js';
import { jacobianEntries, lossGradient, rightJacobian, rightLoss, rightProduct, vjp } from './right.js';

/** The right derivative times a factor that does not belong there. */

interface Factor {
  readonly symbol: string;
  readonly value: number;
}

const flipped = () => [{ symbol: '−', value: -1 }];

const signFlipped: Mistake = {
  id: 'sign-flipped',
  name: 'sign flipped',
  what: 'the right derivative with the opposite sign: descent climbs',
  why: 'The loss −Σ y log s falls where s_t rises, so its gradient is s − y, not y − s; and g = −y / s carries a minus.',
  forms: multiples(
    flipped,
    // The same for the losses' sum and their mean.
    flipped,
    ['y - s', '(y - s) / n', '-s * (g - (s * g).sum(axis=1, keepdims=True))'],
  ),
};

const batchSize: Mistake = {
  id: 'batch-size',
  name: 'off by the batch size',
  what: 'the right derivative times or divided by the number of rows (or of classes)',
  why: 'A mean over n rows divides by n once: in the loss and so in the gradient that arrives from it. The upstream gradient carries the 1/n already; softmax adds none. np.mean over all entries divides by n·f instead.',
  forms: multiples(
    ({ n, f, shape }) =>
      shape.length < 2 ? [] : [...batchFactors(n), { symbol: '1/n · ', value: 1 / n }, ...classFactors(n, f)],
    (problem) => lossBatchFactors(problem),
    ['(s - y) / n / n', '(s - y) * n', '(s - y).mean()'],
  ),
};

function batchFactors(n: number): Factor[] {
  return [{ symbol: 'n · ', value: n }];
}

function classFactors(n: number, f: number): Factor[] {
  return [
    { symbol: '1/f · ', value: 1 / f },
    { symbol: '1/(n f) · ', value: 1 / (n * f) },
  ];
}

/** The factors of a cross-entropy's gradient that fit no reduction: with n = 1 they cannot be told from the right one. */
function lossBatchFactors({ n, f, shape, reduction }: Problem): Factor[] {
  if (shape.length < 2) return [];
  const rightOnes = reduction === null ? [1, 1 / n] : [reduction === 'sum' ? 1 : 1 / n];
  const other: Factor[] =
    reduction === null
      ? []
      : [reduction === 'sum' ? { symbol: '1/n · ', value: 1 / n } : { symbol: 'n · 1/n · ', value: 1 }];
  const all = [...batchFactors(n), { symbol: '1/n² · ', value: 1 / n ** 2 }, ...classFactors(n, f), ...other];
  return n === 1 ? all : all.filter(({ value }) => !rightOnes.includes(value));
}

const temperature: Mistake = {
  id: 'temperature',
  name: 'temperature left out',
  what: 'the right derivative but for the temperature: its 1/T is missing, there twice, or upside down',
  why: 's = softmax(x / T), so ∂s/∂x = (diag(s) − s sᵀ) / T: the inner derivative 1/T belongs in the gradient once, and s must be the probabilities at that temperature.',
  forms: [
    ...multiples(
      ({ temperature: t }) => temperatureFactors(t),
      ({ temperature: t, n, reduction }) =>
        lossRights(n, reduction).flatMap((factor) =>
          temperatureFactors(t).map(({ symbol, value }) => ({ symbol, value: value * factor })),
        ),
      [],
    ),
    {
      kind: 'gradient',
      expressions: [],
      gives: (problem) => {
        const plain = atTemperatureOne(problem);
        if (!plain) return [];
        const { g, y, n, reduction } = problem;
        const found: Candidate[] = [];
        if (g) found.push(candidate('softmax(x) ⊙ (g − ⟨softmax(x), g⟩)', vjp(plain, g)));
        for (const factor of y ? lossRights(n, reduction) : []) {
          if (y) found.push(candidate('softmax(x) − y', scaled(lossGradient(plain, y), factor)));
        }
        return found;
      },
    },
    {
      kind: 'jacobian',
      expressions: [],
      gives: (problem) => {
        const plain = atTemperatureOne(problem);
        return plain ? [candidate('the Jacobian of softmax(x)', jacobianEntries(plain))] : [];
      },
    },
  ],
};

function temperatureFactors(t: number): Factor[] {
  if (t === 1) return [];
  return [
    { symbol: 'T · ', value: t },
    { symbol: '1/T · ', value: 1 / t },
    { symbol: 'T² · ', value: t * t },
  ];
}

function lossRights(n: number, reduction: Problem['reduction']): number[] {
  if (reduction !== null) return [reduction === 'sum' ? 1 : 1 / n];
  return n === 1 ? [1] : [1, 1 / n];
}

/** The problem of somebody who forgot that there is a temperature. */
function atTemperatureOne(problem: Problem): Problem | null {
  const { x, n, f } = problem;
  if (!x || problem.temperature === 1) return null;
  return { ...problem, temperature: 1, s: softmaxRows(x, { outer: n, classes: f, inner: 1 }) };
}

/** Forms for the right product and Jacobian times each of `factors`, and for s − y of the summed loss times each of `lossFactors`. */
function multiples(
  factors: (problem: Problem) => readonly Factor[],
  lossFactors: (problem: Problem) => readonly Factor[],
  expressions: readonly string[],
): Form[] {
  const times = (
    kind: Kind,
    form: Form,
    of: (problem: Problem) => readonly Factor[],
    spoken: readonly string[],
  ): Form => ({
    kind,
    expressions: spoken,
    gives: (problem) => {
      const chosen = of(problem);
      return chosen.length === 0
        ? []
        : form.gives(problem).flatMap((right) => chosen.map((factor) => multiplied(right, factor)));
    },
  });
  const summedLoss: Form = { ...rightLoss, gives: (problem) => rightLoss.gives({ ...problem, reduction: 'sum' }) };
  const bothLosses: Form = factors === lossFactors ? rightLoss : summedLoss;
  return [
    times('gradient', rightProduct, factors, expressions),
    times('gradient', bothLosses, lossFactors, []),
    times('jacobian', rightJacobian, factors, []),
  ];
}

function multiplied({ formula, values, terms, reduction }: Candidate, { symbol, value }: Factor): Candidate {
  const size = Math.abs(value);
  const multiple = { formula: `${symbol}(${formula})`, values: times(values, value), terms: times(terms, size) };
  // Any other factor changes what the losses' sum and their mean are.
  return value === -1 && reduction ? { ...multiple, reduction } : multiple;
}

function times(values: Numbers, factor: number): Numbers {
  return typeof values === 'function' ? (k) => values(k) * factor : scaled(values, factor);
}

export const scales: readonly Mistake[] = [signFlipped, batchSize, temperature];
