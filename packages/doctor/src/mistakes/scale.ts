import { multiple } from '../define-form.js';
import type { Candidate, Form, Kind, Mistake } from '../form.js';
import { asFactor } from '../formula.js';
import { everyLayer } from '../input.js';
import { inEachLayer } from '../layer-formulas.js';
import { times } from '../numbers.js';
import { batchSize as batchRows, outputOf, type Problem } from '../problem.js';
import { rightJacobian, rightProduct, slope } from './right.js';
import { meansOverOtherRows, rightFactors, rightLoss } from './right-loss.js';

/** The correct derivative times a wrong factor. */

interface Factor {
  readonly symbol: string;
  readonly value: number;
  /** Replaces the division by T at the end of the formula. */
  readonly suffix?: string;
}

const flipped = () => [{ symbol: '−', value: -1 }];

const signFlipped: Mistake = {
  id: 'sign-flipped',
  layers: everyLayer,
  name: 'sign flipped',
  what: 'the right derivative with the opposite sign: descent climbs',
  why: inEachLayer(
    (of) =>
      `The ${of.nameOfLoss} falls where the target's probability rises: its gradient is ${of.error}, not minus that; and y has a minus in g = ${of.upstream} too.`,
  ),
  forms: multiples(
    flipped,
    // The same factors for losses: a flipped sign applies to every reduction.
    flipped,
    ['y - s', '(y - s) / n', '-s * (g - (s * g).sum(axis=1, keepdims=True))'],
  ),
};

const batchSize: Mistake = {
  id: 'batch-size',
  name: 'off by the batch size',
  what: 'the right derivative times or divided by the number of rows (or of classes)',
  why: 'A mean over n rows divides by n once: in the loss and so in the gradient that arrives from it. The upstream gradient carries the 1/n already; the layer adds none. np.mean over all entries divides by n·f instead.',
  layers: everyLayer,
  forms: multiples(
    (problem) => (problem.shape.length < 2 ? [] : batchFactors(problem)),
    (problem) => lossBatchFactors(problem),
    ['(s - y) / n / n', '(s - y) * n', '(s - y) / s.shape[1]'],
  ),
};

/** Factors from the number of rows, the number of classes and, for a batch of several dimensions, their sizes; without 1. */
function batchFactors(problem: Problem): Factor[] {
  const { f, batch, axis } = problem;
  const n = batchRows(problem);
  const sizes = batch.length < 2 ? [] : batch.map((size, d) => ({ size, d: d < axis ? d : d + 1 }));
  const all = [
    { symbol: 'n · ', value: n },
    { symbol: '1/n · ', value: 1 / n },
    { symbol: '1/f · ', value: 1 / f },
    { symbol: '1/(n f) · ', value: 1 / (n * f) },
    ...sizes
      .filter(({ size }) => size > 1 && size < n)
      .map(({ size, d }) => ({ symbol: `1/${size} (the size of axis ${d}) · `, value: 1 / size })),
  ];
  return all.filter(({ value }) => value !== 1);
}

/** The factors of the gradient of a cross-entropy that do not belong to any reduction. */
function lossBatchFactors(problem: Problem): Factor[] {
  const { f, shape, reduction } = problem;
  const n = batchRows(problem);
  if (shape.length < 2) return [];
  const rightOnes = rightLoss.gives(problem).length === 0 ? [] : rightFactors(problem).map(({ factor }) => factor);
  const all: Factor[] = [
    ...batchFactors(problem),
    { symbol: '1/n² · ', value: 1 / n ** 2 },
    ...(reduction === 'mean' ? [{ symbol: '', value: 1, suffix: ', not divided by n' }] : []),
    ...(problem.layer === 'sigmoid' ? [{ symbol: '1/f² · ', value: 1 / f ** 2 }] : []),
  ];
  // The mean over all rows, of rows with weights or ignored rows, is another mistake.
  const ownMean = meansOverOtherRows(problem).map(({ divisor }) => 1 / divisor);
  return all.filter(({ value }) => !rightOnes.includes(value) && !ownMean.includes(value));
}

const innerDerivative = 'the inner derivative 1/T belongs in the gradient once';

export const temperatureMistake: Mistake = {
  id: 'temperature',
  name: 'temperature misapplied',
  layers: everyLayer,
  what: 'the right derivative but for the temperature: its 1/T is missing, there twice, or upside down',
  why: {
    softmax: `s = softmax(x / T), so ∂s/∂x = (diag(s) − s sᵀ) / T: ${innerDerivative}, and s must be the probabilities at that temperature.`,
    'log-softmax': `y = log softmax(x / T), so ∂y_i/∂x_j = (δ_ij − s_j) / T: ${innerDerivative}, and s must be the probabilities at that temperature.`,
    sigmoid: `σ = sigmoid(x / T), so ∂σ/∂x = σ ⊙ (1 − σ) / T: ${innerDerivative}, and σ must be the probabilities at that temperature.`,
  },
  forms: [
    ...multiples(temperatureFactors, temperatureFactors, []),
    {
      kind: 'gradient',
      expressions: [],
      gives: (problem) =>
        atOtherTemperatures(problem, (other) => [...rightProduct.gives(other), ...rightLoss.gives(other)]),
    },
    {
      kind: 'jacobian',
      expressions: [],
      gives: (problem) => atOtherTemperatures(problem, rightJacobian.gives),
    },
  ],
};

/** Wrong factors that replace the division by T. */
function temperatureFactors({ temperature: t }: Problem): Factor[] {
  if (t === 1) return [];
  return [
    { symbol: '', value: t, suffix: '' },
    { symbol: '', value: 1 / t, suffix: ' / T²' },
    { symbol: 'T · ', value: t * t, suffix: '' },
  ];
}

/** What `gives` says of softmax(x) and of softmax(x · T), with the inner derivative 1, 1/T or T. */
function atOtherTemperatures(problem: Problem, gives: Form['gives']): Candidate[] {
  const { x, temperature: t } = problem;
  if (!x || t === 1) return [];
  return [
    { of: 1, written: 'softmax(x)' },
    { of: 1 / t, written: 'softmax(x · T)' },
  ].flatMap(({ of, written }) => {
    const s = outputOf(x, problem, of);
    return gives({ ...problem, temperature: 1, s }).flatMap((found) =>
      [
        { factor: 1, over: '' },
        { factor: 1 / t, over: ' / T' },
        ...(of === 1 ? [] : [{ factor: t, over: ' · T' }]),
      ].map(({ factor, over }) => {
        const formula = over === '' ? found.formula : `(${found.formula})${over}`;
        return { ...multiple(found, factor, `${formula} with s = ${written}`), open: undefined };
      }),
    );
  });
}

/** Forms of the correct product and Jacobian times each of `factors`, and of s − y of the summed loss times each of `lossFactors`. */
function multiples(
  factors: (problem: Problem) => readonly Factor[],
  lossFactors: (problem: Problem) => readonly Factor[],
  expressions: readonly string[],
): Form[] {
  const formTimes = (
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
    formTimes('gradient', rightProduct, factors, expressions),
    formTimes('gradient', bothLosses, lossFactors, []),
    formTimes('jacobian', rightJacobian, factors, []),
    formTimes('gradient', slope, factors, []),
  ];
}

function multiplied({ formula, values, terms, reduction }: Candidate, { symbol, value, suffix }: Factor): Candidate {
  const size = Math.abs(value);
  const bare =
    suffix === undefined
      ? formula
      : suffix.startsWith(',')
        ? `${asFactor(formula)}${suffix}`
        : formula.replace(/ \/ T$/, '') + suffix;
  const found = {
    formula: symbol === '' ? bare : `${symbol}(${bare})`,
    values: times(values, value),
    terms: times(terms, size),
  };
  // Any factor other than −1 leaves the reduction undetermined.
  return value === -1 && reduction ? { ...found, reduction } : found;
}

export const scales: readonly Mistake[] = [signFlipped, batchSize, temperatureMistake];
