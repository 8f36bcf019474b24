import type { Extent, HostArray, Operand } from '@softgrad/core';
import { elementsOf, type Intermediate } from './intermediate.js';

/** An operand of a basis operation with the steps in its buffer that one step in each dimension of the result makes: 0 where it is broadcast. */
export interface View {
  readonly high: ArrayLike<number>;
  readonly low: ArrayLike<number> | null;
  readonly outer: number;
  readonly classes: number;
  readonly inner: number;
}

export function viewOf(operand: Operand<HostArray | Intermediate>): View {
  if (typeof operand === 'number') {
    // An array of the kind that loops see anyway.
    return { high: Float64Array.of(operand), low: null, outer: 0, classes: 0, inner: 0 };
  }
  const { high, low } = elementsOf(operand.buffer);
  const [outer, classes, inner] = operand.extent;
  return {
    high,
    low,
    outer: outer === 1 ? 0 : classes * inner,
    classes: classes === 1 ? 0 : inner,
    inner: inner === 1 ? 0 : 1,
  };
}

/** The same view of what the elements are rounded by. */
export function lowsOf(view: View): View {
  return view.low === null ? viewOf(0) : { ...view, high: view.low };
}

/** Visits the results from k to `end` of each loop along the last dimension that is not 1. */
export function forEachRun(
  [outer, classes, inner]: Extent,
  visit: (k: number, end: number, along: 'classes' | 'inner', o: number, c: number) => void,
): void {
  const [count, length, along] = inner > 1 ? ([classes, inner, 'inner'] as const) : ([1, classes, 'classes'] as const);
  for (let o = 0, k = 0; o < outer; o++) {
    for (let c = 0; c < count; c++, k += length) visit(k, k + length, along, o, c);
  }
}

/** The index of the first element of a run. */
export function startOf(view: View, o: number, c: number): number {
  return o * view.outer + c * view.classes;
}
