import { at, isSet } from '../at.js';
import { loss, multiple } from '../define-form.js';
import { lossGradient } from '../derivatives.js';
import type { Form, Mistake } from '../form.js';
import { dividedBy } from '../formula.js';
import { everyLayer, ofCrossEntropy } from '../input.js';
import { labelsOf } from '../labels.js';
import { inEachLayer } from '../layer-formulas.js';
import { each } from '../numbers.js';
import { batchSize, type Problem } from '../problem.js';
import { smooth } from '../target.js';
import { addsUp, meansOverOtherRows, rightLoss } from './right-loss.js';

/** The gradient of the correct loss for another target than the given one, or without one of its options. */

const targetSum: Mistake = {
  id: 'target-sum',
  layers: ofCrossEntropy,
  name: 'target taken to add up to 1',
  what: 's − y, though the target does not add up to 1',
  why: 'The gradient of −Σ y log s is s Σy − y: every y_i pulls the whole row down by s. s − y is right only where each row of the target adds up to 1; of several labels a row either divide the target by their number, or use a sigmoid for each.',
  forms: [
    loss('s − y', [], (problem, y) => {
      const all = problem.whole ?? problem;
      const { target, layer } = problem;
      // Where only the class weights keep the target from adding up to 1, it is the mistake 'class-weights'.
      const ofWeights = target?.weight && addsUp({ ...all, y: all.target?.given ?? all.y });
      if (ofWeights || addsUp(all) || layer === 'sigmoid') return null;
      return each(problem, (k) => (at(problem.s, k) - at(y, k)) / problem.temperature);
    }),
  ],
};

/** The target shifted by some classes; with `wrap`, entries that leave at one end enter at the other, as in np.roll. */
function shifted({ f }: Problem, y: Float64Array, by: number, wrap: boolean): Float64Array {
  return y.map((_, k) => {
    const from = (k % f) - by;
    if (!wrap && (from < 0 || from >= f)) return 0;
    return at(y, k - (k % f) + ((from + f) % f));
  });
}

function movedTarget(formula: string, expressions: readonly string[], by: number, wrap: boolean): Form {
  return loss(formula, expressions, (problem, y) => {
    if (problem.f < 2) return null;
    const { s, temperature } = problem;
    const moved = shifted(problem, y, by, wrap);
    return each(problem, (k) => (at(s, k) - at(moved, k)) / temperature);
  });
}

/** The target counted from 1, if it is the given one that counts from 1. */
export const oneClassLower = movedTarget('s − y, y one class too low', ['s - np.eye(f)[y - 1]'], -1, true);

const labelsOffByOne: Mistake = {
  id: 'labels-off-by-one',
  layers: everyLayer,
  name: 'labels off by one',
  what: inEachLayer((of) => `${of.error} with every row's target one class too low or too high`),
  why: 'Class indices count from 0: labels that count from 1 (1 … K) need 1 taken off once, in the data or in the code but not in both. Index −1 is the last class in NumPy, and one_hot(K) a row of zeros.',
  forms: [
    oneClassLower,
    movedTarget('s − y, y one class too high', ['s - np.eye(f)[y + 1]'], 1, true),
    movedTarget('s − y, y one class too low and 0 where there is none', [], -1, false),
    movedTarget('s − y, y one class too high and 0 where there is none', [], 1, false),
  ],
};

const classIndexSubtracted: Mistake = {
  id: 'class-index-subtracted',
  layers: ofCrossEntropy,
  name: 'class index subtracted',
  what: 'the class index of the target, subtracted from every probability of its row, instead of a one-hot row',
  why: 's − y is with y one-hot: 1 in the column of the target, 0 in the others. s − target[:, None] broadcasts the number of the class over the whole row; write np.eye(K)[target], or s[np.arange(n), target] −= 1.',
  forms: [
    {
      ofBatch: true,
      ...loss('s − t, t the class index', ['s - y[:, None]', 's - y.reshape(-1, 1)'], (problem) => {
        const labels = labelsOf(problem);
        // Of class 0 alone it is s.
        if (problem.f < 2 || !labels || labels.every((label) => label === 0)) return null;
        return each(problem, (k, row) => (at(problem.s, k) - (labels[row] ?? 0)) / problem.temperature);
      }),
    },
    {
      ofBatch: true,
      ...loss('s − t, the class indices laid along the classes', [], (problem) => {
        const { s, n, f, shape, temperature } = problem;
        const labels = labelsOf(problem);
        if (!labels || n !== f || n === 1 || shape.length !== 2) return null;
        return each(problem, (k, _row, i) => (at(s, k) - (labels[i] ?? 0)) / temperature);
      }),
    },
  ],
};

const partlyAveraged: Mistake = {
  id: 'partly-averaged',
  layers: everyLayer,
  name: 'only one term divided by n',
  what: 'the target divided by the number of rows and the probabilities not, or the other way round',
  why: inEachLayer(
    (of) =>
      `The mean of the losses has the gradient (${of.error}) / n: the division is of the difference. ${of.error} / n lacks parentheses.`,
  ),
  forms: [
    {
      kind: 'gradient',
      expressions: ['s - y / n', 's / n - y'],
      gives: (problem) => {
        const { f, s, y, temperature, upstreamOfRows } = problem;
        const n = batchSize(problem);
        return y && n > 1 && !upstreamOfRows
          ? [
              { by: n, targetOnly: true, formula: 's − y / n' },
              { by: n, targetOnly: false, formula: 's / n − y' },
              { by: f, targetOnly: true, formula: 's − y / f' },
            ]
              .filter(({ by }) => by > 1)
              .map(({ by, targetOnly, formula }) => ({
                formula,
                values: s.map(
                  (value, k) => (value / (targetOnly ? 1 : by) - at(y, k) / (targetOnly ? by : 1)) / temperature,
                ),
                terms: s.map((value, k) => (value + at(y, k)) / temperature),
              }))
          : [];
      },
    },
  ],
};

/** A form for the gradient of a loss whose target is computed from the given one in a wrong way. */
function otherTarget(formula: string, make: (problem: Problem) => Float64Array | null): Form {
  return loss(formula, [], (problem) => {
    const y = make(problem);
    return y && lossGradient(problem, y);
  });
}

const labelSmoothing: Mistake = {
  id: 'label-smoothing',
  name: 'label smoothing of another kind',
  what: 'the gradient of the cross-entropy with its label smoothing left out, applied twice, or with ε shared out among the wrong number of classes',
  why: 'With label smoothing ε the target is (1 − ε) y + ε/K, over all K classes, the right one among them (PyTorch, TensorFlow). ε/(K − 1) for the others and 1 − ε for the right one is another smoothing, that of ε K/(K − 1).',
  forms: [
    otherTarget('s − y without smoothing', (problem) => {
      const { target } = problem;
      return target?.labelSmoothing ? weighted(problem, target.given) : null;
    }),
    otherTarget('s − y with ε/(K − 1) for the other classes', (problem) =>
      smoothed(problem, (epsilon, classes, y) => (1 - epsilon) * y + ((1 - y) * epsilon) / (classes - 1)),
    ),
    otherTarget('s − y smoothed twice', (problem) =>
      smoothed(problem, (epsilon, classes, y) => (1 - epsilon) ** 2 * y + (epsilon * (2 - epsilon)) / classes),
    ),
    otherTarget('s − (1 − ε) y', (problem) => smoothed(problem, (epsilon, _, y) => (1 - epsilon) * y)),
    otherTarget('s − y − ε/K', (problem) => smoothed(problem, (epsilon, classes, y) => y + epsilon / classes)),
    otherTargetAlone('s − (1 − ε) y, s not multiplied by Σy', (epsilon, _, y) => (1 - epsilon) * y),
    otherTargetAlone('s − y − ε/K, s not multiplied by Σy', (epsilon, classes, y) => y + epsilon / classes),
  ],
};

/** s minus a target that was smoothed by another rule, as if that added up to 1. */
function otherTargetAlone(formula: string, rule: Parameters<typeof smoothed>[1]): Form {
  return loss(formula, [], (problem) => {
    const y = smoothed(problem, rule);
    return y && each(problem, (k) => (at(problem.s, k) - at(y, k)) / problem.temperature);
  });
}

/** The target smoothed by another rule; null if no label smoothing was given. */
function smoothed(
  problem: Problem,
  rule: (epsilon: number, classes: number, y: number) => number,
): Float64Array | null {
  const { target, masked, f } = problem;
  if (!target?.labelSmoothing) return null;
  const { given, counted, labelSmoothing: epsilon } = target;
  const classes = smooth(
    new Float64Array(given.length),
    0,
    { keep: masked?.keep ?? null, counted, f },
    (count) => count,
  );
  return weighted(
    problem,
    given.map((value, k) => (at(classes, k) === 0 ? 0 : rule(epsilon, at(classes, k), value))),
  );
}

/** The target times the class weights, 0 where the mask takes an entry out. */
function weighted({ target, masked, f }: Problem, y: Float64Array): Float64Array {
  const weight = target?.weight;
  return y.map((value, k) => (masked && !isSet(masked.keep, k) ? 0 : value * (weight ? at(weight, k % f) : 1)));
}

/** The gradient of a mean that is taken over other rows than those of the loss. */
function meanOverOtherRows(weighted: boolean): Form {
  return {
    kind: 'gradient',
    expressions: [],
    gives: (problem) => {
      const { target } = problem;
      if (!target || (target.weight !== null) !== weighted) return [];
      const divisor = Number(target.divisor.toPrecision(6));
      const instead = weighted
        ? `instead of the sum of the weights of the targets, ${divisor}`
        : `instead of the number of rows that count, ${divisor}`;
      const summed = rightLoss.gives({ ...problem, reduction: 'sum' }).slice(0, 1);
      return summed.flatMap((all) =>
        meansOverOtherRows(problem).map((one) =>
          multiple({ ...all, reduction: 'mean' }, 1 / one.divisor, `${dividedBy(all.formula, one.over)}, ${instead}`),
        ),
      );
    },
  };
}

/** A form with each of its means, also where the reduction is known: rows or weights are counted wrong along with it. */
function anyMean(form: Form): Form {
  return {
    ...form,
    gives: (problem) =>
      problem.reduction === 'mean'
        ? form.gives({ ...problem, reduction: null }).filter(({ reduction }) => reduction !== 'sum')
        : form.gives(problem),
  };
}

const classWeights: Mistake = {
  id: 'class-weights',
  layers: ofCrossEntropy,
  name: 'class weights left out or in the wrong place',
  what: 'the gradient of the cross-entropy without its class weights, with them twice or on another term than the loss, or missing in the divisor of the mean',
  why: "A row's loss is times the weight of its target's class, and so is the whole row of its gradient: w_t (s − y). Weights on the target alone (s − w y), or one for each column, are no derivative of it. The mean divides by the sum of the weights of the targets, Σ w_t, not by the number of rows.",
  forms: [
    meanOverOtherRows(true),
    loss('w (s − y), weighted twice', [], (problem) => {
      const { target, f } = problem;
      const weight = target?.weight;
      return weight
        ? lossGradient(
            problem,
            target.y.map((value, k) => value * at(weight, k % f)),
          )
        : null;
    }),
    anyMean(
      loss('s − w y, the weights on the target alone', [], ({ target, s, temperature }) =>
        target?.weight ? s.map((value, k) => (value - at(target.y, k)) / temperature) : null,
      ),
    ),
    otherTarget('s − y without weights', ({ target }) => (target?.weight ? target.given : null)),
    loss('w_i (s_i − y_i), a weight for each column', [], (problem) => {
      const { target, s, f, temperature } = problem;
      const weight = target?.weight;
      return weight ? each(problem, (k) => (at(weight, k % f) * (at(s, k) - at(target.given, k))) / temperature) : null;
    }),
  ],
};

const ignoredRows: Mistake = {
  id: 'ignored-rows',
  layers: ofCrossEntropy,
  name: 'ignored rows not ignored',
  what: 's in the rows that are to be ignored, where the gradient is 0, or a mean that counts these rows',
  why: 'A row whose target is the ignored index is no part of the loss: its gradient is 0, and it does not count in the mean. A one-hot row of zeros takes the target away, but not s: multiply the row by 0.',
  forms: [
    meanOverOtherRows(false),
    anyMean(
      loss('s − y, in the ignored rows as in all others', [], (problem, y) => {
        const { target, f } = problem;
        const counted = target?.counted;
        if (!counted || target.ignoreIndex < 0 || target.ignoreIndex >= f) return null;
        const weightOf = (i: number) => (target.weight ? at(target.weight, i) : 1);
        const ofAll = each(problem, (k, row, i) =>
          isSet(counted, row) ? at(y, k) : i === target.ignoreIndex ? weightOf(i) : 0,
        );
        return lossGradient(problem, ofAll);
      }),
    ),
    loss('s − y, y 0 in the ignored rows', [], (problem, y) => {
      const { target, s, temperature } = problem;
      return target?.counted ? each(problem, (k) => (at(s, k) - at(y, k)) / temperature) : null;
    }),
    loss('s − y, the last class in the ignored rows', [], (problem, y) => {
      const { target, s, f, temperature } = problem;
      const counted = target?.counted;
      if (!counted) return null;
      return each(problem, (k, row, i) => {
        const last = !isSet(counted, row) && i === f - 1 ? 1 : 0;
        return (at(s, k) - at(y, k) - last) / temperature;
      });
    }),
  ],
};

export const targets: readonly Mistake[] = [
  targetSum,
  labelsOffByOne,
  classIndexSubtracted,
  partlyAveraged,
  labelSmoothing,
  classWeights,
  ignoredRows,
];
