import type { Rows } from '@softgrad/core';
import type { Elementwise, Place, Reduction, Rowwise } from '../kernel-places.js';
import type { Launch } from '../launch.js';
import type { GpujsBuffer } from '../storage.js';
import { atPivot, largestClasses } from './logits.js';
import { bySum } from './reduce.js';

const firstMean: Reduction = {
  name: 'vjp/first-mean',
  arrays: ['s', 'g'],
  start: () => 'let result = 0;',
  step: (j) => `part += s[${j}] * g[${j}];`,
  inParts: true,
};

/**
 * Declares `base`, which is subtracted from g: its element at the largest probability if that is above ½, otherwise ⟨s, g⟩. In other rows the element would
 * take the digits of entries that are small beside it. ⟨s, g⟩ has the rounding error of a large constant that all entries have in common, but the mean of
 * the differences from it does not.
 */
const base = (place: Place) =>
  `${atPivot('share', 's', place)} ${atPivot('base', 'g', place)} if (share <= 0.5) { base = first[${place.row}]; }`;

const innerProduct: Reduction = {
  name: 'vjp/product',
  arrays: ['s', 'g', 'pivot', 'first'],
  start: (place) => `${base(place)} let result = 0;`,
  step: (j) => `part += s[${j}] * (g[${j}] - base);`,
  inParts: true,
};

const vjp: Elementwise = {
  name: 'vjp',
  arrays: ['s', 'g', 'pivot', 'first', 'product'],
  numbers: ['temperature'],
  body: (place) => `
    ${base(place)}
    return s[this.thread.x] * (g[this.thread.x] - base - product[${place.row}]) / temperature;`,
};

const bases: Rowwise = {
  name: 'vjp/bases',
  arrays: ['s', 'g', 'pivot', 'first'],
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
 * `s ⊙ (g − ⟨s, g⟩) / T`. If a probability s_k is above ½, g_k is subtracted from g first, otherwise the mean as rounded: this does not change the result,
 * because Σ s = 1, and avoids cancellation if s_k is nearly 1 or if cotangents have a large constant in common.
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
    const [first, products] = [scratch(pivot.length), scratch(pivot.length)];
    const inputs = [probabilities, cotangent];
    launch.reduce(firstMean, first, inputs, rows, {}, bySum);
    launch.reduce(innerProduct, products, [...inputs, pivot, first], rows, {}, bySum);
    const numbers = [temperature];
    if (launch.softmaxPlan === 'fewest') {
      launch.elementwise(vjp, out, [...inputs, pivot, first, products], rows, { numbers });
      return;
    }
    const subtracted = scratch(pivot.length);
    launch.rowwise(bases, subtracted, [...inputs, pivot, first], rows);
    launch.elementwise(vjpOfBases, out, [...inputs, subtracted, products], rows, { numbers });
  });
}
