import type { Rows } from '@softgrad/core';
import type { Elementwise, Reduction } from '../kernel-places.js';
import type { Launch } from '../launch.js';
import type { GpujsBuffer } from '../storage.js';
import { atPivot, largestClasses, pivotValues } from './logits.js';
import { bySum } from './reduce.js';

const innerProduct: Reduction = {
  name: 'vjp/product',
  arrays: ['s', 'g', 'pivot'],
  start: (place) => `${atPivot('base', 'g', place)} let result = 0;`,
  step: (j) => `part += s[${j}] * (g[${j}] - base);`,
  inParts: true,
};

const vjp: Elementwise = {
  name: 'vjp',
  arrays: ['s', 'g', 'pivot', 'product'],
  numbers: ['temperature'],
  body: (place) => `
    ${atPivot('base', 'g', place)}
    return s[this.thread.x] * (g[this.thread.x] - base - product[${place.row}]) / temperature;`,
};

/** The same, given g at each row's pivot. */
const vjpOfBases: Elementwise = {
  name: 'vjp/of-bases',
  arrays: ['s', 'g', 'base', 'product'],
  numbers: ['temperature'],
  body: ({ row }) => `return s[this.thread.x] * (g[this.thread.x] - base[${row}] - product[${row}]) / temperature;`,
};

/**
 * `s ⊙ (g − ⟨s, g⟩) / T`. First g_k is subtracted from g, where k is the most probable class: this does not change the result, because Σ s = 1,
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
    const bases = pivotValues(launch, scratch, cotangent, pivot, rows);
    launch.elementwise(vjpOfBases, out, [...inputs, bases, products], rows, { numbers });
  });
}
