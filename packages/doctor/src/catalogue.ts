import type { Mistake } from './form.js';
import type { Layer } from './input.js';
import { appliesTo } from './layer-words.js';
import { batches } from './mistakes/batch.js';
import { clippedGradient, clippedProbabilities } from './mistakes/clipped.js';
import { inputs } from './mistakes/inputs.js';
import { layouts } from './mistakes/layout.js';
import { loops } from './mistakes/loops.js';
import { losses } from './mistakes/loss.js';
import { masks } from './mistakes/mask.js';
import { oneRowOfJacobian } from './mistakes/one-row.js';
import { overflows } from './mistakes/overflow.js';
import { products } from './mistakes/product.js';
import { right } from './mistakes/right.js';
import { scales } from './mistakes/scale.js';
import { sigmoids } from './mistakes/sigmoid.js';
import { slips } from './mistakes/slips.js';
import { summed } from './mistakes/summed.js';
import { targets } from './mistakes/target.js';

/** All explanations of a gradient; the correct derivative comes first. */
export const explanations: readonly Mistake[] = [
  right,
  ...summed,
  ...products,
  ...scales,
  ...layouts,
  ...batches,
  ...loops,
  ...inputs,
  ...losses,
  ...targets,
  ...slips,
  ...masks,
  ...sigmoids,
  ...overflows,
  clippedProbabilities,
];

/** What an expression can be: the explanations, and the mistakes of which something is taken from the numbers. */
export const explanationsOfExpressions: readonly Mistake[] = [...explanations, oneRowOfJacobian, clippedGradient];

/** The explanations that apply to a layer. */
export function explanationsOf(layer: Layer | null): readonly Mistake[] {
  return explanations.filter((mistake) => appliesTo(mistake, layer));
}
