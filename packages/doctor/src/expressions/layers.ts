import type { Goal } from '../form.js';
import type { Layer } from '../input.js';
import { right } from '../mistakes/right.js';
import { normalised } from '../spelling.js';
import { as, type Found } from './found.js';

/** Known expressions that are correct for a sigmoid, normalised, and what they compute. */
const ofSigmoid = new Map<string, Goal>(
  (
    [
      ['s * (1 - s)', 'jacobian'],
      ['s - s**2', 'jacobian'],
      ['np.diag(s * (1 - s))', 'jacobian'],
      ['np.diag(s * (1 - s)) @ g', 'product'],
      ['sigmoid(x) * (1 - sigmoid(x))', 'jacobian'],
      ['g * s * (1 - s)', 'product'],
      ['g * sigmoid(x) * (1 - sigmoid(x))', 'product'],
      ['sigmoid(x) - y', 'loss'],
      ['s - y', 'loss'],
      ['(s - y) / n', 'loss'],
    ] as const
  ).map(([expression, goal]) => [normalised(expression), goal]),
);

const differenceOfInner = normalised('g - (s * g).sum(axis=1, keepdims=True)');

/** The products with the transposed Jacobian: of softmax they are all the same, because its Jacobian is symmetric. */
const transposedProducts = ['J.T @ g', 'g @ J', "np.einsum('nij,ni->nj', J, g)", "np.einsum('ij,i->j', J, g)"].map(
  (one) => normalised(one),
);

/** The caveats of the catalogue name the product with J itself. */
function ofTransposed(found: Found): Found {
  return { ...found, caveat: found.caveat?.replace("'nij,nj->ni'", "'nij,ni->nj'") ?? null };
}

function untransposed(found: Found): Found {
  const { mistake, ...others } = as('jacobian-transposed', found);
  return { ...others, mistake, form: mistake.forms[0] ?? found.form };
}

/** The diagnosis, for another layer, of an expression that was found for softmax. */
export function forLayer(found: Found, layer: Layer | null, wanted: string): Found {
  const { mistake, form, goal } = found;
  const asRight = (of: Goal): Found => ({ ...found, mistake: right, goal: of });
  const isProductOfJ = goal === 'product' && /\bJ\b/.test(wanted);
  if (layer === 'log-softmax') {
    if (wanted === differenceOfInner) return untransposed(found);
    if (isProductOfJ)
      return transposedProducts.includes(wanted) ? ofTransposed(asRight('product')) : untransposed(found);
    if (mistake.id === 'log-softmax') return asRight(form.kind === 'jacobian' ? 'jacobian' : 'product');
    return goal === 'product' || goal === 'jacobian' ? as('softmax-derivative', found) : found;
  }
  if (layer !== 'sigmoid') return found;
  // Its Jacobian is symmetric, too.
  if (isProductOfJ) return asRight('product');
  const own = ofSigmoid.get(wanted);
  if (own) return asRight(own);
  return goal === 'product' || goal === 'jacobian' ? as('softmax-derivative', found) : found;
}
