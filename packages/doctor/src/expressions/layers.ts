import type { Form, Goal } from '../form.js';
import type { Layer } from '../input.js';
import { predictedClass } from '../mistakes/loss.js';
import { errorThroughSoftmax } from '../mistakes/product.js';
import { right, rightProduct, slope } from '../mistakes/right.js';
import { normalised } from '../spelling.js';
import { as, type Found } from './found.js';

/** What a known expression is for another layer than a softmax: what it computes if that is right, or the id of a mistake. */
type OfLayer = Goal | { readonly id: string; readonly form?: number };

function table(
  entries: readonly (readonly [expressions: readonly string[], is: OfLayer])[],
): ReadonlyMap<string, OfLayer> {
  return new Map(entries.flatMap(([expressions, is]) => expressions.map((one) => [normalised(one), is] as const)));
}

/** Mistakes of every layer that have softmax's formula in them. */
const ofSoftmaxAlone = [
  's * s * (g - (s * g).sum(axis=1, keepdims=True))',
  '-s * (g - (s * g).sum(axis=1, keepdims=True))',
  's * (g - (s * g).sum(axis=1, keepdims=True)) * (x > 0)',
];

const ofSigmoid = table([
  [['s * (1 - s)', 's - s**2', 's - s * s', 'np.diag(s * (1 - s))', 'sigmoid(x) * (1 - sigmoid(x))'], 'jacobian'],
  // Its Jacobian is diagonal.
  [['np.diagonal(J, axis1=1, axis2=2)', 'np.diagonal(J)', 'J.sum(axis=1)', 'J.sum(axis=2)'], 'jacobian'],
  [['J.sum(axis=1) * g', "np.einsum('nij,ni->ni', J, g)", "np.einsum('nii,ni->ni', J, g)"], 'product'],
  [
    [
      's * (g - s * g)',
      's * g - s * s * g',
      'g * s * (1 - s)',
      'np.diag(s * (1 - s)) @ g',
      'g * sigmoid(x) * (1 - sigmoid(x))',
    ],
    'product',
  ],
  [['sigmoid(x) - y', 's - y', '(s - y) / n'], 'loss'],
  [['-y * s * (1 - s)', 'J[np.arange(n), target]'], 'product'],
  [['s * (s - 1)', 's**2 - s', 's * s - s', '(y - s) * s * (1 - s)'], { id: 'sign-flipped' }],
  [['J.mean(axis=1)', 'J.mean(axis=2)'], { id: 'batch-size' }],
  [['J @ J @ g'], { id: 'slope-twice', form: 0 }],
  [['x * (1 - x)', 'g * x * (1 - x)', 'x - y', '(x - y) / n'], { id: 'logits-for-sigmoid' }],
  [
    ['sigmoid(s) * (1 - sigmoid(s))', 'g * sigmoid(s) * (1 - sigmoid(s))', '(s - y) * sigmoid(s) * (1 - sigmoid(s))'],
    { id: 'sigmoid-twice' },
  ],
  [['-y / s + (1 - y) / (1 - s)', '-(y / s - (1 - y) / (1 - s))'], { id: 'jacobian-skipped' }],
  [ofSoftmaxAlone, { id: 'softmax-derivative' }],
]);

const ofLogSoftmax = table([
  // The product with the transposed Jacobian is s − y − s Σ (s − y), and the sum is 0.
  [['J.T @ (s - y)', '(s - y) @ J', "np.einsum('nij,ni->nj', J, s - y)"], 'loss'],
  [['J.sum(axis=1)'], { id: 'column-sum', form: 0 }],
  [['J.mean(axis=1)'], { id: 'column-sum', form: 1 }],
  [['J.sum(axis=1) * g'], { id: 'column-sum', form: 2 }],
  [['J[np.arange(n), target]'], { id: 'sign-flipped' }],
  [['-y'], { id: 'jacobian-skipped' }],
  [ofSoftmaxAlone, { id: 'softmax-derivative' }],
  // Its Jacobian times itself is the same again.
  [['J @ J @ g', 'g - (s * g).sum(axis=1, keepdims=True)'], { id: 'jacobian-transposed', form: 0 }],
]);

/** What gives the target, for an expression that is right for one loss alone. */
const lossesOfSigmoid = new Map([
  [normalised('-y * s * (1 - s)'), 'That is the gradient of the loss 1 − Σ y σ.'],
  [normalised('J[np.arange(n), target]'), 'That is the gradient of the loss Σ y σ.'],
]);

/** Losses of the probabilities, of which a softmax's derivative is right after another layer too. */
const rowOfTarget = normalised('s[t] * (y - s)');
const lossesOfProbabilities = new Map([
  [rowOfTarget, 'It is right of a loss whose rows have the weights −s_t.'],
  [normalised(errorThroughSoftmax), 'After a log-softmax it is right of the loss ½‖s − y‖².'],
]);

/** The products with the transposed Jacobian: of softmax they are all the same, because its Jacobian is symmetric. */
const transposedProducts = ['J.T @ g', 'g @ J', "np.einsum('nij,ni->nj', J, g)", "np.einsum('ij,i->j', J, g)"].map(
  (one) => normalised(one),
);

function withForm(found: Found, id: string, form: number | undefined): Found {
  const { mistake, ...others } = as(id, found);
  const own = form === undefined ? undefined : mistake.forms[form];
  return { ...others, mistake, form: own ?? (found.form.noise ? withoutNumbers(found.form) : found.form) };
}

/** A form of which is known only what kind its result is. */
function withoutNumbers({ kind, expressions }: Form): Form {
  return { kind, expressions, gives: () => [] };
}

const rightForms: Partial<Record<Goal, Form>> = { product: rightProduct, jacobian: slope };

/**
 * The diagnosis, for another layer, of an expression that was found for softmax.
 *
 * @param explicit true if the expression has softmax's Jacobian written out, in place of a J that is the layer's own
 */
export function forLayer(found: Found, layer: Layer | null, wanted: string, explicit: boolean): Found {
  if (layer !== 'log-softmax' && layer !== 'sigmoid') return found;
  const { mistake, form, goal } = found;
  // A form with noise is exactly 0 of a softmax only.
  const asRight = (of: Goal): Found => ({
    ...found,
    mistake: right,
    goal: of,
    form: (form.noise && rightForms[of]) ?? form,
    caveat: lossesOfSigmoid.get(wanted) ?? found.caveat,
  });
  const ofSoftmax = goal === 'product' || goal === 'jacobian';
  if (explicit) return ofSoftmax ? as('softmax-derivative', found) : found;
  const loss = lossesOfProbabilities.get(wanted);
  if (loss && (layer === 'log-softmax' || wanted === rowOfTarget))
    return { ...as('softmax-derivative', found), also: right, caveat: loss };
  if (loss) return as('softmax-derivative', found);
  const own = (layer === 'sigmoid' ? ofSigmoid : ofLogSoftmax).get(wanted);
  if (own !== undefined) return typeof own === 'string' ? asRight(own) : withForm(found, own.id, own.form);
  if (goal === 'product' && /\bJ\b/.test(wanted)) {
    if (layer === 'sigmoid') return asRight('product');
    return transposedProducts.includes(wanted) ? asRight('product') : withForm(found, 'jacobian-transposed', 0);
  }
  if (layer === 'log-softmax' && mistake.id === 'log-softmax')
    return asRight(form.kind === 'jacobian' ? 'jacobian' : 'product');
  if (ofSoftmax) return as('softmax-derivative', found);
  // The conditions of mistakes are about softmax's Jacobian, except those of the prediction as target and of sums over np.roll.
  const ofAnyLayer = mistake.id === predictedClass.id || (layer === 'log-softmax' && mistake.id === 'row-sum');
  return goal === null && !ofAnyLayer ? { ...found, caveat: null } : found;
}
