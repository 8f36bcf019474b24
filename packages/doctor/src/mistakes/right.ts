import { cotangent } from '../cotangents.js';
import { candidate } from '../define-form.js';
import { layerJacobian, throughLayer } from '../derivatives.js';
import type { Candidate, Form, Mistake, Unusual } from '../form.js';
import { overTemperature } from '../formula.js';
import { everyLayer } from '../input.js';
import { inputRounding } from '../input-rounding.js';
import { byIndex, each } from '../numbers.js';
import { oncePerProblem } from '../once-per-problem.js';
import type { Problem } from '../problem.js';
import { rightDistilled, rightLoss, rightProbabilityLoss } from './right-loss.js';

/** The right derivatives, and what they are in words. */

const ofBatch = 'One row only, J (f, f) and g (f,): of a batch, J (n, f, f) and g (n, f),';
const theProduct = "write np.einsum('nij,nj->ni', J, g).";
const theTransposedProduct = "write np.einsum('nij,ni->nj', J, g).";
const transposedProduct = `${ofBatch} @ multiplies other things; ${theTransposedProduct}`;

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
    'J @ g': `${ofBatch} @ multiplies other things; ${theProduct}`,
    'J.T @ g': transposedProduct,
    'g @ J': transposedProduct,
    's * (g - s @ g)': oneRow,
    's * (g - g @ s)': oneRow,
    "np.einsum('ij,j->i', J, g)": `${ofBatch} ${theProduct}`,
    "np.einsum('ij,i->j', J, g)": `${ofBatch} ${theTransposedProduct}`,
  },
  gives: oncePerProblem((problem) =>
    problem.g ? [throughLayer(problem, cotangent(problem, 'g', problem.g), inputRounding(problem)?.g)] : [],
  ),
};

/** The gradient of the probability of the last class, if the loss is unknown. It equals the last column of the Jacobian, the mistake 'one-column'. */
const rightLastProbability: Form = {
  kind: 'gradient',
  expressions: [],
  gives: (problem) => {
    const { g, f, layer } = problem;
    if (g || f < 2 || layer === 'cross-entropy' || layer === 'log-softmax') return [];
    const last = each(problem, (_k, _row, i) => (i === f - 1 ? 1 : 0));
    const through = throughLayer(problem, cotangent(problem, 'g', last));
    return [{ ...through, formula: `${through.formula} with g of the loss s_f−1` }];
  },
};

/** The gradient of the sum, or the mean, of all outputs of a log-softmax, if the loss is unknown. They are the sums of the columns of its Jacobian. */
const rightOfSummedOutputs: Form = {
  kind: 'gradient',
  expressions: [],
  gives: (problem) => {
    const { g, f, layer, s } = problem;
    if (g || f < 2 || layer !== 'log-softmax') return [];
    return [1, f].map((divisor) => {
      const upstream = new Float64Array(s.length).fill(1 / divisor);
      const through = throughLayer(problem, cotangent(problem, 'g', upstream));
      return { ...through, formula: `${through.formula} with g of the loss Σ log s${divisor === 1 ? '' : ' / f'}` };
    });
  },
};

/** The Jacobian of the layer. */
export const rightJacobian: Form = {
  kind: 'jacobian',
  expressions: [
    'np.diag(s) - np.outer(s, s)',
    'np.diagflat(s) - np.dot(s, s.T)',
    's * (np.eye(f) - s.T)',
    'torch.diag_embed(s) - s.unsqueeze(-1) * s.unsqueeze(-2)',
  ],
  gives: (problem) => [layerJacobian(problem)],
  caveats: {
    'np.diag(s) - np.outer(s, s)': 'One row only, s of shape (f,): of a batch, np.diag(s) takes a diagonal.',
    'np.diagflat(s) - np.dot(s, s.T)':
      'Only where s is one row as a column, of shape (f, 1): of shape (f,), s.T is s and np.dot(s, s.T) a single number.',
    's * (np.eye(f) - s.T)':
      'Only where s is one row as a column, of shape (f, 1): of shape (f,), s.T is s, and the entries off the diagonal are -s_j**2.',
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
export const slope: Form = {
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
  if (form !== rightLoss) return theRight;
  const loss = `the gradient of the ${layer === 'sigmoid' ? 'binary ' : ''}cross-entropy in the logits`;
  if (upstreamOfRows) return `${loss}, each row times its upstream gradient`;
  if (reduction === undefined || unusual) return loss;
  return `${loss}, ${reduction === 'sum' ? 'summed' : 'averaged'} over the ${layer === 'sigmoid' ? 'entries' : 'rows'}`;
}

const advised: readonly Form[] = [rightProduct, rightLoss, rightJacobian, wantedJacobian, slope];

/** Where nothing more is known of it. */
const theRight = 'the right derivative';

export const right: Mistake = {
  id: 'right',
  name: 'right',
  layers: everyLayer,
  what: theRight,
  why: {
    softmax:
      'J = diag(s) − s sᵀ, and the gradient is the product Jᵀ g = s ⊙ (g − ⟨s, g⟩), which for the cross-entropy is s − y.',
    'log-softmax':
      'J_ij = δ_ij − s_j, and the gradient is the product Jᵀ g = g − s Σ g, which for the negative log-likelihood is s − y.',
    sigmoid:
      'J is diagonal, σ ⊙ (1 − σ), and the gradient is g ⊙ σ ⊙ (1 − σ), which for the binary cross-entropy is σ − y.',
  },
  forms: [
    rightProduct,
    rightLoss,
    rightProbabilityLoss,
    rightLastProbability,
    rightOfSummedOutputs,
    rightDistilled,
    rightOfReferenceClass,
    wantedJacobian,
    slope,
  ],
};
