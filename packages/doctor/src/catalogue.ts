import type { Mistake } from './form.js';
import { batches } from './mistakes/batch.js';
import { inputs } from './mistakes/inputs.js';
import { layouts } from './mistakes/layout.js';
import { losses } from './mistakes/loss.js';
import { missingMaxShift, underflow } from './mistakes/overflow.js';
import { products } from './mistakes/product.js';
import { right } from './mistakes/right.js';
import { scales } from './mistakes/scale.js';
import { summed } from './mistakes/summed.js';

/** Every explanation there is for somebody's numbers, the right one first. */
export const explanations: readonly Mistake[] = [
  right,
  ...summed,
  ...products,
  ...scales,
  ...layouts,
  ...batches,
  ...inputs,
  ...losses,
  missingMaxShift,
  underflow,
];
