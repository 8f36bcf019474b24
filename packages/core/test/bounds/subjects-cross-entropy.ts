import { randomFrom } from '../../conformance/inputs.js';
import * as bounds from '../../conformance/tolerance-cross-entropy.js';
import { crossEntropyHvpTolerance } from '../../conformance/tolerance-hvp.js';
import {
  crossEntropyGradient,
  crossEntropyHvp,
  crossEntropyJvp,
  crossEntropyLoss,
  crossEntropyVjp,
  type ReferenceCrossEntropyOptions,
  type ReferenceTarget,
} from '../../reference/cross-entropy.js';
import { rowIndices } from '../../reference/functions.js';
import { crossEntropyStepsIn } from './steps-cross-entropy.js';
import type { BoundProblem, Measured, Subject } from './subjects.js';

/** How the loss is asked for: class indices or probabilities, some rows ignored, weights 0.5, 1, 1.5, … by class. */
interface LossSetting {
  readonly name: string;
  readonly target: ReferenceTarget['kind'];
  readonly reduction: 'mean' | 'sum' | 'none';
  readonly ignored?: true;
  readonly weighted?: true;
  readonly labelSmoothing?: number;
}

const settings: readonly LossSetting[] = [
  { name: 'indices, mean', target: 'indices', reduction: 'mean' },
  { name: 'indices, none', target: 'indices', reduction: 'none' },
  { name: 'probabilities, weighted, none', target: 'probabilities', reduction: 'none', weighted: true },
  { name: 'probabilities, smoothed, sum', target: 'probabilities', reduction: 'sum', labelSmoothing: 0.25 },
  {
    name: 'ignored, weighted, smoothed, mean',
    target: 'indices',
    reduction: 'mean',
    ignored: true,
    weighted: true,
    labelSmoothing: 0.1,
  },
];

export const lossSubjects: readonly Subject[] = settings.flatMap((setting) =>
  (['loss', 'gradient', 'vjp', 'jvp', 'hvp'] as const).map((member): Subject => {
    const bound = member === 'vjp' ? 'Gradient' : `${member[0].toUpperCase()}${member.slice(1)}`;
    return {
      bound: `crossEntropy${bound}Tolerance`,
      name: `crossEntropy.${member} (${setting.name})`,
      measure: (problem) => measure(member, problem, targetOf(setting, problem), optionsOf(setting, problem)),
    };
  }),
);

function measure(
  member: 'loss' | 'gradient' | 'vjp' | 'jvp' | 'hvp',
  { arithmetic: { precision, round }, x, rows, upstream: t, tangent }: BoundProblem,
  target: ReferenceTarget,
  options: ReferenceCrossEntropyOptions,
): Measured {
  const steps = crossEntropyStepsIn(round);
  if (member === 'loss') {
    const expected = crossEntropyLoss(x, target, rows, options);
    return {
      expected,
      bound: bounds.crossEntropyLossTolerance(precision, x, target, expected, rows, options),
      computed: steps.loss(x, target, rows, options),
    };
  }
  if (member === 'jvp') {
    const expected = crossEntropyJvp(x, target, t, rows, options);
    return {
      expected,
      bound: bounds.crossEntropyJvpTolerance(precision, x, target, t, expected, rows, options),
      computed: steps.jvp(x, target, t, rows, options),
    };
  }
  const g = t.slice(0, options.reduction === 'none' ? rows.outer * rows.inner : 1);
  if (member === 'hvp') {
    const expected = crossEntropyHvp(x, target, g, tangent, rows, options);
    return {
      expected,
      bound: crossEntropyHvpTolerance(precision, x, target, g, tangent, expected, rows, options),
      computed: steps.hvp(x, target, g, tangent, rows, options),
    };
  }
  const cotangent = member === 'vjp' ? g : null;
  const expected = cotangent
    ? crossEntropyVjp(x, target, cotangent, rows, options)
    : crossEntropyGradient(x, target, rows, options);
  return {
    expected,
    bound: bounds.crossEntropyGradientTolerance(precision, x, target, cotangent, expected, rows, options),
    computed: cotangent ? steps.vjp(x, target, cotangent, rows, options) : steps.gradient(x, target, rows, options),
  };
}

function optionsOf({ reduction, labelSmoothing = 0, weighted }: LossSetting, { rows, parameters }: BoundProblem) {
  const weight = weighted ? Float64Array.from({ length: rows.classes }, (_, c) => (1 + (c % 4)) / 2) : null;
  return { ...parameters, reduction, labelSmoothing, weight };
}

/** Indices that the mask keeps, −100 where it keeps none, or probabilities of which every fourth is 0. */
function targetOf({ target, ignored }: LossSetting, { rows, parameters, arithmetic }: BoundProblem): ReferenceTarget {
  const indices = rowIndices(rows);
  if (target === 'indices') {
    const values = indices.map((at, row) => {
      const kept = at.flatMap((i, c) => (!parameters.mask || parameters.mask[i] ? [c] : []));
      return kept.length === 0 || (ignored && row === 0) ? -100 : kept[(row * 2 + 1) % kept.length];
    });
    return { kind: target, values };
  }
  const values = new Float64Array(rows.outer * rows.classes * rows.inner);
  indices.forEach((at, row) => {
    const random = randomFrom(`target:${row}:${rows.classes}`);
    const shares = at.map((_, c) => (c % 4 === 2 ? 0 : random()));
    const sum = shares.reduce((a, b) => a + b, 0);
    at.forEach((i, c) => {
      values[i] = arithmetic.round(shares[c] / sum);
    });
  });
  return { kind: target, values };
}
