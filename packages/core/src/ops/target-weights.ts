import type { Value } from '../backend/graph.js';
import type { Rows } from '../backend/interface.js';
import { type FloatDType, type HostArray, hostArray } from '../tensor/dtype.js';
import { keeps } from '../tensor/mask.js';
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

/** Σ_c q_c of each row: the total of the target weights. */
export function targetTotals<B>(m: Expressions<B>, call: TargetCall): Value<B> {
  const { target, rows } = call;
  if (target.kind === 'probabilities') return m.sum(targetWeights(m, call));
  return m.host(indexTotals(call, target.host), [rows.outer, 1, rows.inner]);
}

/** Σ_c q_c by row for class indices. */
function indexTotals(call: TargetCall, indices: HostArray): HostArray {
  const { dtype, weightHost, labelSmoothing, ignoreIndex } = call;
  const { classes } = call.rows;
  const totals = hostArray(indices.length, dtype);
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
