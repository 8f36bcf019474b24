import type { Mistake } from '../form.js';
import { ofCrossEntropy } from '../input.js';

const sumOfRows = 'dx_j = Σ_i J_ij g_i adds up all rows of J, each times its own g_i: np.einsum("nij,ni->nj", J, g).';

/** Its classes are taken from the numbers, so its form is for expressions only; see jacobian-rows.ts. */
export const oneRowOfJacobian: Mistake = {
  id: 'one-row',
  layers: ofCrossEntropy,
  name: 'one row of the Jacobian',
  what: 'for each sample one row of its Jacobian, picked by a class (the label, the predicted class, the first), in place of the sum over all of them',
  why: {
    softmax: `${sumOfRows} Row c alone, s_c (δ_cj − s_j), is the gradient of one probability, ∂s_c/∂x, and right only of the loss s_c; of the cross-entropy, −y / s times that row is s − y.`,
    'log-softmax': `${sumOfRows} Row c alone, δ_cj − s_j, is the gradient of one log-probability, and right only of the loss log s_c; of the cross-entropy, −1 times the row of the target is s − y.`,
  },
  forms: [
    {
      kind: 'gradient',
      expressions: ['J[:, 0]', 'J[np.arange(n), s.argmax(axis=1)]'],
      caveats: {
        'J[:, 0]':
          'Of the Jacobian of one row alone, (f, f), it is a column: the same numbers, because J is symmetric.',
      },
      gives: () => [],
    },
  ],
};
