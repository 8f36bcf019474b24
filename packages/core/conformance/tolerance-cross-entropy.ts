import type { Rows } from '../src/index.js';
import { nearest } from './doubledouble.js';
import { logSoftmax, rowIndices, type Values } from './reference.js';
import {
  type ReferenceCrossEntropyOptions,
  type ReferenceTarget,
  rowCount,
  targetWeights,
} from './reference-cross-entropy.js';
import { logProbabilityUnits, type Precision, rowErrors, summation } from './tolerance.js';

/**
 * The loss: each log-probability's bound weighted by the target, the sum over the classes, and for 'mean' and 'sum' the sum
 * over the rows. Smoothing, weights and the division by N cost a few roundings each: 12 units.
 */
export function crossEntropyLossTolerance(
  precision: Precision,
  x: Values,
  target: ReferenceTarget,
  expected: Values,
  rows: Rows,
  options: ReferenceCrossEntropyOptions,
): Float64Array {
  const logs = logSoftmax(x, rows, options);
  const reduced = options.reduction !== 'none';
  const { scale, units } = reduction(target, rows, options);
  const bounds = rowIndices(rows).map((at, r) => {
    const q = targetWeights(target, at, r, options);
    if (!q) return precision.floor;
    const row = rowErrors(precision, x, at, options);
    const terms = at.map((i, c) => {
      const weight = Math.abs(nearest(q[c]));
      if (weight === 0) return 0;
      const relative = (summation(at.length) + 12 + units) * Math.abs(logs[i]);
      return weight * (logProbabilityUnits(precision, row, c, logs[i]) + relative);
    });
    return scale * precision.unit * terms.reduce((a, b) => a + b, 0) + precision.floor * (1 + at.length * (1 + scale));
  });
  const total = reduced ? [bounds.reduce((a, b) => a + b, 0)] : bounds;
  return Float64Array.from(expected, (value, i) => precision.stored(total[i], value));
}

/** The gradient, relative to both of its terms, p Σ q and q; times the cotangent of the loss, if there is one. */
export function crossEntropyGradientTolerance(
  precision: Precision,
  x: Values,
  target: ReferenceTarget,
  cotangent: Values | null,
  expected: Values,
  rows: Rows,
  options: ReferenceCrossEntropyOptions,
): Float64Array {
  const bounds = gradientBounds(precision, x, target, rows, options);
  const out = new Float64Array(x.length);
  rowIndices(rows).forEach((at, r) => {
    const factor = cotangent ? Math.abs(cotangent[cotangent.length === 1 ? 0 : r]) : 1;
    for (const i of at)
      out[i] = precision.stored(
        factor * bounds[i] + 2 * precision.unit * Math.abs(expected[i]) + precision.floor,
        expected[i],
      );
  });
  return out;
}

/** The jvp: the gradient's bounds weighted by the tangent, and the sums over classes and rows. */
export function crossEntropyJvpTolerance(
  precision: Precision,
  x: Values,
  target: ReferenceTarget,
  tangent: Values,
  expected: Values,
  rows: Rows,
  options: ReferenceCrossEntropyOptions,
): Float64Array {
  const bounds = gradientBounds(precision, x, target, rows, options, summation(rows.classes) + 4);
  const sums = rowIndices(rows).map((at) =>
    at.reduce((sum, i) => sum + bounds[i] * Math.abs(tangent[i]) + precision.floor * (1 + Math.abs(tangent[i])), 0),
  );
  const total = options.reduction === 'none' ? sums : [sums.reduce((a, b) => a + b, 0)];
  return Float64Array.from(expected, (value, i) => precision.stored(total[i], value));
}

/** Absolute bounds of the gradient's entries; `extra` units for what is done with them. */
function gradientBounds(
  precision: Precision,
  x: Values,
  target: ReferenceTarget,
  rows: Rows,
  options: ReferenceCrossEntropyOptions,
  extra = 0,
): Float64Array {
  const logs = logSoftmax(x, rows, options);
  const out = new Float64Array(x.length);
  const { scale, units } = reduction(target, rows, options);
  const tempered = scale / Math.abs(options.temperature ?? 1);
  rowIndices(rows).forEach((at, r) => {
    const q = targetWeights(target, at, r, options)?.map(nearest);
    if (!q) return;
    const row = rowErrors(precision, x, at, options);
    const sum = q.reduce((a, b) => a + Math.abs(b), 0);
    at.forEach((i, c) => {
      const probability = Math.exp(logs[i]);
      // exp(log p) has the absolute error of log p as its relative one; p itself is right to less.
      const logUnits = logProbabilityUnits(precision, row, c, logs[i]) + precision.exp(0) + 5;
      const common = summation(at.length) + 12 + units + extra;
      const rounding = probability * sum * (logUnits + common) + Math.abs(q[c]) * common;
      out[i] = tempered * precision.unit * rounding + precision.floor * (1 + tempered * (1 + sum));
    });
  });
  return out;
}

/** 1/N for the mean, and the units that adding up N and the rows costs. */
function reduction(target: ReferenceTarget, rows: Rows, options: ReferenceCrossEntropyOptions) {
  const { reduction: kind = 'mean' } = options;
  const count = rows.outer * rows.inner;
  if (kind === 'none') return { scale: 1, units: 0 };
  if (kind === 'sum') return { scale: 1, units: summation(count) };
  return { scale: 1 / nearest(rowCount(target, rows, options)), units: 2 * summation(count) };
}
