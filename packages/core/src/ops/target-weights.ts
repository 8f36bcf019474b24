import type { Value } from '../backend/graph.js';
import type { Rows } from '../backend/interface.js';
import { mostExponent } from '../backend/softmax-terms.js';
import { type FloatDType, type HostArray, hostArray } from '../tensor/dtype.js';
import { keeps } from '../tensor/mask.js';
import { sizesOf } from './class-weights.js';
import type { TargetCall } from './cross-entropy-call.js';
import type { Expressions } from './definition.js';

/** The target weights q: one-hot or given probabilities, smoothed, weighted by class, 0 where masked or ignored. */
export function targetWeights<B>(m: Expressions<B>, call: TargetCall): Value<B> {
  const { target, labelSmoothing, weight, rows } = call;
  let q =
    target.kind === 'probabilities'
      ? m.entries(target.buffer as B)
      : m.host(oneHot(target.host, rows, call.ignoreIndex, m.dtype), [rows.outer, rows.classes, rows.inner]);
  if (labelSmoothing > 0) {
    const shares = m.host(smoothingShares(call), [rows.outer, 1, rows.inner]);
    q = m.add(m.mul(q, 1 - labelSmoothing), shares);
  }
  if (weight !== null) q = m.mul(q, m.given(weight as B, [1, rows.classes, 1]));
  return m.keep(q, 0);
}

/** `Σ_c q_c · scale` of each row as `factor · scale · first · second`: the total of the target weights times the scale of the reduction. */
export interface Totals<B> {
  readonly factor: Value<B>;
  readonly scale: number;
  /** Powers of 2 of about the same size, and whether their product is above 1, null if it is nowhere; null if no row is far from 1. */
  readonly powers: { readonly first: Value<B>; readonly second: Value<B>; readonly isLarge: Value<B> | null } | null;
}

export function targetTotals<B>(m: Expressions<B>, call: TargetCall): Totals<B> {
  const { target, rows, scale, weightHost, dtype } = call;
  const byRow = (values: Float64Array) => m.host(inDType(values, dtype), [rows.outer, 1, rows.inner]);
  const indices = target.kind === 'indices' ? target.host : null;
  // The totals of probabilities are on the device, and as large as the weights.
  const totals = indices
    ? indexTotals(call, indices)
    : new Float64Array(rows.outer * rows.inner).fill(weightHost === null ? 1 : sizesOf(weightHost).most);
  const ofScale = exponentOf(scale);
  if (!isFarFromOne(totals, ofScale)) {
    const isProduct = indices !== null && weightHost !== null;
    // The cotangent times the scale may be beyond the range where that of a mean is not.
    if (isProduct && scale !== 1)
      for (let row = 0; row < totals.length; row++) totals[row] = (totals[row] ?? 0) * scale;
    const factor = indices === null ? m.sum(targetWeights(m, call)) : byRow(totals);
    return { factor, scale: isProduct ? 1 : scale, powers: null };
  }
  // The factor is then at most 1, so that its product with the largest cotangent is in the range.
  const exponents = totals.map((total) => (total === 0 ? 0 : exponentOf(total) + ofScale + 2));
  const halves = exponents.map((exponent) => Math.trunc(exponent / 2));
  const first = byRow(halves.map((half) => 2 ** half));
  const second = byRow(exponents.map((exponent, row) => 2 ** (exponent - (halves[row] ?? 0))));
  const isLarge = exponents.some((exponent) => exponent > 0) ? byRow(exponents) : null;
  const mantissa = timesPower(scale, -ofScale);
  const [power = 0] = exponents;
  const factor = indices
    ? byRow(totals.map((total, row) => timesPower(total, ofScale - (exponents[row] ?? 0)) * mantissa))
    : m.mul(m.timesPower(m.sum(targetWeights(m, call)), ofScale - power), mantissa);
  return { factor, scale: 1, powers: { first, second, isLarge } };
}

/** Whether a total that is not 0 is beyond 2^±mostExponent with the scale, of which the exponent is given. */
function isFarFromOne(totals: Float64Array, ofScale: number): boolean {
  const { least, most } = sizesOf(totals);
  return most !== 0 && (exponentOf(most) + ofScale > mostExponent || exponentOf(least) + ofScale < -mostExponent);
}

function inDType(values: Float64Array, dtype: FloatDType): HostArray {
  if (dtype === 'float64') return values;
  const data = hostArray(values.length, dtype);
  data.set(values);
  return data;
}

/** The exponent of a number, whose opposite power makes it about 1; 0 for what has none. */
function exponentOf(value: number): number {
  const exponent = Math.floor(Math.log2(Math.abs(value)));
  return Number.isFinite(exponent) ? exponent : 0;
}

/** `value · 2^exponent` in two steps, because the power itself may be beyond the range. */
function timesPower(value: number, exponent: number): number {
  const half = Math.trunc(exponent / 2);
  return value * 2 ** half * 2 ** (exponent - half);
}

/** Σ_c q_c by row for class indices. */
function indexTotals(call: TargetCall, indices: HostArray): Float64Array {
  const { weightHost, labelSmoothing, ignoreIndex } = call;
  const { classes } = call.rows;
  const totals = new Float64Array(indices.length);
  // Weights are divided before they are added, because the sum of large ones leaves the range.
  const spread =
    labelSmoothing > 0 && weightHost
      ? { weight: overKept(call, (c) => (weightHost[c] ?? 0) / classes), kept: overKept(call, () => 1) }
      : null;
  for (const [row, index] of indices.entries()) {
    if (index === ignoreIndex) continue;
    const mean = spread === null ? 1 : spread.weight(row) * (classes / spread.kept(row));
    totals[row] = (1 - labelSmoothing) * (weightHost?.[index] ?? 1) + labelSmoothing * mean;
  }
  return totals;
}

/** ε/K by row, K the classes that the mask keeps; 0 for rows that are ignored or have none. */
function smoothingShares(call: TargetCall): HostArray {
  const { rows, dtype, target, labelSmoothing, ignoreIndex } = call;
  const kept = overKept(call, () => 1);
  return hostArray(rows.outer * rows.inner, dtype).map((_, row) => {
    if (target.kind === 'indices' && target.host[row] === ignoreIndex) return 0;
    const count = kept(row);
    return count === 0 ? 0 : labelSmoothing / count;
  });
}

/** The sum of a value over the classes that the mask keeps, by row. */
function overKept({ rows, mask }: TargetCall, value: (c: number) => number): (row: number) => number {
  const { classes, inner } = rows;
  const sum = (isKept: (c: number) => boolean) => {
    let total = 0;
    for (let c = 0; c < classes; c++) if (isKept(c)) total += value(c);
    return total;
  };
  if (mask !== null) return (row) => sum((c) => keeps(mask, rows, Math.floor(row / inner), c, row % inner));
  const all = sum(() => true);
  return () => all;
}

/** Class indices as one-hot probabilities. Ignored rows are all 0. */
function oneHot(indices: HostArray, rows: Rows, ignoreIndex: number, dtype: FloatDType): HostArray {
  const { outer, classes, inner } = rows;
  const dense = hostArray(outer * classes * inner, dtype);
  let row = 0;
  for (const index of indices) {
    if (index !== ignoreIndex) dense[(Math.floor(row / inner) * classes + index) * inner + (row % inner)] = 1;
    row++;
  }
  return dense;
}
