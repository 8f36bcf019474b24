import type { Mistake } from './form.js';
import type { Layer } from './input.js';
import { right, whyRight } from './mistakes/right.js';

/**
 * The texts of mistakes are written for a softmax. These parts of them are others for a log-softmax and for a sigmoid; a longer part comes before
 * one that it contains.
 */
const vocabulary: readonly (readonly [ofSoftmax: string, ofLogSoftmax: string, ofSigmoid?: string])[] = [
  [' = s ⊙ (g − ⟨s, g⟩)', ' = g − s Σ g', ' = g ⊙ σ ⊙ (1 − σ)'],
  ['s ⊙ (g − ⟨s, g⟩) has its factor s already, and ', ''],
  ['neither s − y nor s ⊙ (g − ⟨s, g⟩)', 'neither s − y nor g − s Σ g'],
  ['s − y and s ⊙ (g − ⟨s, g⟩)', 's − y and g − s Σ g'],
  ["softmax's formula", 'the formula'],
  [
    'J = diag(s) − s sᵀ is written in the output of softmax: ∂s_i/∂x_j = s_i (δ_ij − s_j), with s twice and x nowhere',
    'J_ij = δ_ij − s_j and s − y are written in the probabilities, with x nowhere',
  ],
  ['(diag(s) − s sᵀ) / T', '(δ_ij − s_j) / T', 'σ ⊙ (1 − σ) / T'],
  ['s = softmax(x / T), so ∂s/∂x', 'y = log softmax(x / T), so ∂y_i/∂x_j', 's = σ = σ(x / T), so ∂σ/∂x'],
  ['Σ_j J_ij = s_i − s_i Σ_j s_j = 0', 'Σ_j J_ij = 1 − Σ_j s_j = 0'],
  [' (or columns)', ''],
  ['dx_i = Σ_j J_ij g_j: all columns, each with its own g_j', 'dx_j = Σ_i J_ij g_i: all rows, each with its own g_i'],
  ['`+=` would add up J_ij g_j', '`+=` adds up, of the rows, J_ij g_i'],
  ['dx_i = Σ_j J_ij g_j for every i', 'dx_j = Σ_i J_ij g_i for every j'],
  ['dx_i = Σ_j J_ij g_j', 'dx_j = Σ_i J_ij g_i'],
  ['J_n g_n', 'J_nᵀ g_n'],
  ["'nij,nj->ni'", "'nij,ni->nj'"],
  [
    's_c (δ_cj − s_j), is the gradient of one probability, ∂s_c/∂x, and right only of the loss s_c; of the cross-entropy, −y / s times that row is s − y',
    'δ_cj − s_j, is the gradient of one log-probability, and right only of the loss log s_c; of the cross-entropy, −1 times the row of the target is s − y',
  ],
  [', which also vanishes where s is nearly one-hot', ', which is (s − y) − ⟨s, s − y⟩'],
  [
    'softmax has s_i (δ_ij − s_j): the factor s_i is the derivative of the logarithm',
    '',
    'a sigmoid σ_i (1 − σ_i) on the diagonal and nothing beside it',
  ],
  ['−y / s', '−y', '(σ − y) / (σ ⊙ (1 − σ))'],
  ['−Σ y log s', '−Σ y log s', 'the binary cross-entropy'],
  ['log Σ exp x', 'log Σ exp x', 'log(1 + exp x)'],
  ['he cross-entropy', 'he cross-entropy', 'he binary cross-entropy'],
  ['s − y', 's − y', 'σ − y'],
  ['s alone', 's alone', 'σ alone'],
];

/** A text that is written for a softmax, with the formulas of the layer. */
export function inLayer(text: string, layer: Layer | null): string {
  if (layer !== 'log-softmax' && layer !== 'sigmoid') return text;
  return vocabulary.reduce(
    (all, [ofSoftmax, ofLogSoftmax, ofSigmoid = ofSoftmax]) =>
      all.replaceAll(ofSoftmax, layer === 'sigmoid' ? ofSigmoid : ofLogSoftmax),
    text,
  );
}

/** The vector-Jacobian product of the layer. */
export function productIn(layer: Layer | null): string {
  return inLayer(' = s ⊙ (g − ⟨s, g⟩)', layer).slice(3);
}

/** The layers with a softmax, to which mistakes apply that name none. */
const withSoftmax: readonly (Layer | null)[] = [null, 'softmax', 'cross-entropy'];

/** True if a mistake is one of the layer, so that numbers are compared with it. */
export function appliesTo({ layers = withSoftmax }: Mistake, layer: Layer | null): boolean {
  return layers.includes(layer);
}

/** What a mistake is and why, in the formulas of the layer. */
export function wordsOf(mistake: Mistake, layer: Layer | null): Pick<Mistake, 'what' | 'why'> {
  const { id, what, why, layers } = mistake;
  if (id === right.id) return { what, why: whyRight(layer) };
  // Those of other layers alone are written for them.
  if (layers && !layers.includes(null)) return { what, why };
  return { what: inLayer(what, layer), why: inLayer(why, layer) };
}

/** The same of an expression: of a mistake that is one of a softmax only, what it would be for a softmax. */
export function wordsOfExpression(mistake: Mistake, layer: Layer | null): Pick<Mistake, 'what' | 'why'> {
  if (!isOfSoftmaxOnly(mistake, layer)) return wordsOf(mistake, layer);
  return { what: `no derivative of a ${layer}; for a softmax it would be ${mistake.what}`, why: whyRight(layer) };
}

/** True if an expression is known as a mistake of a softmax, and the layer is another one. */
export function isOfSoftmaxOnly(mistake: Mistake, layer: Layer | null): boolean {
  return !mistake.neutral && !appliesTo(mistake, layer);
}
