import { at, isSet } from '../at.js';
import { cotangent, type LossFactor, lossFactors, sumIsMean } from '../cotangents.js';
import { multiple } from '../define-form.js';
import { lossGradient, throughLayer } from '../derivatives.js';
import type { Form } from '../form.js';
import { dividedBy, overTemperature } from '../formula.js';
import { rowSum, rowSums } from '../host-softmax.js';
import { inputRounding, openLoss } from '../input-rounding.js';
import { each, lazily, onFirstUse, scaled } from '../numbers.js';
import { oncePerProblem } from '../once-per-problem.js';
import { batchSize, type Problem } from '../problem.js';

/** The right gradients of the losses of a target: the cross-entropy with its options, and losses of the probabilities. */

/** The formula of the gradient of a cross-entropy, with its options. */
function lossFormula(problem: Problem): string {
  if (problem.layer === 'sigmoid') return 'σ − y';
  const { labelSmoothing, weight, counted } = problem.target ?? {};
  const options = [
    ...(labelSmoothing ? [`y smoothed with ε = ${labelSmoothing}`] : []),
    ...(weight ? ['y times the class weights'] : []),
    ...(counted ? ['0 in ignored rows'] : []),
  ];
  const formula = [addsUp(problem.whole ?? problem) ? 's − y' : 's Σy − y', ...options].join(', ');
  return problem.upstreamOfRows ? `g (${formula})` : formula;
}

/** True if the target adds up to 1 in every row that is not ignored, before it is multiplied by the upstream gradient of the losses. */
export function addsUp(problem: Pick<Problem, 'y' | 'target' | 'n' | 'f' | 'upstreamOfRows'>): boolean {
  const { target, n, f, upstreamOfRows } = problem;
  const y = upstreamOfRows && target ? target.y : problem.y;
  if (!y) return true;
  for (let row = 0; row < n; row++) {
    const counts = !target?.counted || isSet(target.counted, row);
    if (counts && !(Math.abs(rowSum(y, row, f) - 1) < 1e-6)) return false;
  }
  return true;
}

/** True if the upstream gradient says what the loss is, whatever the target is. */
export function followsUpstream({ g, fused, layer }: Problem): boolean {
  return g !== null && !fused && layer !== 'cross-entropy';
}

/** If the reduction is unknown, a mean over one dimension of the batch and a sum over the others is correct too. */
export function rightFactors(problem: Problem): readonly LossFactor[] {
  const { y, f, batch, axis, reduction, layer } = problem;
  const entries = 1 / (batchSize(problem) * f);
  // PyTorch's kl_div averages over all entries by default.
  const ofEntries: readonly LossFactor[] =
    layer === 'log-softmax' && reduction !== 'sum'
      ? [{ factor: entries, over: ' / (n f)', reduction: 'mean', unusual: 'all entries' }]
      : [];
  const all = [...lossFactors(problem), ...(y ? ofEntries : [])];
  if (!y || reduction !== null || layer === 'sigmoid' || batch.length < 2) return all;
  const partial = batch.flatMap((size, d): LossFactor[] => {
    const factor = 1 / size;
    if (size === 1 || all.some((known) => known.factor === factor)) return [];
    const over = ` / ${size}, the size of axis ${d < axis ? d : d + 1}`;
    return [{ factor, over, reduction: 'mean', unusual: 'one axis' }];
  });
  return [...all, ...partial];
}

/**
 * What the mean of a cross-entropy with class weights or ignored rows is divided by if it is taken over the wrong rows: all rows, or with weights
 * also the rows that are not ignored, each counted once. Empty unless the reduction is the mean.
 */
export function meansOverOtherRows(problem: Problem): readonly { readonly divisor: number; readonly over: string }[] {
  const { target, reduction, layer } = problem;
  const n = batchSize(problem);
  if (!target?.indices || reduction !== 'mean' || layer === 'sigmoid' || target.divisor === n) return [];
  const { counted, weight } = problem.whole?.target ?? target;
  const kept = counted && weight ? counted.reduce((sum, one) => sum + one, 0) : n;
  const all = [
    { divisor: n, over: ' / n' },
    { divisor: kept, over: ` / ${kept}, the rows that count` },
  ];
  return all.filter(({ divisor }, k) => divisor > 0 && divisor !== target.divisor && (k === 0 || divisor !== n));
}

export const rightLoss: Form = {
  kind: 'gradient',
  expressions: ['s - y', '(s - y) / n', 's[np.arange(n), target] -= 1'],
  reductions: { 's - y': 'sum', '(s - y) / n': 'mean', 's[np.arange(n), target] -= 1': 'sum' },
  caveats: {
    's - y': "That is the gradient of the sum of the rows' losses; of their mean it is (s - y) / n.",
    '(s - y) / n': "That is the gradient of the mean of the rows' losses; of their sum it is s - y.",
    's[np.arange(n), target] -= 1':
      "That makes the gradient of the sum of the rows' losses out of the probabilities, in their memory; of the mean, divide by n after it.",
  },
  gives: oncePerProblem((problem) => {
    const { y, s, g, n, f, layer } = problem;
    // For a softmax layer, the upstream gradient says what the loss is.
    if (!y || (layer === 'softmax' && g)) return [];
    const unscaled = lossGradient(problem, y);
    const sums = layer === 'sigmoid' ? new Float64Array(n).fill(1) : rowSums(y, n, f);
    const terms = onFirstUse(() =>
      each(problem, (k, row) => (at(s, k) * at(sums, row) + at(y, k)) / problem.temperature),
    );
    const formula = lossFormula(problem);
    return rightFactors(problem).map(({ factor, over, reduction, unusual }) => {
      const divided = over + overTemperature(problem);
      return {
        formula: divided ? `(${formula})${divided}` : formula,
        values: scaled(unscaled, factor),
        terms: lazily(terms, factor),
        open: openLoss(problem, y, factor),
        unusual,
        ...(sumIsMean(problem) ? {} : { reduction }),
      };
    });
  }),
};

/** The possible means of a loss of the probabilities: none, over rows, over classes, or over all entries. */
export function averages(problem: Problem): readonly (readonly [divisor: number, over: string])[] {
  const { f } = problem;
  const n = batchSize(problem);
  return [
    [1, ''],
    [n, ' / n'],
    [f, ' / f'],
    [n * f, ' / (n f)'],
  ];
}

/** Losses of the probabilities: their gradient with respect to s, and the multiples of it that belong to known losses. */
const probabilityLosses: readonly {
  upstream(s: number, y: number): number;
  readonly losses: readonly (readonly [factor: number, loss: string])[];
}[] = [
  {
    upstream: (s, y) => s - y,
    losses: [
      [1, '½‖s − y‖²'],
      [2, '‖s − y‖²'],
      [0.5, '¼‖s − y‖²'],
    ],
  },
  {
    upstream: (_, y) => -y,
    losses: [
      [1, '1 − Σ y s'],
      // For a one-hot target this is ‖s − y‖₁.
      [2, '2 (1 − Σ y s)'],
    ],
  },
  { upstream: (_, y) => y, losses: [[1, 'Σ y s']] },
];

/** How far s − y may be off; that −y is off by less does no harm. */
function openUpstream(problem: Problem): Float64Array | null {
  const rounding = inputRounding(problem);
  if (!rounding) return null;
  const { s, y } = rounding;
  return s.map((value, k) => value + (y ? at(y, k) : 0));
}

/** The gradients of squared and absolute errors of the probabilities, which are multiplied by the Jacobian. */
export const rightProbabilityLoss: Form = {
  kind: 'gradient',
  expressions: [],
  gives: (problem) => {
    const { y, g, s, f, fused, layer, target, upstreamOfRows } = problem;
    // A given upstream gradient determines the loss.
    if (!y || (g && !fused) || layer === 'cross-entropy') return [];
    // The probabilities are exp of the outputs of a log-softmax.
    const ofProbabilities: Problem = layer === 'log-softmax' ? { ...problem, layer: null } : problem;
    return probabilityLosses.flatMap(({ upstream, losses }) => {
      const values = s.map((value, k) =>
        upstreamOfRows && target
          ? upstream(value, at(target.y, k)) * at(upstreamOfRows, Math.floor(k / f))
          : upstream(value, at(y, k)),
      );
      const through = throughLayer(ofProbabilities, cotangent(problem, 'g', values), openUpstream(problem));
      const all = losses.flatMap(([factor, loss]) =>
        averages(problem).map(([divisor, over]) => ({ scale: factor / divisor, loss: dividedBy(loss, over) })),
      );
      return all
        .filter(({ scale }, k) => all.findIndex((other) => other.scale === scale) === k)
        .map(({ scale, loss }) => multiple(through, scale, `${through.formula} with g of the loss ${loss}`));
    });
  },
};

/** Soft targets at a temperature: distillation multiplies the loss by T², so that its gradient does not shrink like 1/T². */
export const rightDistilled: Form = {
  kind: 'gradient',
  expressions: [],
  gives: (problem) => {
    const { temperature, indices } = problem;
    const { target } = problem.whole ?? problem;
    if (temperature === 1 || indices || !target || target.given.every((value) => value === 0 || value === 1)) return [];
    return rightLoss
      .gives(problem)
      .map((found) => multiple(found, temperature ** 2, `T² · (${found.formula}), the T² of distillation`));
  },
};
