import type { CrossEntropyParameters, Rows } from '@softgrad/core';
import type { Engine } from '../engine.js';
import type { TfBuffer } from '../storage.js';
import type { Target, Verbs } from '../verbs/verbs.js';
import { below, type Logits, logitsOf, shapesOf, shiftedLogits } from './logits.js';

/** Loss `−scale Σ q log p` and gradient `scale/T (p Σ q − q)` of each row, from one maximum and one sum. */
export function crossEntropy(
  engine: Engine,
  out: { readonly loss: TfBuffer | null; readonly gradient: TfBuffer | null },
  logits: TfBuffer,
  rows: Rows,
  parameters: CrossEntropyParameters<TfBuffer>,
): void {
  const { temperature, scale, target, ignoreIndex } = parameters;
  const { shape, reduced } = shapesOf(rows, parameters);
  const program = <V>(verbs: Verbs<V>): readonly V[] => {
    const x = logitsOf(verbs, logits, rows, parameters);
    const q = verbs.keep(targetWeights(verbs, x, rows, parameters));
    const shifted = shiftedLogits(verbs, x);
    const exponentials = shifted.exp();
    const results: V[] = [];
    // The softmax of an ignored row may be undefined, and 0 · NaN is NaN.
    const unlessIgnored = (v: V): V =>
      target.kind === 'indices'
        ? verbs.select(verbs.binary('equal', verbs.input(target.buffer, reduced), ignoreIndex), 0, v)
        : v;
    if (out.loss) {
      const others = shifted.sumOfOthers(exponentials);
      const y = below(verbs, shifted, verbs.log1p(others));
      // Avoids 0 · −Infinity, which is NaN.
      const terms = verbs.select(verbs.binary('equal', q, 0), 0, verbs.binary('mul', q, y));
      const sum = verbs.binary('mul', verbs.reduce('sum', terms), -scale);
      // A row without a softmax has no loss either, whatever its weights are: the sum of its others is NaN.
      const loss = unlessIgnored(verbs.select(verbs.binary('add', others, 1), sum, others));
      results.push(x.mask === null ? loss : verbs.select(verbs.reduce('sum', x.mask), loss, 0));
    }
    if (out.gradient) {
      const slopes = verbs.slopes(exponentials, q) ?? slopesOf(verbs, exponentials, q, x.mask);
      const scaled = verbs.binary(
        'mul',
        x.mask === null ? slopes : verbs.select(x.mask, slopes, 0),
        scale / temperature,
      );
      results.push(unlessIgnored(scaled));
    }
    return results;
  };
  const targets: Target[] = [];
  if (out.loss) targets.push({ buffer: out.loss, shape: reduced });
  if (out.gradient) targets.push({ buffer: out.gradient, shape });
  engine.run(targets, program);
}

/** `p Σ q − q` with p the exponentials divided by their sum. For a p above ½ that would cancel, and is computed as `p Σ q − q Σ p` over the other entries. */
function slopesOf<V>(verbs: Verbs<V>, exponentials: V, q: V, mask: V | null): V {
  const p = verbs.binary('div', exponentials, verbs.reduce('sum', exponentials));
  // Computed now: with the operands of p the program of the slopes would read more than the 8 buffers that WebGPU grants.
  const kept = verbs.keep(mask === null ? p : verbs.select(mask, p, 0));
  const isTop = verbs.binary('sub', kept, 0.5);
  const sumOfOthers = (v: V) => verbs.reduce('sum', verbs.select(isTop, 0, v));
  const [othersOfP, othersOfQ] = [sumOfOthers(kept), sumOfOthers(q)];
  const ofTop = verbs.binary('sub', verbs.binary('mul', kept, othersOfQ), verbs.binary('mul', q, othersOfP));
  const rest = verbs.binary('sub', verbs.binary('mul', kept, verbs.reduce('sum', q)), q);
  return verbs.select(isTop, ofTop, rest);
}

/** The target weights q: one-hot or given probabilities, smoothed, weighted by class, 0 where masked or ignored. */
function targetWeights<V>(
  verbs: Verbs<V>,
  { mask, shape, reduced }: Logits<V>,
  { classes }: Rows,
  { target, weight, labelSmoothing, ignoreIndex }: CrossEntropyParameters<TfBuffer>,
): V {
  const smoothed = (q: V): V => {
    if (labelSmoothing === 0) return q;
    // ε is distributed over the row's unmasked classes.
    const count = mask === null ? classes : verbs.reduce('sum', mask);
    return verbs.binary('add', verbs.binary('mul', q, 1 - labelSmoothing), verbs.binary('div', labelSmoothing, count));
  };
  let q: V;
  if (target.kind === 'probabilities') {
    q = smoothed(verbs.input(target.buffer, shape));
  } else {
    const index = verbs.input(target.buffer, reduced);
    const hot = smoothed(verbs.binary('equal', index, verbs.coordinate(2, classes)));
    q = verbs.select(verbs.binary('equal', index, ignoreIndex), 0, hot);
  }
  if (weight) q = verbs.binary('mul', q, verbs.input(weight, [1, 1, classes, 1]));
  return mask === null ? q : verbs.select(mask, q, 0);
}
