import type { Basis, CrossEntropyParameters, Extent, Rows } from '../backend.js';
import { type HostArray, hostArray, largestFinite } from '../dtype.js';
import { type Mask, selectMasked } from '../mask.js';
import type { FloatTensor, Scratch } from '../op.js';
import { keptClasses, type LaidTarget, oneHot } from './cross-entropy-target.js';
import { logSoftmaxInto } from './log-softmax.js';

/** What a composition needs beyond what a kernel is given: the mask and the class indices on the host. */
export interface ComposedCrossEntropy extends Omit<CrossEntropyParameters<unknown>, 'mask' | 'target'> {
  readonly mask: Mask | null;
  readonly target: LaidTarget;
}

/**
 * Loss and gradient from a basis: with y = logSoftmax(x/T) and the target weights q,
 * `loss = −scale Σ q y` and `gradient = scale/T (exp(y) Σ q − q)`.
 */
export function composeCrossEntropy(
  basis: Basis<unknown>,
  scratch: Scratch,
  out: { readonly loss: unknown; readonly gradient: unknown },
  x: FloatTensor,
  rows: Rows,
  parameters: ComposedCrossEntropy,
): void {
  const { temperature, mask, scale } = parameters;
  const count = rows.outer * rows.inner;
  const full: Extent = [rows.outer, rows.classes, rows.inner];
  const whole = (buffer: unknown) => ({ buffer, extent: full });
  const q = targetWeights(basis, scratch, x, rows, parameters);
  const y = scratch(x.size);
  logSoftmaxInto('crossEntropy', y, x, rows, temperature, mask);

  if (out.loss !== null) {
    const terms = scratch(x.size);
    const sum = scratch(count);
    basis.binary(terms, 'mul', whole(q), whole(finiteWhereZero(basis, scratch, y, q, x, full)), full);
    basis.reduce(sum, 'sum', terms, rows);
    basis.binary(out.loss, 'mul', { buffer: sum, extent: [1, 1, count] }, -scale, [1, 1, count]);
  }
  if (out.gradient !== null) {
    const total = scratch(count);
    const probabilities = scratch(x.size);
    const expected = scratch(x.size);
    const difference = scratch(x.size);
    basis.reduce(total, 'sum', q, rows);
    basis.unary(probabilities, 'exp', y, x.size);
    const totals = { buffer: total, extent: [rows.outer, 1, rows.inner] } as const;
    basis.binary(expected, 'mul', whole(probabilities), totals, full);
    basis.binary(difference, 'sub', whole(expected), whole(q), full);
    basis.binary(out.gradient, 'mul', whole(difference), scale / temperature, full);
  }
}

/** y, but finite where q is 0, so that 0 · −Infinity does not make the loss NaN. A NaN in q stays one. */
function finiteWhereZero(
  basis: Basis<unknown>,
  scratch: Scratch,
  y: unknown,
  q: unknown,
  x: FloatTensor,
  full: Extent,
): unknown {
  const square = scratch(x.size);
  const finite = scratch(x.size);
  const chosen = scratch(x.size);
  basis.binary(square, 'mul', { buffer: q, extent: full }, { buffer: q, extent: full }, full);
  basis.binary(finite, 'max', { buffer: y, extent: full }, -largestFinite(x.dtype), full);
  const condition = { buffer: square, extent: full };
  basis.select(chosen, condition, { buffer: y, extent: full }, { buffer: finite, extent: full }, full);
  return chosen;
}

/** The target weights q: one-hot or given probabilities, smoothed, weighted by class, 0 where masked or ignored. */
function targetWeights(
  basis: Basis<unknown>,
  scratch: Scratch,
  x: FloatTensor,
  rows: Rows,
  { target, labelSmoothing, weight, mask, ignoreIndex }: ComposedCrossEntropy,
): unknown {
  const full: Extent = [rows.outer, rows.classes, rows.inner];
  const whole = (buffer: unknown) => ({ buffer, extent: full });
  let q: unknown;
  if (target.kind === 'probabilities') {
    q = target.buffer;
  } else {
    q = scratch(x.size);
    x.backend.write(q, oneHot(target.host, rows, ignoreIndex, x.dtype));
  }
  if (labelSmoothing > 0) {
    const share = scratch(rows.outer * rows.inner);
    x.backend.write(share, smoothingShares(target, rows, labelSmoothing, mask, ignoreIndex, x));
    const remaining = scratch(x.size);
    const smoothed = scratch(x.size);
    basis.binary(remaining, 'mul', whole(q), 1 - labelSmoothing, full);
    const shares = { buffer: share, extent: [rows.outer, 1, rows.inner] } as const;
    basis.binary(smoothed, 'add', whole(remaining), shares, full);
    q = smoothed;
  }
  if (weight !== null) {
    const weighted = scratch(x.size);
    basis.binary(weighted, 'mul', whole(q), { buffer: weight, extent: [1, rows.classes, 1] }, full);
    q = weighted;
  }
  if (mask !== null) {
    const kept = scratch(x.size);
    selectMasked(basis, kept, mask, q, 0, rows);
    q = kept;
  }
  return q;
}

/** ε/K by row, K the classes that the mask keeps; 0 for rows that are ignored or have none. */
function smoothingShares(
  target: LaidTarget,
  rows: Rows,
  labelSmoothing: number,
  mask: Mask | null,
  ignoreIndex: number,
  x: FloatTensor,
): HostArray {
  const shares = mask
    ? keptClasses(mask, rows, x.dtype)
    : hostArray(rows.outer * rows.inner, x.dtype).fill(rows.classes);
  for (let row = 0; row < shares.length; row++) {
    const ignored = target.kind === 'indices' && target.host[row] === ignoreIndex;
    shares[row] = ignored || shares[row] === 0 ? 0 : labelSmoothing / shares[row];
  }
  return shares;
}
