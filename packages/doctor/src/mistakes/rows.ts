import type { Mistake } from '../form.js';
import { ofCrossEntropy } from '../input.js';

/**
 * The gradient of the loss with rows that are 0 or have factors of their own: correct for a loss that leaves out or weights these rows, and
 * otherwise a mistake. The factors are fitted to the numbers, so neither has forms.
 */

export const rowsSkipped: Mistake = {
  id: 'rows-skipped',
  layers: ofCrossEntropy,
  name: 'rows skipped',
  what: 'the right derivative in some rows, and zeros in the others',
  why: 'Every row that the loss has contributes its s − y. Zeros are right only in rows that the loss leaves out (padding, an ignored class), and its mean then divides by the number of the other rows, or by the sum of their weights; a loop that ends before the last row, or writes one row only, gives zeros too.',
  goal: 'loss',
  forms: [],
};

export const rowsRescaled: Mistake = {
  id: 'rows-rescaled',
  layers: ofCrossEntropy,
  name: 'rows rescaled',
  what: 'the right derivative with each row times a factor of its own',
  why: "A row's factor is the weight of its loss. It is right only if the loss weights the rows (sample weights, the advantages of a policy gradient); rows that are divided by their norms (or were all clipped to the same one), multiplied by their losses or indices, added up several times, or given the weight of another class than the target's are rescaled by mistake.",
  goal: 'loss',
  forms: [],
};
