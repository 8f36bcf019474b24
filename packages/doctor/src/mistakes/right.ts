import { at, isSet } from '../at.js';
import {
  byIndex,
  type Candidate,
  type Cotangent,
  candidate,
  cotangent,
  dividedBy,
  each,
  entries,
  type Form,
  type LossFactor,
  lossFactors,
  type Mistake,
  multiple,
  type Numbers,
  overTemperature,
  scaled,
  sumIsMean,
  type Unusual,
} from '../form.js';
import { rowSum, rowSums, vjpRows } from '../host-softmax.js';
import { inputRounding, openJacobian, openLoss, openProduct } from '../input-rounding.js';
import { batchSize, type Layer, oncePerProblem, type Problem } from '../problem.js';

/** s ⊙ (g − ⟨s, g⟩) / T: the vector-Jacobian product of softmax, also if the layer is another one. */
export function vjp(problem: Problem, g: Float64Array, s: Float64Array = problem.s): Float64Array {
  const rows = { outer: problem.n, classes: problem.f, inner: 1 };
  return scaled(vjpRows(s, g, rows), 1 / problem.temperature);
}

/** The vector-Jacobian product of the layer. */
export function throughLayer(problem: Problem, g: Cotangent, ofCotangent: Float64Array | null = null): Candidate {
  const { s, n, f, temperature, layer } = problem;
  const over = overTemperature(problem);
  const open = openProduct(problem, g, ofCotangent);
  if (layer === 'sigmoid') {
    const values = s.map((value, k) => (at(g.values, k) * value * (1 - value)) / temperature);
    // 1 − σ is rounded relative to 1.
    const sizes = s.map((value, k) => (Math.abs(at(g.values, k)) * value) / temperature);
    return { formula: `g ⊙ σ ⊙ (1 − σ)${over}`, values, terms: sizes, open };
  }
  if (layer === 'log-softmax') {
    const kept = ofKept(problem, g.values);
    const sums = rowSums(kept, n, f);
    const sizes = rowSums(kept.map(Math.abs), n, f);
    return {
      formula: over ? `(g − s Σ g)${over}` : 'g − s Σ g',
      values: each(problem, (k, row) => (at(kept, k) - at(s, k) * at(sums, row)) / temperature),
      terms: each(problem, (k, row) => (Math.abs(at(kept, k)) + at(s, k) * at(sizes, row)) / temperature),
      open,
    };
  }
  return { formula: `s ⊙ (g − ⟨s, g⟩)${over}`, values: vjp(problem, g.values), terms: g.terms, open };
}

/** Values of entries, 0 where the mask takes an entry out: log-softmax is −Infinity there, whatever the logit is. */
export function ofKept({ masked }: Problem, values: Float64Array): Float64Array {
  return masked ? values.map((value, k) => (isSet(masked.keep, k) ? value : 0)) : values;
}

/** The gradient of the summed losses, (s Σy − y) / T: s − y for a target that adds up to 1. Of a sigmoid, (σ − y) / T. */
export function lossGradient(problem: Problem, y: Float64Array): Float64Array {
  const { s, n, f, temperature, layer } = problem;
  const sums = layer === 'sigmoid' ? new Float64Array(n).fill(1) : rowSums(y, n, f);
  return each(problem, (k, row) => (at(s, k) * at(sums, row) - at(y, k)) / temperature);
}

/** The Jacobian's entries (s_i δ_ij − s_i s_j) / T. */
export function jacobianEntries(problem: Problem, s: Float64Array = problem.s): (k: number) => number {
  const { f, temperature } = problem;
  // Compute 1 − s_i as the sum of the other probabilities, which avoids cancellation where s is nearly one-hot.
  const others = s.map((value, k) => {
    if (value < 0.5) return 1 - value;
    const first = k - (k % f);
    let sum = 0;
    for (let j = first; j < first + f; j++) if (j !== k) sum += at(s, j);
    return sum;
  });
  return entries(problem, (i, j, same) => (same ? at(s, i) * at(others, i) : -at(s, i) * at(s, j)) / temperature);
}

/** The layer's own Jacobian. */
function layerJacobian(problem: Problem): Candidate {
  return { ...exactJacobian(problem), open: openJacobian(problem) };
}

function exactJacobian(problem: Problem): Candidate {
  const { s, temperature, layer } = problem;
  const over = overTemperature(problem);
  if (layer === 'sigmoid') {
    const slope = (i: number) => (at(s, i) * (1 - at(s, i))) / temperature;
    return candidate(
      `diag(σ ⊙ (1 − σ))${over}`,
      entries(problem, (i, _, same) => (same ? slope(i) : 0)),
    );
  }
  if (layer === 'log-softmax') {
    const ones = ofKept(problem, new Float64Array(s.length).fill(1));
    const values = entries(problem, (i, j, same) => (at(ones, i) * ((same ? 1 : 0) - at(s, j))) / temperature);
    return candidate(over ? `(δ_ij − s_j)${over}` : 'δ_ij − s_j', values);
  }
  return candidate(over ? `(diag(s) − s sᵀ)${over}` : 'diag(s) − s sᵀ', jacobianEntries(problem));
}

const oneProduct =
  "One row only, J (f, f) and g (f,): of a batch, J (n, f, f) and g (n, f), @ multiplies other things; write np.einsum('nij,nj->ni', J, g).";

const oneRow = 'One row only, s and g of shape (f,): of a batch, s @ g is no sum of each row.';

/** The vector-Jacobian product of the upstream that was given. */
export const rightProduct: Form = {
  kind: 'gradient',
  expressions: [
    's * (g - (s * g).sum(axis=1, keepdims=True))',
    's * g - s * (s * g).sum(axis=1, keepdims=True)',
    "np.einsum('nij,nj->ni', J, g)",
    "np.einsum('nij,ni->nj', J, g)",
    "np.einsum('ij,j->i', J, g)",
    "np.einsum('ij,i->j', J, g)",
    'J @ g',
    'J.T @ g',
    'g @ J',
    's * (g - s @ g)',
    's * (g - g @ s)',
  ],
  caveats: {
    'J @ g': oneProduct,
    'J.T @ g': oneProduct,
    'g @ J': oneProduct,
    's * (g - s @ g)': oneRow,
    's * (g - g @ s)': oneRow,
    "np.einsum('ij,j->i', J, g)": oneProduct,
    "np.einsum('ij,i->j', J, g)": oneProduct,
  },
  gives: oncePerProblem((problem) =>
    problem.g ? [throughLayer(problem, cotangent(problem, 'g', problem.g), inputRounding(problem)?.g)] : [],
  ),
};

/** The formula of the gradient of a cross-entropy, with its options. */
function lossFormula(problem: Problem): string {
  if (problem.layer === 'sigmoid') return 'σ − y';
  const { labelSmoothing, weight, counted } = problem.target ?? {};
  const options = [
    ...(labelSmoothing ? [`y smoothed with ε = ${labelSmoothing}`] : []),
    ...(weight ? ['y times the class weights'] : []),
    ...(counted ? ['0 in ignored rows'] : []),
  ];
  return [addsUp(problem.whole ?? problem) ? 's − y' : 's Σy − y', ...options].join(', ');
}

/** True if the target adds up to 1 in every row that is not ignored. */
export function addsUp({ y, target, n, f }: Problem): boolean {
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
    const terms = each(problem, (k, row) => (at(s, k) * at(sums, row) + at(y, k)) / problem.temperature);
    const formula = lossFormula(problem);
    return rightFactors(problem).map(({ factor, over, reduction, unusual }) => {
      const divided = over + overTemperature(problem);
      return {
        formula: divided ? `(${formula})${divided}` : formula,
        values: scaled(unscaled, factor),
        terms: scaled(terms, factor),
        open: openLoss(problem, y, factor),
        unusual,
        ...(sumIsMean(problem) ? {} : { reduction }),
      };
    });
  }),
};

/** The possible means of a loss of the probabilities: none, over rows, over classes, or over all entries. */
function averages(problem: Problem): readonly (readonly [divisor: number, over: string])[] {
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
    if (!y || (g && !fused) || layer === 'cross-entropy' || layer === 'log-softmax') return [];
    return probabilityLosses.flatMap(({ upstream, losses }) => {
      const values = s.map((value, k) =>
        upstreamOfRows && target
          ? upstream(value, at(target.y, k)) * at(upstreamOfRows, Math.floor(k / f))
          : upstream(value, at(y, k)),
      );
      const through = throughLayer(problem, cotangent(problem, 'g', values), openUpstream(problem));
      const all = losses.flatMap(([factor, loss]) =>
        averages(problem).map(([divisor, over]) => ({ scale: factor / divisor, loss: dividedBy(loss, over) })),
      );
      return all
        .filter(({ scale }, k) => all.findIndex((other) => other.scale === scale) === k)
        .map(({ scale, loss }) => multiple(through, scale, `${through.formula} with g of the loss ${loss}`));
    });
  },
};

/** The gradient of the probability of the last class, if the loss is unknown. It equals the last column of the Jacobian, the mistake 'one-column'. */
const rightLastProbability: Form = {
  kind: 'gradient',
  expressions: [],
  gives: (problem) => {
    const { g, f, layer } = problem;
    if (g || f < 2 || (layer !== null && layer !== 'softmax')) return [];
    const last = each(problem, (_k, _row, i) => (i === f - 1 ? 1 : 0));
    const through = throughLayer(problem, cotangent(problem, 'g', last));
    return [{ ...through, formula: `${through.formula} with g of the loss s_f−1` }];
  },
};

/** The numbers times a factor. */
export function times(values: Numbers, factor: number): Numbers {
  return typeof values === 'function' ? (k) => values(k) * factor : scaled(values, factor);
}

/** Soft targets at a temperature: distillation multiplies the loss by T², so that its gradient does not shrink like 1/T². */
const rightDistilled: Form = {
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

/** The Jacobian of the layer. */
export const rightJacobian: Form = {
  kind: 'jacobian',
  expressions: [
    'np.diag(s) - np.outer(s, s)',
    'np.diagflat(s) - np.dot(s, s.T)',
    'torch.diag_embed(s) - s.unsqueeze(-1) * s.unsqueeze(-2)',
  ],
  gives: (problem) => [layerJacobian(problem)],
  caveats: {
    'np.diag(s) - np.outer(s, s)': 'One row only, s of shape (f,): of a batch, np.diag(s) takes a diagonal.',
    'np.diagflat(s) - np.dot(s, s.T)':
      'Only where s is one row as a column, of shape (f, 1): of shape (f,), s.T is s and np.dot(s, s.T) a single number.',
  },
};

/** The Jacobian as a correct result: only if there is no upstream gradient or target to multiply it by. */
const wantedJacobian: Form = {
  ...rightJacobian,
  gives: (problem) => (problem.g || problem.y ? [] : rightJacobian.gives(problem)),
};

/** The first class and the last one, of several. */
export function endClasses({ f }: Problem): readonly (readonly [skipped: number, words: string])[] {
  if (f < 2) return [];
  return [
    [0, 'class 0'],
    [f - 1, 'the last class'],
  ];
}

/** The right derivative with 0 for one class. */
export function withClassZeroed(problem: Problem, skipped: number, words: string): readonly Candidate[] {
  const { f } = problem;
  return [...rightProduct.gives(problem), ...rightLoss.gives(problem)].map((found) => {
    const [valueAt, termAt] = [byIndex(found.values), byIndex(found.terms)];
    return {
      ...found,
      formula: `${found.formula}${words}`,
      values: (k) => (k % f === skipped ? 0 : valueAt(k)),
      terms: (k) => (k % f === skipped ? 0 : termAt(k)),
      open: undefined,
    };
  });
}

/** If the logits of a class are 0 in every row, it may be the reference class, whose logit is a constant without a gradient. */
const rightOfReferenceClass: Form = {
  kind: 'gradient',
  expressions: [],
  ofBatch: true,
  gives: (problem) => {
    const { x } = problem;
    if (!x) return [];
    return endClasses(problem)
      .filter(([skipped]) => x.every((value, k) => k % problem.f !== skipped || value === 0))
      .flatMap(([skipped, words]) =>
        withClassZeroed(problem, skipped, `, 0 for ${words}, whose logits are the constant 0`),
      );
  },
};

/** The elementwise derivative of a sigmoid. */
const slope: Form = {
  kind: 'gradient',
  expressions: [],
  gives: (problem) => {
    const { s, g, y, layer, temperature } = problem;
    if (layer !== 'sigmoid' || g || y) return [];
    const values = s.map((value) => (value * (1 - value)) / temperature);
    const open = inputRounding(problem)?.s.map((value) => value / temperature);
    return [{ ...candidate(`σ ⊙ (1 − σ)${overTemperature(problem)}`, values), open }];
  },
};

/** True where the lines that are advised compute what the form gives, whatever the loss is. */
export function isAdvised({
  form,
  unusual,
}: {
  readonly form: Form | null;
  readonly unusual?: Unusual | undefined;
}): boolean {
  return form !== null && advised.includes(form) && !unusual;
}

/** What a right derivative is the derivative of, in words. */
export function whatRight(
  {
    form,
    kind,
    formula,
    reduction,
    unusual,
  }: Pick<Candidate, 'formula' | 'reduction' | 'unusual'> & {
    readonly form: Form | null;
    readonly kind: Form['kind'];
  },
  { layer, upstreamOfRows }: Problem,
): string {
  if (form === null) return 'the gradient in the logits, with options that were not given but fit the numbers';
  if (kind === 'jacobian')
    return `the Jacobian of the ${layer === null || layer === 'cross-entropy' ? 'softmax' : layer}`;
  if (form === rightProduct) return 'the gradient in the logits for the upstream gradient that was given';
  if (form === rightDistilled) return 'the gradient of the cross-entropy in the logits, times the T² of distillation';
  if (form === rightProbabilityLoss)
    return `the gradient in the logits of the loss ${formula.split('the loss ').at(-1)}`;
  if (form === slope) return 'the derivative of the sigmoid';
  if (form !== rightLoss) return right.what;
  const loss = `the gradient of the ${layer === 'sigmoid' ? 'binary ' : ''}cross-entropy in the logits`;
  if (upstreamOfRows) return `${loss}, each row times its upstream gradient`;
  if (reduction === undefined || unusual) return loss;
  return `${loss}, ${reduction === 'sum' ? 'summed' : 'averaged'} over the ${layer === 'sigmoid' ? 'entries' : 'rows'}`;
}

const advised: readonly Form[] = [rightProduct, rightLoss, rightJacobian, wantedJacobian, slope];

/** All layers, for explanations that do not depend on the function of the layer. */
export const everyLayer: readonly (Layer | null)[] = [null, 'softmax', 'log-softmax', 'sigmoid', 'cross-entropy'];

/** Of softmax, and of a cross-entropy of logits. */
const whyOfSoftmax =
  'J = diag(s) − s sᵀ, and the gradient is the product Jᵀ g = s ⊙ (g − ⟨s, g⟩), which for the cross-entropy is s − y.';

/** Why the right derivative of a layer is what it is. */
export function whyRight(layer: Layer | null): string {
  if (layer === 'sigmoid') {
    return 'J is diagonal, σ ⊙ (1 − σ), and the gradient is g ⊙ σ ⊙ (1 − σ), which for the binary cross-entropy is σ − y.';
  }
  if (layer === 'log-softmax') {
    return 'J_ij = δ_ij − s_j, and the gradient is the product Jᵀ g = g − s Σ g, which for the negative log-likelihood is s − y.';
  }
  return whyOfSoftmax;
}

export const right: Mistake = {
  id: 'right',
  name: 'right',
  what: 'the right derivative',
  why: whyOfSoftmax,
  layers: everyLayer,
  forms: [
    rightProduct,
    rightLoss,
    rightProbabilityLoss,
    rightLastProbability,
    rightDistilled,
    rightOfReferenceClass,
    wantedJacobian,
    slope,
  ],
};
