import {
  crossEntropy,
  logSoftmax,
  logSumExp,
  type Rows,
  SoftgradError,
  type SoftmaxOptions,
  softmax,
  type Tensor,
} from '@softgrad/core';
import { reference, referenceCrossEntropy } from '@softgrad/core/conformance';
import type { AccuracyData } from './inputs.js';

type Numbers = ArrayLike<number>;
type Parameters = Required<Pick<reference.ReferenceParameters, 'temperature'>> & {
  readonly mask: Uint8Array | null;
};

/** What the reference is given: one period of each row, already rounded to the dtype. */
export interface Case extends AccuracyData {
  readonly layout: Rows;
  readonly parameters: Parameters;
  readonly operand: AccuracyOp['operand'];
  /** softmax or logSoftmax of the whole rows at the temperature, rounded to the dtype; empty for ops that take logits. */
  readonly output: Numbers;
}

/** How an op is called and what its result should be. */
export interface AccuracyOp {
  /** What its first operand is. */
  readonly operand: 'logits' | 'softmax' | 'logSoftmax';
  /** Results of one row of so many classes. */
  results(classes: number): number;
  call(operand: Tensor, direction: Tensor, target: Tensor, options: SoftmaxOptions): Tensor;
  /** The results of one period of each row, from the double-double reference. */
  expected(input: Case): Float64Array;
  /**
   * The magnitude of the terms that are left once everything has been subtracted that can be subtracted exactly: rounding them is
   * unavoidable, and a result that is small beside them cannot be more accurate. Missing where no term exceeds the result.
   */
  attainable?(input: Case): Float64Array;
}

const perEntry = (classes: number) => classes;

const softmaxProduct = {
  operand: 'softmax',
  results: perEntry,
  expected: ({ output, directions, layout, repeats, parameters: { temperature, mask } }) =>
    reference.softmaxVjp(output, directions, layout, temperature, mask).map((value) => value * repeats),
  attainable: (input) =>
    ofRows(input, ({ s, g, kept }) => {
      const origin = g[kept.find((k) => s[k] > 0.5) ?? -1] ?? 0;
      const mean = sum(kept, (k) => s[k] * Math.abs(g[k] - origin));
      return (k) => (s[k] * (Math.abs(g[k] - origin) + input.repeats * mean)) / input.parameters.temperature;
    }),
} as const satisfies Partial<AccuracyOp>;

/** The ops by their names in core. */
export const accuracyOps = {
  softmax: {
    operand: 'logits',
    results: perEntry,
    call: (x, _g, _y, options) => softmax(x, options),
    expected: ({ logits, layout, parameters, repeats }) =>
      reference.softmax(logits, layout, parameters).map((value) => value / repeats),
  },
  'softmax.jacobian': {
    operand: 'softmax',
    results: (classes) => classes ** 2,
    call: (s, _g, _y, options) => softmax.jacobian(s, options),
    expected: ({ output, layout, parameters: { temperature, mask } }) =>
      reference.softmaxJacobian(output, layout, temperature, mask),
  },
  'softmax.vjp': { ...softmaxProduct, call: (s, g, _y, options) => softmax.vjp(s, g, options) },
  'softmax.jvp': { ...softmaxProduct, call: (s, t, _y, options) => softmax.jvp(s, t, options) },
  logSoftmax: {
    operand: 'logits',
    results: perEntry,
    call: (x, _g, _y, options) => logSoftmax(x, options),
    expected: (input) => logProbabilities(input),
  },
  'logSoftmax.vjp': {
    operand: 'logSoftmax',
    results: perEntry,
    call: (y, g, _y, options) => logSoftmax.vjp(y, g, options),
    expected: ({ layout, period, repeats, output, directions, parameters }) => {
      const { temperature } = parameters;
      if (repeats === 1) return reference.logSoftmaxVjp(output, directions, layout, parameters);
      // An entry without probability has the cotangents of the other periods; their sum is exact.
      const y = extended(output, layout, () => [Number.NEGATIVE_INFINITY]);
      const g = extended(directions, layout, (row) => [(repeats - 1) * sum(row, (k) => directions[k])]);
      const all = reference.logSoftmaxVjp(y, g, { ...layout, classes: period + 1 }, { temperature });
      return columns(all, period + 1, 0, period);
    },
    attainable: (input) =>
      ofRows(input, ({ s, g, kept }) => {
        const total = input.repeats * sum(kept, (k) => Math.abs(g[k]));
        return (k) => {
          const others = s[k] > 0.5 ? sum(kept, (j) => (j === k ? 0 : s[j])) : 1;
          return (
            (Math.abs(g[k]) * others + s[k] * (total - (s[k] > 0.5 ? Math.abs(g[k]) : 0))) /
            input.parameters.temperature
          );
        };
      }),
  },
  'logSoftmax.jvp': {
    operand: 'logSoftmax',
    results: perEntry,
    call: (y, t, _y, options) => logSoftmax.jvp(y, t, options),
    expected: ({ layout, period, repeats, output, directions, parameters }) => {
      const { temperature } = parameters;
      if (repeats === 1) return reference.logSoftmaxJvp(output, directions, layout, parameters);
      // The mean over all periods is that of `repeats · t` over one; beside it stand the tangents themselves, without probability.
      const y = extended(output, layout, (row) => row.map(() => Number.NEGATIVE_INFINITY));
      const scaled = Float64Array.from(directions, (value) => repeats * value);
      const t = extended(scaled, layout, (row) => row.map((k) => directions[k]));
      const all = reference.logSoftmaxJvp(y, t, { ...layout, classes: 2 * period }, { temperature });
      return columns(all, 2 * period, period, period);
    },
    attainable: (input) =>
      ofRows(input, ({ s, g, kept }) => {
        const origin = g[kept.find((k) => s[k] > 0.5) ?? -1] ?? 0;
        const mean = input.repeats * sum(kept, (k) => s[k] * Math.abs(g[k] - origin));
        return (k) => (Math.abs(g[k] - origin) + mean) / input.parameters.temperature;
      }),
  },
  logSumExp: {
    operand: 'logits',
    results: () => 1,
    call: (x, _g, _y, options) => logSumExp(x, options),
    expected: ({ logits, layout, parameters, repeats }) =>
      reference.logSumExp(logits, layout, parameters).map((value) => value + Math.log(repeats)),
    attainable: (input) => {
      const { logits, layout, parameters } = input;
      const values = reference.logSumExp(logits, layout, parameters);
      return Float64Array.from(keptRows(input), (kept, row) => {
        const largest = kept.reduce((most, k) => Math.max(most, logits[k]), Number.NEGATIVE_INFINITY);
        return Math.max(Math.abs(largest / parameters.temperature), Math.abs(values[row]));
      });
    },
  },
  'crossEntropy.loss': {
    operand: 'logits',
    results: () => 1,
    call: (x, _g, target, options) => crossEntropy.loss(x, target, { ...options, reduction: 'none' }),
    expected: (input) => {
      const y = logProbabilities(input);
      return Float64Array.from(input.target, (c, row) => -y[row * input.period + c]);
    },
  },
  'crossEntropy.gradient': {
    operand: 'logits',
    results: perEntry,
    call: (x, _g, target, options) => crossEntropy.gradient(x, target, { ...options, reduction: 'none' }),
    expected: ({ logits, layout, parameters, target, repeats, period }) => {
      if (repeats === 1) return crossEntropyOf(logits, target, layout, parameters).gradient;
      const s = reference.softmax(logits, layout, parameters).map((value) => value / repeats);
      for (const [row, c] of target.entries()) s[row * period + c] -= 1;
      return s;
    },
  },
} as const satisfies Record<string, AccuracyOp>;

export type AccuracyOpName = keyof typeof accuracyOps;

const names = Object.keys(accuracyOps) as readonly AccuracyOpName[];

/** The ops of these names; `all` stands for every one. @throws ERR_VALUE for an unknown name */
export function selectAccuracyOps(chosen: readonly string[]): readonly AccuracyOpName[] {
  if (chosen.includes('all')) return names;
  return chosen.map((name) => {
    const found = names.find((known) => known === name);
    if (found === undefined)
      throw new SoftgradError('ERR_VALUE', `unknown op '${name}'; expected all or some of ${names.join(', ')}`);
    return found;
  });
}

function crossEntropyOf(logits: Numbers, target: Numbers, layout: Rows, parameters: Parameters) {
  return referenceCrossEntropy(logits, { kind: 'indices', values: target }, layout, {
    ...parameters,
    reduction: 'none',
  });
}

/** log p of one period of each row, where the others have their share of the sum. */
function logProbabilities({ logits, layout, parameters, repeats }: Case): Float64Array {
  return reference.logSoftmax(logits, layout, parameters).map((value) => value - Math.log(repeats));
}

/** A row of a case. */
interface CaseRow {
  /** Indices of the entries that the mask keeps. */
  readonly kept: readonly number[];
  /** Probabilities and directions of all entries. */
  readonly s: Numbers;
  readonly g: Numbers;
}

/** A number for each entry, from its row; masked entries get 0. */
function ofRows(input: Case, entryOf: (row: CaseRow) => (k: number) => number): Float64Array {
  const { output, directions, operand } = input;
  const s = operand === 'logSoftmax' ? Float64Array.from(output, Math.exp) : output;
  const result = new Float64Array(output.length);
  for (const kept of keptRows(input)) {
    const entry = entryOf({ kept, s, g: directions });
    for (const k of kept) result[k] = entry(k);
  }
  return result;
}

function keptRows({ layout: { outer, classes }, mask }: Case): readonly (readonly number[])[] {
  return rowsOf(outer, classes).map((row) => row.filter((k) => mask === null || mask[k] === 1));
}

/** The indices of the entries of each row. */
function rowsOf(rows: number, classes: number): readonly (readonly number[])[] {
  return Array.from({ length: rows }, (_, row) => Array.from({ length: classes }, (_, c) => row * classes + c));
}

function sum(indices: readonly number[], term: (k: number) => number): number {
  return indices.reduce((total, k) => total + term(k), 0);
}

/** The rows of `values` with more entries at their ends. */
function extended(
  values: Numbers,
  { outer, classes }: Rows,
  more: (row: readonly number[]) => readonly number[],
): Float64Array {
  return Float64Array.from(rowsOf(outer, classes).flatMap((row) => [...row.map((k) => values[k]), ...more(row)]));
}

/** So many columns of a matrix, from one on. */
function columns(values: Float64Array, width: number, from: number, count: number): Float64Array {
  return values.filter((_, k) => k % width >= from && k % width < from + count);
}
