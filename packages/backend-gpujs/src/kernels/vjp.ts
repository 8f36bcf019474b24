import type { Rows } from '@softgrad/core';
import type { Elementwise, Place, Reduction, Rowwise } from '../kernel-places.js';
import type { Launch } from '../launch.js';
import type { GpujsBuffer } from '../storage.js';
import { atPivot, largestClasses } from './logits.js';
import { bySum } from './reduce.js';

/**
 * Declares `base`, which is subtracted from g: its element at the largest probability if that is above ½, otherwise 0. In other rows it would take
 * the digits of entries that are small beside it.
 */
const base = (place: Place) =>
  `${atPivot('share', 's', place)} ${atPivot('base', 'g', place)} if (share <= 0.5) { base = 0; }`;

const innerProduct: Reduction = {
  name: 'vjp/product',
  arrays: ['s', 'g', 'pivot'],
  start: (place) => `${base(place)} let result = 0;`,
  step: (j) => `part += s[${j}] * (g[${j}] - base);`,
  inParts: true,
};

const vjp: Elementwise = {
  name: 'vjp',
  arrays: ['s', 'g', 'pivot', 'product'],
  numbers: ['temperature'],
  body: (place) => `
    ${base(place)}
    return s[this.thread.x] * (g[this.thread.x] - base - product[${place.row}]) / temperature;`,
};

const bases: Rowwise = {
  name: 'vjp/bases',
  arrays: ['s', 'g', 'pivot'],
  body: (place) => `${base(place)} return base;`,
};

/** The same, given the bases. */
const vjpOfBases: Elementwise = {
  name: 'vjp/of-bases',
  arrays: ['s', 'g', 'base', 'product'],
  numbers: ['temperature'],
  body: ({ row }) => `return s[this.thread.x] * (g[this.thread.x] - base[${row}] - product[${row}]) / temperature;`,
};

/**
 * `s ⊙ (g − ⟨s, g⟩) / T`. If a probability s_k is above ½, g_k is subtracted from g first: this does not change the result, because Σ s = 1,
 * and avoids cancellation if s_k is nearly 1.
 */
export function softmaxVjpInto(
  launch: Launch,
  out: GpujsBuffer,
  probabilities: GpujsBuffer,
  cotangent: GpujsBuffer,
  rows: Rows,
  temperature: number,
): void {
  launch.within((scratch) => {
    const pivot = largestClasses(launch, scratch, probabilities, rows);
    const products = scratch(rows.outer * rows.inner);
    launch.reduce(innerProduct, products, [probabilities, cotangent, pivot], rows, {}, bySum);
    const inputs = [probabilities, cotangent];
    const numbers = [temperature];
    if (launch.softmaxPlan === 'fewest') {
      launch.elementwise(vjp, out, [...inputs, pivot, products], rows, { numbers });
      return;
    }
    const subtracted = scratch(pivot.length);
    launch.rowwise(bases, subtracted, [...inputs, pivot], rows);
    launch.elementwise(vjpOfBases, out, [...inputs, subtracted, products], rows, { numbers });
  });
}
