import { at } from '../at.js';
import { lossFactors } from '../cotangents.js';
import { candidate } from '../define-form.js';
import { lossGradient } from '../derivatives.js';
import type { Candidate, Mistake } from '../form.js';
import { dividedBy } from '../formula.js';
import { onFirstUse } from '../numbers.js';
import type { Problem } from '../problem.js';

/** Common clipping thresholds, as in Keras, scikit-learn and hand-written losses. */
const clips = [1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15] as const;

export const clippedProbabilities: Mistake = {
  id: 'clipped-probabilities',
  name: 'clipped probabilities',
  what: "the gradient of a loss whose probabilities are clipped (or had a small number added) before the logarithm: small where the target's probability is below that, though the prediction is wrong",
  why: 'log(clip(s, ε, 1 − ε)) keeps infinities away, and the gradient too: below ε the clipped loss is constant, and −y / (s + ε) through the Jacobian nearly 0 where s − y is nearly −1. The cross-entropy of logits needs no clipping.',
  goal: 'loss',
  forms: [
    {
      kind: 'gradient',
      expressions: [],
      gives: (problem) => {
        const { y } = problem;
        if (!y) return [];
        const least = leastOfTarget(problem);
        // If no probability is that small, clipping has no visible effect.
        const visible = clips.filter((epsilon) => least < 30 * epsilon);
        return visible.flatMap((epsilon) =>
          lossFactors(problem).flatMap(({ factor, over }) =>
            clippedLosses(problem, y, { epsilon, reached: least < epsilon }, factor, over),
          ),
        );
      },
    },
  ],
};

/** The smallest probability of a target in the whole batch, also if the problem is a sample. */
function leastOfTarget(problem: Problem): number {
  const { s, y } = problem.whole ?? problem;
  let least = Number.POSITIVE_INFINITY;
  if (y) for (const [k, value] of s.entries()) if (value < least && at(y, k) > 0) least = value;
  return least;
}

interface Clip {
  readonly epsilon: number;
  /** True if the probability of some target is below `epsilon`. */
  readonly reached: boolean;
}

/** Clipping to less than this is not visible in s − 1 at the target. */
const leastVisible = 1e-5;

function clippedLosses(
  problem: Problem,
  y: Float64Array,
  { epsilon, reached }: Clip,
  factor: number,
  over: string,
): Candidate[] {
  const { s, f, temperature } = problem;
  /** J (−y ⊙ upstream(s)); sums only over the entries of the target, and computes entries on access. */
  const through = (upstream: (probability: number) => number) => {
    const g = (k: number) => (at(y, k) > 0 ? -at(y, k) * upstream(at(s, k)) * factor : 0);
    return onFirstUse(() => {
      const inner = new Float64Array(problem.n);
      for (let row = 0; row < problem.n; row++) {
        let sum = 0;
        for (let k = row * f; k < (row + 1) * f; k++) if (at(y, k) > 0) sum += at(s, k) * g(k);
        inner[row] = sum;
      }
      return (k: number) => (at(s, k) * (g(k) - at(inner, Math.floor(k / f)))) / temperature;
    });
  };
  const clipped = (value: number) => Math.min(Math.max(value, epsilon), 1 - epsilon);
  const added = candidate(
    `J (−y / (s + ${epsilon}))${over}`,
    through((value) => 1 / (value + epsilon)),
  );
  if (!reached) return [added];
  const constant = [
    candidate(
      `J (−y / clip(s, ${epsilon}))${over}`,
      through((value) => 1 / clipped(value)),
    ),
    candidate(
      `J (−y / s)${over}, 0 where s is below ${epsilon}`,
      through((value) => (value === clipped(value) ? 1 / value : 0)),
    ),
  ];
  if (epsilon < leastVisible) return [added, ...constant];
  const difference = onFirstUse(() =>
    lossGradient({ ...problem, s: s.map(clipped) }, y).map((value) => value * factor),
  );
  return [added, ...constant, candidate(dividedBy(`clip(s, ${epsilon}) − y`, over), difference)];
}

/** Its bound is taken from the numbers, so its form is for expressions only; see clipped-gradient.ts. */
export const clippedGradient: Mistake = {
  id: 'gradient-clipped',
  neutral: true,
  name: 'clipped gradient',
  what: 'the right derivative after clipping: entries beyond a bound were replaced by the bound, or the array, or each row of it, was divided until its norm was the bound',
  why: 'Clipping limits the step of the optimiser. It is no part of the derivative: it belongs after backpropagation, and the derivative is compared by the numbers before it. Clipping entry by entry (clip_grad_value_, np.clip) changes the direction of the gradient too, and its rows no longer add up to 0; clipping by the norm (clip_grad_norm_) keeps the direction.',
  forms: [
    {
      kind: 'gradient',
      expressions: [
        'np.clip(dx, -1, 1)',
        'np.clip(s - y, -1, 1)',
        'torch.nn.utils.clip_grad_norm_(model.parameters(), 1)',
        'torch.nn.utils.clip_grad_value_(model.parameters(), 1)',
        'tf.clip_by_norm(dx, 1)',
      ],
      gives: () => [],
    },
  ],
};
