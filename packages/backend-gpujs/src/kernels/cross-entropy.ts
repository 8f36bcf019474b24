import type { CrossEntropyParameters, Rows } from '@softgrad/core';
import type { Elementwise, Reduction } from '../kernel-places.js';
import type { Launch, Scratch } from '../launch.js';
import type { GpujsBuffer } from '../storage.js';
import {
  atPivot,
  expOfExponent,
  exponent,
  isKept,
  isMasked,
  logitRows,
  maskable,
  maskOperands,
  temperatureNames,
  temperatureOf,
} from './logits.js';
import { bySum } from './reduce.js';

type Parameters = CrossEntropyParameters<GpujsBuffer>;

const kept: Reduction = {
  name: 'cross-entropy/kept',
  arrays: ['mask'],
  integers: ['maskSpan'],
  start: () => 'let result = 0;',
  step: (j, _, place) => `if (${isKept(j, place)}) { result += 1; }`,
};

/** The target q of each entry: smoothed, then weighted, and 0 where masked. `smooth` is ε, `hit` is 1 − ε. */
function targetOf(kind: 'indices' | 'probabilities', weighted: boolean, counted: boolean) {
  const indices = kind === 'indices';
  return maskable(
    (masked): Elementwise => ({
      name: ['cross-entropy/target', kind, weighted ? 'weighted' : '', counted ? 'counted' : ''].join('/'),
      arrays: ['target', ...(weighted ? ['weight'] : []), ...(counted ? ['kept'] : [])],
      numbers: ['hit', 'smooth', 'ignored'],
      body: (place) => `
        ${masked ? `if (${isMasked('this.thread.x', place)}) { return 0; }` : ''}
        ${indices ? `const t = target[${place.row}]; if (t == ignored) { return 0; }` : ''}
        const k = ${place.class};
        let q = smooth / ${counted ? `kept[${place.row}]` : 'classes'};
        ${indices ? 'if (k == t) { q += hit; }' : 'q += hit * target[this.thread.x];'}
        return ${weighted ? 'q * weight[k]' : 'q'};`,
    }),
  );
}

const bools = [false, true];
const targets = new Map(
  (['indices', 'probabilities'] as const).flatMap((kind) =>
    bools.flatMap((weighted) =>
      bools.map((counted) => [`${kind}/${weighted}/${counted}`, targetOf(kind, weighted, counted)] as const),
    ),
  ),
);

/** The operands that tell which rows are ignored, after a kernel's own: a target weight of 0 may also be that of a class. */
const ignoring = {
  indices: { arrays: ['target'], numbers: ['ignored'] },
  probabilities: { arrays: [], numbers: [] },
} as const;

type TargetKind = keyof typeof ignoring;

/** A row without a softmax has a rest of NaN, which is the only value neither below 1 nor above 0, and a loss of NaN whatever its weights are. */
function lossOf(kind: TargetKind): Reduction {
  const poisoned = 'if (others < 1 || others > 0) { result = 0; } else { result = others; }';
  return {
    name: `cross-entropy/loss/${kind}`,
    arrays: ['x', 'pivot', 'rest', 'q', ...ignoring[kind].arrays],
    numbers: [...temperatureNames, 'scale', ...ignoring[kind].numbers],
    start: (place) => `
      ${atPivot('m', 'x', place)}
      const others = rest[${place.row}];
      const tail = log1pOf(others);
      let result = 0;
      ${kind === 'indices' ? `const t = target[${place.row}]; if (t != ignored) { ${poisoned} }` : poisoned}`,
    step: (j) => `
      const w = q[${j}];
      if (w != 0) { part -= scale * w * (${exponent(`x[${j}]`, 'm')} - tail); }`,
    inParts: true,
  };
}

const losses = { indices: lossOf('indices'), probabilities: lossOf('probabilities') } as const;

/**
 * Σ q over the classes other than the pivot: at the pivot Σ q − q would cancel. The class of an index is left out, too, because what smoothing adds to
 * the others is the same for all of them: added to a number near 1, it would have the same rounding error every time.
 */
function leftOf(kind: TargetKind): Reduction {
  const indices = kind === 'indices';
  return {
    name: `cross-entropy/left/${kind}`,
    arrays: ['q', 'pivot', ...(indices ? ['target'] : [])],
    start: ({ row }) =>
      `const pivotClass = pivot[${row}]; ${indices ? `const t = target[${row}];` : ''} let result = 0;`,
    step: (j, k) => `if (${k} != pivotClass${indices ? ` && ${k} != t` : ''}) { part += q[${j}]; }`,
    inParts: true,
  };
}

const lefts = { indices: leftOf('indices'), probabilities: leftOf('probabilities') } as const;

/**
 * At the pivot p − 1 is computed as −rest / (1 + rest), which does not cancel where p is nearly 1. Where p is below ½ the quotient p itself is
 * accurate: for one of 300 equal logits p = 1/300, and w − w · 299/300 would lose two digits.
 */
const gradientOf = (kind: TargetKind) =>
  maskable(
    (masked): Elementwise => ({
      name: `cross-entropy/gradient/${kind}`,
      arrays: ['x', 'pivot', 'rest', 'q', 'left', ...ignoring[kind].arrays],
      numbers: [...temperatureNames, 'factor', ...ignoring[kind].numbers],
      body: (place) => `
      ${masked ? `if (${isMasked('this.thread.x', place)}) { return 0; }` : ''}
      ${kind === 'indices' ? `const t = target[${place.row}]; if (t == ignored) { return 0; }` : ''}
      ${atPivot('top', 'q', place)}
      let beside = left[${place.row}];
      ${kind === 'indices' ? `if (t != topPivot) { beside += q[${place.at('whole(t)')}]; }` : ''}
      const w = beside + top;
      const own = q[this.thread.x];
      const others = rest[${place.row}];
      if (w == 0 && own == 0 && (others < 1 || others > 0)) { return 0; }
      const k = ${place.class};
      if (k == topPivot && others < 1) { return factor * (beside - overSum(w * others, others)); }
      ${atPivot('m', 'x', place)}
      return factor * (overSum(w * ${expOfExponent('x[this.thread.x]', 'm', place)}, others) - own);`,
    }),
  );

const gradients = { indices: gradientOf('indices'), probabilities: gradientOf('probabilities') } as const;

/** `loss = −scale Σ q log p` per row and `gradient = scale/T (p Σ q − q)`; either may be null. */
export function crossEntropyInto(
  launch: Launch,
  out: { readonly loss: GpujsBuffer | null; readonly gradient: GpujsBuffer | null },
  logits: GpujsBuffer,
  rows: Rows,
  parameters: Parameters,
): void {
  launch.within((scratch) => {
    const { pivot, rest } = logitRows(launch, scratch, logits, rows, parameters);
    const q = enqueueTarget(launch, scratch, logits.length, rows, parameters);
    const temperature = temperatureOf(parameters);
    const { kind, buffer } = parameters.target;
    const [ofRow, ignored] = kind === 'indices' ? [[buffer], [parameters.ignoreIndex]] : [[], []];
    const inputs = [logits, pivot, rest, q];
    if (out.loss) {
      const numbers = [...temperature, parameters.scale, ...ignored];
      launch.reduce(losses[kind], out.loss, [...inputs, ...ofRow], rows, { numbers }, bySum);
    }
    if (out.gradient) {
      const remaining = scratch(rows.outer * rows.inner);
      launch.reduce(lefts[kind], remaining, [q, pivot, ...ofRow], rows, {}, bySum);
      const { arrays, integers } = maskOperands(parameters, rows);
      const numbers = [...temperature, parameters.scale / parameters.temperature, ...ignored];
      launch.elementwise(gradients[kind](parameters), out.gradient, [...inputs, remaining, ...ofRow, ...arrays], rows, {
        integers,
        numbers,
      });
    }
  });
}

function enqueueTarget(
  launch: Launch,
  scratch: Scratch,
  length: number,
  rows: Rows,
  parameters: Parameters,
): GpujsBuffer {
  const { target, weight, labelSmoothing, ignoreIndex } = parameters;
  const mask = maskOperands(parameters, rows);
  const { integers } = mask;
  const inputs = [target.buffer, ...(weight ? [weight] : [])];
  const counted = parameters.mask !== null && labelSmoothing > 0;
  if (counted) {
    const count = scratch(rows.outer * rows.inner);
    launch.reduce(kept, count, mask.arrays, rows, { integers }, bySum);
    inputs.push(count);
  }
  const kernel = targets.get(`${target.kind}/${weight !== null}/${counted}`);
  if (!kernel) throw new TypeError(`no kernel for targets of kind ${target.kind}`);
  const q = scratch(length);
  const numbers = [1 - labelSmoothing, labelSmoothing, ignoreIndex];
  launch.elementwise(kernel(parameters), q, [...inputs, ...mask.arrays], rows, { integers, numbers });
  return q;
}
