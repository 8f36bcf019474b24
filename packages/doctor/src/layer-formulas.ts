import type { Texts } from './form.js';
import type { LayerFunction } from './input.js';

/** How formulas are written for a layer. */
interface Formulas {
  /** The vector-Jacobian product. */
  readonly product: string;
  /** The same as a matrix times a vector: after a log-softmax, whose Jacobian is not symmetric, with the transposed matrix. */
  readonly sums: string;
  readonly loss: string;
  readonly nameOfLoss: string;
  /** The gradient of the loss in the logits. */
  readonly error: string;
  /** The gradient of the loss in the output of the layer. */
  readonly upstream: string;
}

const formulas: Readonly<Record<LayerFunction, Formulas>> = {
  softmax: {
    product: 's ⊙ (g − ⟨s, g⟩)',
    sums: 'dx_i = Σ_j J_ij g_j for every i',
    loss: '−Σ y log s',
    nameOfLoss: 'cross-entropy',
    error: 's − y',
    upstream: '−y / s',
  },
  'log-softmax': {
    product: 'g − s Σ g',
    sums: 'dx_j = Σ_i J_ij g_i for every j',
    loss: '−Σ y log s',
    nameOfLoss: 'cross-entropy',
    error: 's − y',
    upstream: '−y',
  },
  sigmoid: {
    product: 'g ⊙ σ ⊙ (1 − σ)',
    sums: 'dx_i = Σ_j J_ij g_j for every i',
    loss: 'the binary cross-entropy',
    nameOfLoss: 'binary cross-entropy',
    error: 'σ − y',
    upstream: '(σ − y) / (σ ⊙ (1 − σ))',
  },
};

/** A text that differs between the layers in these formulas only. */
export function inEachLayer(write: (formulas: Formulas) => string): Texts<LayerFunction> {
  return {
    softmax: write(formulas.softmax),
    'log-softmax': write(formulas['log-softmax']),
    sigmoid: write(formulas.sigmoid),
  };
}

/** The vector-Jacobian product of each layer. */
export const productOf = /* @__PURE__ */ inEachLayer(({ product }) => product);
