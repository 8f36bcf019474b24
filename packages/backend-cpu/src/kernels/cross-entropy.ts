import type { CrossEntropyParameters, Rows } from '@softgrad/core';
import { indexAbove, rowsPerBlock, scale, sum, sumOfOthers } from '../blocks.js';
import { expAndSum, keptExpAndSum, unitOf } from '../exp-single.js';
import { type CpuBuffer, type FloatArray, scratch } from '../storage.js';
import { isFar } from '../temperature.js';
import { gatherMask, tileOf } from '../tiles.js';
import { crossEntropyShifted, type Outputs } from './cross-entropy-shifted.js';

const expScratch = scratch();
const targetScratch = scratch();

/** Loss `−scale Σ q log p` and gradient `scale/T (p Σ q − q)` of each row, from one exponential an element. */
export function crossEntropy(
  out: Outputs,
  logits: FloatArray,
  rows: Rows,
  parameters: CrossEntropyParameters<CpuBuffer>,
): void | false {
  const { target, weight, labelSmoothing, temperature } = parameters;
  if (isFar(temperature)) return false;
  // Of smoothed class indices with class weights, the target's class may have no weight: the sums that `weightedRow` has for it would cancel.
  const isWeighted = target.kind === 'indices' && weight !== null && labelSmoothing !== 0;
  if (logits instanceof Float32Array && rows.inner === 1 && !isWeighted)
    crossEntropySingle(out, logits, rows, parameters);
  else crossEntropyShifted(out, logits, rows, parameters);
}

/**
 * Contiguous rows of float32 whose exponentials need no shift (see `softmax`), with t the target and S the sum: `loss = log1p(Σ_others exp / exp_t)`,
 * `gradient = exp / S`, at t `−Σ_others exp / S`. Summing the others apart, neither cancels where the target has nearly all.
 */
function crossEntropySingle(
  out: Outputs,
  logits: Float32Array,
  { outer, classes }: Rows,
  parameters: CrossEntropyParameters<CpuBuffer>,
): void {
  const { target, weight, ignoreIndex, labelSmoothing, temperature, mask, scale: factor } = parameters;
  const gradient = out.gradient as Float32Array | null;
  const { loss } = out;
  const isIndex = target.kind === 'indices';
  const ignored = isIndex ? ignoreIndex : Number.NaN;
  const isPlain = isIndex && labelSmoothing === 0;
  const keep = mask && (mask.buffer as Uint8Array);
  const perBlock = rowsPerBlock(classes);
  const unit = unitOf(temperature);
  const exp = expScratch(classes * perBlock);
  for (let row = 0, count = 0; row < outer; row += count) {
    count = mask ? 1 : Math.min(perBlock, outer - row);
    const total =
      mask && keep
        ? keptExpAndSum(exp, logits, row * classes, classes, unit, keep, (row % mask.outer) * classes)
        : expAndSum(exp, logits, row * classes, count * classes, unit);
    if (total < 0) {
      count = Math.min(perBlock, outer - row);
      shiftRows(out, logits, classes, parameters, row, count);
      continue;
    }
    for (let r = row; r < row + count; r++) {
      const first = (r - row) * classes;
      const start = r * classes;
      const index = target.buffer[r];
      if (index === ignored) {
        if (loss) loss[r] = 0;
        if (gradient) gradient.fill(0, start, start + classes);
        continue;
      }
      if (keep !== null || !isPlain) {
        const isMasked = isIndex && exp[first + index] === 0;
        if (isMasked || (!isPlain && !weightedRow(out, exp, first, logits, r, classes, parameters))) {
          shiftRows(out, logits, classes, parameters, r, 1);
        }
        if (isMasked || !isPlain) continue;
      }
      const hot = factor * (weight ? weight[index] : 1);
      const own = exp[first + index];
      const others = sumOfOthers(exp, first, classes, index);
      if (loss) loss[r] = hot * Math.log1p(others / own);
      if (gradient) {
        const total = others + own;
        const slope = hot / temperature;
        scale(gradient, exp, start, first, classes, slope / total);
        // Masked entries would be −0.
        if (keep && slope < 0) for (let k = start; k < start + classes; k++) gradient[k] += 0;
        gradient[start + index] = -slope * (others / total);
      }
    }
  }
}

/** Has `count` rows computed with a shift. */
function shiftRows(
  { loss, gradient }: Outputs,
  logits: Float32Array,
  classes: number,
  parameters: CrossEntropyParameters<CpuBuffer>,
  row: number,
  count: number,
): void {
  const rows = { outer: count, classes, inner: 1 };
  const { target, mask } = parameters;
  const keep = mask && new Uint8Array(count * classes);
  if (keep) gatherMask(keep, mask, tileOf(row, count, classes), rows);
  const [start, end] = [row * classes, (row + count) * classes];
  const [first, last] = target.kind === 'indices' ? [row, row + count] : [start, end];
  crossEntropyShifted(
    { loss: loss?.subarray(row, row + count) ?? null, gradient: gradient?.subarray(start, end) ?? null },
    logits.subarray(start, end),
    rows,
    {
      ...parameters,
      target: { ...target, buffer: target.buffer.subarray(first, last) },
      mask: keep && { buffer: keep, outer: count },
    },
  );
}

/**
 * A row whose target has weights q at several classes. o is the class index or, for probabilities, the class with more than half of S:
 * `loss = Σ q log1p(Σ_others exp / exp_o) + Σ q (x_o − x)/T`, `gradient = (p Σ q − q)/T`, at o `(p Σ_others q − q (1 − p))/T`. None of these cancels, nor does
 * `loss = Σ q log S − Σ q x/T` where no class has more than half. Returns false, with nothing written, if a q or a masked logit is not
 * finite, or nothing is kept.
 */
function weightedRow(
  { loss, gradient }: Outputs,
  exp: Float64Array,
  first: number,
  logits: Float32Array,
  row: number,
  classes: number,
  { target, weight, labelSmoothing, temperature, mask, scale: factor }: CrossEntropyParameters<CpuBuffer>,
): boolean {
  const start = row * classes;
  const isIndex = target.kind === 'indices';
  // 1 or 0, whether the entry is kept, until `weigh`; it takes one element more, for the sum.
  const q = targetScratch(classes + 1);
  let kept = classes;
  if (mask) {
    kept = 0;
    const from = (row % mask.outer) * classes;
    for (let k = 0; k < classes; k++) kept += q[k] = -mask.buffer[from + k] >>> 31;
  } else q.fill(1, 0, classes);
  if (weight) for (let k = 0; k < classes; k++) q[k] *= weight[k];
  const certain = 1 - labelSmoothing;
  const share = labelSmoothing / kept;
  let total = 0;
  let o = target.buffer[row];
  if (!isIndex) {
    total = sum(exp, first, classes);
    o = indexAbove(exp, first, classes, total / 2) - first;
  }
  const origin = o < 0 ? 0 : logits[start + o];
  const gap = isIndex
    ? weigh(q, logits, 0, share, logits, start, classes, origin)
    : weigh(q, target.buffer as Float32Array, certain, share, logits, start, classes, origin);
  const size = isIndex ? 1 : q[classes];
  if (!Number.isFinite(size + gap)) return false;
  const slope = factor / temperature;
  let log = Math.log(total);
  let ofLargest = 0;
  if (o >= 0) {
    const own = exp[first + o];
    const others = sumOfOthers(exp, first, classes, o);
    total = others + own;
    log = Math.log1p(others / own);
    const ofOthers = isIndex ? share * (kept - 1) : sumOfOthers(q, 0, classes, o);
    ofLargest = slope * (ofOthers * (own / total) - (isIndex ? certain + share : q[o]) * (others / total));
  }
  if (loss) loss[row] = factor * size * log + slope * gap;
  if (gradient) {
    scaleAndSubtract(gradient as Float32Array, exp, start, first, classes, (slope * size) / total, q, slope);
    if (o >= 0) gradient[start + o] = ofLargest;
  }
  return true;
}

/** `q *= certain · y + share`; returns `Σ q (origin − x)` and leaves Σ q after the last of them. */
function weigh(
  q: Float64Array,
  y: Float32Array,
  certain: number,
  share: number,
  x: Float32Array,
  start: number,
  classes: number,
  origin: number,
): number {
  let sum0 = 0;
  let sum1 = 0;
  let gap0 = 0;
  let gap1 = 0;
  let k = 0;
  for (; k < classes - 1; k += 2) {
    const i = (start + k) | 0;
    const j = (i + 1) | 0;
    const l = (k + 1) | 0;
    const q0 = q[k] * (certain * y[i] + share);
    const q1 = q[l] * (certain * y[j] + share);
    q[k] = q0;
    q[l] = q1;
    sum0 += q0;
    sum1 += q1;
    gap0 += q0 * (origin - x[i]);
    gap1 += q1 * (origin - x[j]);
  }
  if (k < classes) {
    q[k] *= certain * y[start + k] + share;
    sum0 += q[k];
    gap0 += q[k] * (origin - x[start + k]);
  }
  q[classes] = sum0 + sum1;
  return gap0 + gap1;
}

/** `out[to + k] = exp[from + k] * factor − q[k] * slope`. */
function scaleAndSubtract(
  out: Float32Array,
  exp: Float64Array,
  to: number,
  from: number,
  length: number,
  factor: number,
  q: Float64Array,
  slope: number,
): void {
  let k = 0;
  for (; k < length - 3; k += 4) {
    const target = (to + k) | 0;
    const source = (from + k) | 0;
    out[target] = exp[source] * factor - q[k] * slope;
    out[(target + 1) | 0] = exp[(source + 1) | 0] * factor - q[(k + 1) | 0] * slope;
    out[(target + 2) | 0] = exp[(source + 2) | 0] * factor - q[(k + 2) | 0] * slope;
    out[(target + 3) | 0] = exp[(source + 3) | 0] * factor - q[(k + 3) | 0] * slope;
  }
  for (; k < length; k++) out[to + k] = exp[from + k] * factor - q[k] * slope;
}
