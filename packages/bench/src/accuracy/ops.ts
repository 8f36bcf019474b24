import {
  crossEntropy,
  logSoftmax,
  logSumExp,
  type Rows,
  relu,
  SoftgradError,
  type SoftmaxOptions,
  shortened,
  sigmoid,
  softmax,
  type Tensor,
} from '@softgrad/core';
import { reference, referenceCrossEntropy } from '@softgrad/core/conformance';
import type { FloatArray } from '../workloads.js';
import type { AccuracyData } from './inputs.js';

type Parameters = Required<Pick<reference.ReferenceParameters, 'temperature'>> & {
  readonly mask: Uint8Array | null;
};

/** What the reference is given: one period of each row, already rounded to the dtype. */
export interface Case extends AccuracyData {
  readonly layout: Rows;
  readonly parameters: Parameters;
  readonly operand: AccuracyOp['operand'];
  /** softmax or logSoftmax of the whole rows at the temperature, or sigmoid, rounded to the dtype; empty for ops that take logits. */
  readonly output: FloatArray;
}

/** How an op is called and what its result should be. */
export interface AccuracyOp {
  /** What its first operand is. */
  readonly operand: 'logits' | 'softmax' | 'logSoftmax' | 'sigmoid';
  /** Whether it computes entry by entry, so that there is no temperature and no mask. */
  readonly isElementwise?: boolean;
  /** Results of one row of so many classes. */
  results(classes: number): number;
  call(operand: Tensor, direction: Tensor, target: Tensor, options: SoftmaxOptions): Tensor;
  /** The results of one period of each row, from the double-double reference. */
  expected(input: Case): Float64Array;
  /**
   * The magnitude of the terms that are left once everything has been subtracted that can be subtracted exactly: rounding them is
   * unavoidable, and a result that is small compared with them cannot be more accurate. Missing if no term exceeds the result.
   */
  attainable?(input: Case): Float64Array;
  /**
   * What the rounding of the operand leaves open: the difference between formulas that agree where the probabilities of a row sum to 1. Errors
   * up to it are counted as 0. Missing if the result is fully determined.
   */
  undetermined?(input: Case): Float64Array;
  /** Whether a row that repeats its entries has results that repeat. Default true; false leaves rows of millions of classes out. */
  readonly isPeriodic?: boolean;
}

const perEntry = (classes: number) => classes;

const softmaxProduct = {
  operand: 'softmax',
  results: perEntry,
  expected: ({ output, directions, layout, repeats, parameters }) =>
    reference.softmaxVjp(output, directions, layout, parameters).map((value) => value * repeats),
  attainable: (input) =>
    ofRows(input, (row) => {
      const size = centredSize(row, input.repeats);
      return (entry) => (entry.p * size(entry)) / input.parameters.temperature;
    }),
} as const satisfies Partial<AccuracyOp>;

const elementwise = { results: perEntry, isElementwise: true } as const satisfies Partial<AccuracyOp>;

/** The ops by their names in core. */
export const accuracyOps = byName({
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
    expected: ({ output, layout, parameters }) => reference.softmaxJacobian(output, layout, parameters),
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
      const g = extended(directions, layout, (row) => [(repeats - 1) * row.reduce((total, value) => total + value, 0)]);
      const all = reference.logSoftmaxVjp(y, g, { ...layout, classes: period + 1 }, { temperature });
      return columns(all, period + 1, 0, period);
    },
    attainable: (input) =>
      ofRows(input, (row) => {
        const total = input.repeats * sum(row, ({ g }) => Math.abs(g));
        return (entry) => {
          const { p, g } = entry;
          const terms =
            p > 0.5
              ? Math.abs(g) * sum(row, (other) => (other === entry ? 0 : other.p)) + p * (total - Math.abs(g))
              : Math.abs(g) + p * total;
          return terms / input.parameters.temperature;
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
      // The mean over all periods is that of `repeats · t` over one; the tangents themselves are separate terms, without probability.
      const y = extended(output, layout, (row) => row.map(() => Number.NEGATIVE_INFINITY));
      const t = extended(directions, layout, (row) => row).map((tangent, k) =>
        k % (2 * period) < period ? repeats * tangent : tangent,
      );
      const all = reference.logSoftmaxJvp(y, t, { ...layout, classes: 2 * period }, { temperature });
      return columns(all, 2 * period, period, period);
    },
    attainable: (input) =>
      ofRows(input, (row) => {
        const size = centredSize(row, input.repeats);
        return (entry) => size(entry) / input.parameters.temperature;
      }),
    // t of the entry above ½, times 1 − Σ p: what the result changes by if that t is subtracted from all, which is exact here.
    undetermined: (input) => {
      const { output, directions, layout, parameters, repeats } = input;
      if (repeats > 1) return new Float64Array(output.length);
      const origins = ofRows(input, (row) => {
        const origin = originOf(row);
        return () => origin;
      });
      const moved = Float64Array.from(directions, (t, k) => t - (origins[k] ?? Number.NaN));
      const [given, shifted] = [directions, moved].map((t) => reference.logSoftmaxJvp(output, t, layout, parameters));
      return Float64Array.from(given ?? [], (value, k) => Math.abs(value - (shifted?.[k] ?? Number.NaN)));
    },
  },
  logSumExp: {
    operand: 'logits',
    results: () => 1,
    call: (x, _g, _y, options) => logSumExp(x, options),
    expected: ({ logits, layout, parameters, repeats }) =>
      reference.logSumExp(logits, layout, parameters).map((value) => value + Math.log(repeats)),
    attainable: ({ logits, layout, parameters, mask }) => {
      const kept = Float64Array.from(logits, (logit, k) => (mask?.[k] === 0 ? Number.NEGATIVE_INFINITY : logit));
      return reference.logSumExp(logits, layout, parameters).map((value, row) => {
        const largest = kept
          .subarray(row * layout.classes, (row + 1) * layout.classes)
          .reduce((a, b) => Math.max(a, b));
        return Math.max(Math.abs(largest / parameters.temperature), Math.abs(value));
      });
    },
  },
  'crossEntropy.loss': {
    operand: 'logits',
    results: () => 1,
    call: (x, _g, target, options) => crossEntropy.loss(x, target, { ...options, reduction: 'none' }),
    expected: (input) => {
      const y = logProbabilities(input);
      return Float64Array.from(input.target, (c, row) => -(y[row * input.period + c] ?? Number.NaN));
    },
  },
  'crossEntropy.gradient': {
    operand: 'logits',
    results: perEntry,
    call: (x, _g, target, options) => crossEntropy.gradient(x, target, { ...options, reduction: 'none' }),
    expected: ({ logits, layout, parameters, target }) => crossEntropyOf(logits, target, layout, parameters).gradient,
    // The target is in one of the periods.
    isPeriodic: false,
  },
  sigmoid: {
    ...elementwise,
    operand: 'logits',
    call: (x) => sigmoid(x),
    expected: ({ logits }) => reference.sigmoid(logits),
  },
  'sigmoid.vjp': {
    ...elementwise,
    operand: 'sigmoid',
    call: (y, g) => sigmoid.vjp(y, g),
    expected: ({ output, directions }) => reference.sigmoidVjp(output, directions),
  },
  relu: {
    ...elementwise,
    operand: 'logits',
    call: (x) => relu(x),
    expected: ({ logits }) => Float64Array.from(logits, (value) => Math.max(value, 0)),
  },
});

/** A function, so that the declarations have no types that TypeScript infers for the formulas. */
function byName<Name extends string>(ops: Readonly<Record<Name, AccuracyOp>>): Readonly<Record<Name, AccuracyOp>> {
  return ops;
}

/** A function of core whose errors can be measured: `softmax`, `softmax.vjp`. */
export type AccuracyOpName = keyof typeof accuracyOps;

const names = Object.keys(accuracyOps) as readonly AccuracyOpName[];

/**
 * The ops of these names; `all` stands for every one.
 *
 * @throws ERR_VALUE for an unknown name
 * @example
 * selectAccuracyOps(['softmax', 'softmax.vjp']); // ['softmax', 'softmax.vjp']
 */
export function selectAccuracyOps(chosen: readonly string[]): readonly AccuracyOpName[] {
  if (chosen.includes('all')) return names;
  return chosen.map((name) => {
    const found = names.find((known) => known === name);
    if (found === undefined)
      throw new SoftgradError(
        'ERR_VALUE',
        `unknown op '${shortened(name)}'; expected all or some of ${names.join(', ')}`,
      );
    return found;
  });
}

function crossEntropyOf(logits: FloatArray, target: Int32Array, layout: Rows, parameters: Parameters) {
  return referenceCrossEntropy(logits, { kind: 'indices', values: target }, layout, {
    ...parameters,
    reduction: 'none',
  });
}

/** log p of one period of each row, where the others have their share of the sum. */
function logProbabilities({ logits, layout, parameters, repeats }: Case): Float64Array {
  return reference.logSoftmax(logits, layout, parameters).map((value) => value - Math.log(repeats));
}

/** An entry that the mask keeps: its probability, and its cotangent or tangent. */
interface Entry {
  readonly k: number;
  readonly p: number;
  readonly g: number;
}

/** A number for each entry, from its row; masked entries get 0. */
function ofRows(input: Case, entryOf: (row: readonly Entry[]) => (entry: Entry) => number): Float64Array {
  const { output, directions, operand, mask, period } = input;
  const result = new Float64Array(output.length);
  for (let start = 0; start < output.length; start += period) {
    const row: Entry[] = [];
    for (const [c, g] of directions.subarray(start, start + period).entries()) {
      const k = start + c;
      const value = output[k] ?? Number.NaN;
      if (mask?.[k] !== 0) row.push({ k, p: operand === 'logSoftmax' ? Math.exp(value) : value, g });
    }
    const numberOf = entryOf(row);
    for (const entry of row) result[entry.k] = numberOf(entry);
  }
  return result;
}

/** What is subtracted from all of a row's directions: that of a probability above ½. */
function originOf(row: readonly Entry[]): number {
  return row.find(({ p }) => p > 0.5)?.g ?? 0;
}

/** The size of the terms of `(g − o) − Σ p (g − o)` over all periods, o the origin of the row. */
function centredSize(row: readonly Entry[], repeats: number): (entry: Entry) => number {
  const origin = originOf(row);
  const mean = repeats * sum(row, ({ p, g }) => p * Math.abs(g - origin));
  return ({ g }) => Math.abs(g - origin) + mean;
}

function sum(row: readonly Entry[], term: (entry: Entry) => number): number {
  return row.reduce((total, entry) => total + term(entry), 0);
}

/** The rows of `values` with more entries at their ends. */
function extended(
  values: FloatArray,
  { outer, classes }: Rows,
  more: (row: readonly number[]) => readonly number[],
): Float64Array {
  const rows = Array.from({ length: outer }, (_, row) => [...values.subarray(row * classes, (row + 1) * classes)]);
  return Float64Array.from(rows.flatMap((row) => [...row, ...more(row)]));
}

/** So many columns of a matrix, from one on. */
function columns(values: Float64Array, width: number, from: number, count: number): Float64Array {
  return values.filter((_, k) => k % width >= from && k % width < from + count);
}
