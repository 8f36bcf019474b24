import type { CaseReport } from '@softgrad/core/conformance';
import { kindOf } from './conformance-cost.js';

// What the failures of a backend have in common, and which of them to look at first.

/** Sections that every other section depends on. */
const foundations: readonly string[] = ['supports', 'storage', 'basis'];

/** Cases of these sections that compute with softmax, and fail with it. */
const withSoftmax: readonly string[] = ['storage/order', 'storage/free-while-enqueued', 'storage/sync'];

/**
 * The failed case to look at first, or null if no case failed. Failures that follow from a wrong softmax are left aside. Of the others, the first in a section of
 * `foundations` counts, or the first of all; the case is the plainest of those of the same kind.
 */
export function firstToFix(failures: readonly CaseReport[]): CaseReport | null {
  const isWrongSoftmax = failures.some(({ section }) => section === 'softmax');
  const causes = failures.filter(({ id }) => !(isWrongSoftmax && withSoftmax.includes(id)));
  const fundamental = foundations.flatMap((name) => causes.filter(({ section }) => section === name));
  const [first] = [...fundamental, ...causes];
  if (first === undefined) return null;
  const alike = failures.filter((one) => kindOf(one) === kindOf(first));
  return alike.reduce((plainest, one) => (intricacy(one.id) < intricacy(plainest.id) ? one : plainest));
}

/** How many cases must fail before it is said that nothing works from the first of them on. */
const fewestAfterwards = 20;
/** How many times the failures before it those are at least. */
const timesThoseBefore = 10;

/**
 * The failed case from which on the backend does nothing, in the order in which the cases ran, as where a device was lost; null if there is none. From there on
 * every case of storage fails, which spread over the suite are a sample of it; cases that core answers alone may still pass.
 */
export function lastingFailure<C extends CaseReport>(
  ran: readonly C[],
): { readonly from: C; readonly more: number } | null {
  const lastStored = ran.findLastIndex(({ section, outcome }) => section === 'storage' && outcome === 'passed');
  const failed = (some: readonly C[]) => some.filter(({ outcome }) => outcome === 'failed');
  const before = failed(ran.slice(0, lastStored + 1)).length;
  const [from, ...after] = failed(ran.slice(lastStored + 1));
  if (from === undefined || after.length < Math.max(fewestAfterwards, timesThoseBefore * before)) return null;
  return lastStored >= 0 && after.some(({ section }) => section === 'storage') ? { from, more: after.length } : null;
}

/**
 * How much there is in a case that may have nothing to do with a failure: each parameter, rows whose elements are not adjacent, and, before all
 * of these, NaN and infinities among the numbers.
 */
function intricacy(id: string): number {
  const hasNonFinite = /\b(?:input=(?:nan|infinite|nothing|removed|behind)|values=non-finite)\b/.test(id);
  return (hasNonFinite ? 100 : 0) + id.split(';').length + ((innerOf(id) ?? 1) === 1 ? 0 : 1);
}

/** What a backend lacks, if its failures tell: lines for the report. */
export function commonCauses(failures: readonly CaseReport[], cases: readonly CaseReport[]): readonly string[] {
  return [
    ...(isOnlyFloat64(failures, cases) ? [adviceOnFloat64] : []),
    ...(isOnlyStrided(failures, cases) ? [adviceOnStrides] : []),
  ];
}

const adviceOnFloat64 =
  "only operations in float64 fail: they need compensated sums, an exp of float64's own precision, a vjp that where no probability is above ½ takes the smaller of two means, " +
  "and range: 'ordinary' where results overflow on the way " +
  '(Write a backend: Add float64)';

/** Whether a backend computes correctly in float32, and not in float64 although it stores it and, if it has a basis, computes with it. */
function isOnlyFloat64(failures: readonly CaseReport[], cases: readonly CaseReport[]): boolean {
  const passesInFloat32 = (section: string) =>
    cases.some((c) => c.section === section && c.outcome === 'passed' && !c.id.includes('dtype='));
  return (
    failures.length > 0 &&
    failures.every(({ id, section }) => id.endsWith('dtype=float64') && !foundations.includes(section)) &&
    failures.every(({ section }) => passesInFloat32(section)) &&
    !cases.some(({ reason }) => reason === 'has no float32')
  );
}

const adviceOnStrides =
  'of the cases with a shape, only those fail in which the elements of a row are not adjacent: with the rows { outer, classes, inner }, class c of row (o, i) is element (o · classes + c) · inner + i';

/** Whether a backend is right along the last axis and wrong along the others. A case that states no shape says nothing about it. */
function isOnlyStrided(failures: readonly CaseReport[], cases: readonly CaseReport[]): boolean {
  const stated = failures.filter(({ id }) => innerOf(id) !== null);
  return (
    stated.length > 2 &&
    stated.every(({ id }) => innerOf(id) !== 1) &&
    cases.some((c) => c.outcome === 'passed' && c.section === stated[0]?.section && innerOf(c.id) === 1)
  );
}

/** How many rows are side by side in the shape that a case's id states; null if it states none. */
function innerOf(id: string): number | null {
  const [, shape, axis] = /\bshape=([\dx]+);axis=(\d+)/.exec(id) ?? [];
  return shape === undefined ? null : product(shape.split('x').slice(Number(axis) + 1));
}

function product(dimensions: readonly string[]): number {
  return dimensions.reduce((size, dimension) => size * Number(dimension), 1);
}
