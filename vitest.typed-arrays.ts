import { expect } from 'vitest';

/** Kept for the files of a process: a tester is added once. */
const added = Symbol.for('softgrad.typed-arrays');

if (!(added in globalThis)) {
  Object.assign(globalThis, { [added]: true });
  // Vitest compares typed arrays as objects with a property for each element, which takes seconds for a million of them.
  expect.addEqualityTesters([(a, b) => (isSame(a, b) ? true : undefined)]);
}

/** Whether both are typed arrays of one type with the same numbers. −0 is not 0, and NaN is NaN, as for `toEqual`. */
function isSame(a: unknown, b: unknown): boolean {
  if (!isNumbers(a) || !isNumbers(b) || a.constructor !== b.constructor || a.length !== b.length) return false;
  for (let k = 0; k < a.length; k++) if (!Object.is(a[k], b[k])) return false;
  return true;
}

function isNumbers(value: unknown): value is Float64Array {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}
