import type { ReferenceCrossEntropyOptions, ReferenceTarget } from '../../reference/cross-entropy.js';
import { rowIndices, type Values } from '../../reference/functions.js';
import type { Rows } from '../../src/index.js';
import { stepsIn } from './steps.js';

/** Cross-entropy in the same manner: loss, gradient, and the gradient times a cotangent or along a tangent. */
export function crossEntropyStepsIn(r: (value: number) => number) {
  const { logSoftmax, logSumExpHvp, softmax, sum } = stepsIn(r);

  /** The target's weights of one row, smoothed, then weighted, then 0 where masked; null where it is ignored. */
  function weightsOf(
    target: ReferenceTarget,
    at: readonly number[],
    row: number,
    { mask, weight, labelSmoothing = 0, ignoreIndex = -100 }: ReferenceCrossEntropyOptions,
  ): readonly number[] | null {
    if (target.kind === 'indices' && target.values[row] === ignoreIndex) return null;
    const kept = at.filter((i) => !mask || mask[i]).length;
    return at.map((i, c) => {
      if (mask && !mask[i]) return 0;
      const share = target.kind === 'indices' ? Number(target.values[row] === c) : target.values[i];
      const smoothing = r(labelSmoothing);
      const smoothed = labelSmoothing ? r(r(r(1 - smoothing) * share) + r(smoothing / kept)) : share;
      return weight ? r(smoothed * weight[c]) : smoothed;
    });
  }

  /** The divisor of the mean, 1 for other reductions. */
  function divisor(
    target: ReferenceTarget,
    rows: Rows,
    { weight, reduction = 'mean', ignoreIndex = -100 }: ReferenceCrossEntropyOptions,
  ): number {
    if (reduction !== 'mean') return 1;
    if (target.kind === 'probabilities') return rows.outer * rows.inner;
    const counted = Array.from(target.values).filter((index) => index !== ignoreIndex);
    return sum(counted.map((index) => (weight ? weight[index] : 1)));
  }

  function loss(x: Values, target: ReferenceTarget, rows: Rows, options: ReferenceCrossEntropyOptions): Float64Array {
    const logs = logSoftmax(x, rows, options);
    const losses = rowIndices(rows).map((at, row) => {
      const q = weightsOf(target, at, row, options);
      return q ? sum(at.map((i, c) => (q[c] === 0 ? 0 : r(q[c] * -logs[i])))) : 0;
    });
    if (options.reduction === 'none') return Float64Array.from(losses);
    return Float64Array.of(r(sum(losses) / divisor(target, rows, options)));
  }

  function gradient(
    x: Values,
    target: ReferenceTarget,
    rows: Rows,
    options: ReferenceCrossEntropyOptions,
  ): Float64Array {
    const { temperature = 1 } = options;
    const logs = logSoftmax(x, rows, options);
    const count = divisor(target, rows, options);
    const out = new Float64Array(x.length);
    rowIndices(rows).forEach((at, row) => {
      const q = weightsOf(target, at, row, options);
      if (!q) return;
      const p = at.map((i) => r(Math.exp(logs[i])));
      const withoutTop = (values: readonly number[], top: number) => sum(values.map((v, k) => (k === top ? 0 : v)));
      at.forEach((_, c) => {
        const top = p[c] > 0.5 ? c : -1;
        const own = top < 0 ? q[c] : r(q[c] * withoutTop(p, top));
        const difference = r(r(p[c] * withoutTop(q, top)) - own);
        const tempered = temperature === 1 ? difference : r(difference / temperature);
        out[at[c]] = count === 1 ? tempered : r(tempered / count);
      });
    });
    return out;
  }

  return {
    loss,
    gradient,
    vjp(x: Values, target: ReferenceTarget, g: Values, rows: Rows, options: ReferenceCrossEntropyOptions) {
      const out = gradient(x, target, rows, options);
      rowIndices(rows).forEach((at, row) => {
        for (const i of at) out[i] = r(out[i] * g[g.length === 1 ? 0 : row]);
      });
      return out;
    },
    jvp(x: Values, target: ReferenceTarget, t: Values, rows: Rows, options: ReferenceCrossEntropyOptions) {
      const slopes = gradient(x, target, rows, options);
      const p = softmax(x, rows, options);
      const changes = rowIndices(rows).map((at) => {
        const kept = at.filter((i) => !options.mask || options.mask[i]);
        const mean = sum(kept.map((i) => r(p[i] * t[i])));
        return sum(kept.map((i) => r(slopes[i] * r(t[i] - mean))));
      });
      return Float64Array.from(options.reduction === 'none' ? changes : [sum(changes)]);
    },
    hvp(x: Values, target: ReferenceTarget, g: Values, t: Values, rows: Rows, options: ReferenceCrossEntropyOptions) {
      const scale = r(1 / divisor(target, rows, options));
      const factors = rowIndices(rows).map((at, row) => {
        const q = weightsOf(target, at, row, options);
        return q ? r(sum(q) * r(g[g.length === 1 ? 0 : row] * scale)) : 0;
      });
      return logSumExpHvp(x, factors, t, rows, options);
    },
  };
}
