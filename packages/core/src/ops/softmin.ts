import { define } from './define.js';
import { type Softmax, softmaxDefinition } from './softmax.js';

/**
 * Softmin along an axis, `s_i = exp(−x_i / T) / Σ_k exp(−x_k / T)`: softmax of the negated logits, shifted by the row's minimum.
 *
 * Shapes, options and non-finite values are handled as in `softmax`, with the sign of the logits reversed; its Jacobian
 * is `−(diag(s) − s sᵀ) / T`.
 *
 * @throws as `softmax`
 * @example
 * await softmin(tensor([[1, 2, 3]])).array(); // [[0.6652, 0.2447, 0.0900]]
 */
export const softmin: Softmax = /* @__PURE__ */ define<Softmax>(/* @__PURE__ */ softmaxDefinition('softmin', -1));
