import { logSoftmax, type Rows } from '@softgrad/core';
import { reference } from '@softgrad/core/conformance';
import type { FloatArray } from '../../workloads.js';
import { originOfTangent, terms, undeterminedCurvature } from '../terms.js';
import { diagonalOf, given, type OpsOf, perEntry, short, small } from './op.js';

/** log-softmax and its derivatives. */
export const logSoftmaxOps: OpsOf<'logSoftmax'> = {
  logSoftmax: {
    ...perEntry,
    operands: ['logits'],
    call: ([x], options) => logSoftmax(given(x), options),
    // The other periods have their share of the sum.
    expected: ({ logits, layout, parameters, repeats }) =>
      reference.logSoftmax(logits, layout, parameters).map((value) => value - Math.log(repeats)),
  },
  'logSoftmax.jacobian': {
    ...small,
    operands: ['logSoftmax'],
    call: ([y], options) => logSoftmax.jacobian(given(y), options),
    expected: ({ layout, parameters, ...input }) =>
      reference.logSoftmaxJacobian(input.output('logSoftmax'), layout, parameters),
  },
  'logSoftmax.linearize.diagonal': {
    ...perEntry,
    ...short,
    operands: ['logits'],
    call: ([x], options) => diagonalOf(logSoftmax.linearize(given(x), options)),
    expected: ({ layout, parameters, ...input }) =>
      reference.logSoftmaxJacobian(input.output('logSoftmax'), layout, parameters, 'diagonal'),
  },
  'logSoftmax.vjp': {
    ...perEntry,
    operands: ['logSoftmax', 'direction'],
    call: ([y, g], options) => logSoftmax.vjp(given(y), given(g), options),
    expected: ({ layout, period, repeats, directions, parameters, ...input }) => {
      const { temperature } = parameters;
      const output = input.output('logSoftmax');
      if (repeats === 1) return reference.logSoftmaxVjp(output, directions, layout, parameters);
      // An entry without probability has the cotangents of the other periods; their sum is exact.
      const y = extended(output, layout, () => [Number.NEGATIVE_INFINITY]);
      const g = extended(directions, layout, (row) => [(repeats - 1) * row.reduce((total, value) => total + value, 0)]);
      const all = reference.logSoftmaxVjp(y, g, { ...layout, classes: period + 1 }, { temperature });
      return columns(all, period + 1, 0, period);
    },
    attainable: terms.logSoftmaxVjp,
  },
  'logSoftmax.jvp': {
    ...perEntry,
    operands: ['logSoftmax', 'direction'],
    call: ([y, t], options) => logSoftmax.jvp(given(y), given(t), options),
    expected: ({ layout, period, repeats, directions, parameters, ...input }) => {
      const { temperature } = parameters;
      const output = input.output('logSoftmax');
      if (repeats === 1) return reference.logSoftmaxJvp(output, directions, layout, parameters);
      // The mean over all periods is that of `repeats · t` over one; the tangents themselves are separate terms, without probability.
      const y = extended(output, layout, (row) => row.map(() => Number.NEGATIVE_INFINITY));
      const t = extended(directions, layout, (row) => row).map((tangent, k) =>
        k % (2 * period) < period ? repeats * tangent : tangent,
      );
      const all = reference.logSoftmaxJvp(y, t, { ...layout, classes: 2 * period }, { temperature });
      return columns(all, 2 * period, period, period);
    },
    attainable: terms.logSoftmaxJvp,
    // t of the entry above ½, times 1 − Σ p: what the result changes by if that t is subtracted from all, which is exact here.
    undetermined: (input) => {
      const { directions, layout, parameters, repeats } = input;
      const output = input.output('logSoftmax');
      if (repeats > 1) return new Float64Array(output.length);
      const origins = originOfTangent(input);
      const moved = Float64Array.from(directions, (t, k) => t - (origins[k] ?? Number.NaN));
      const [given, shifted] = [directions, moved].map((t) => reference.logSoftmaxJvp(output, t, layout, parameters));
      return Float64Array.from(given ?? [], (value, k) => Math.abs(value - (shifted?.[k] ?? Number.NaN)));
    },
  },
  'logSoftmax.hvp': {
    ...perEntry,
    ...short,
    operands: ['logSoftmax', 'direction', 'tangent'],
    call: ([y, g, t], options) => logSoftmax.hvp(given(y), given(g), given(t), options),
    expected: ({ directions, tangents, layout, parameters, ...input }) =>
      reference.logSoftmaxHvp(input.output('logSoftmax'), directions, tangents, layout, parameters),
    attainable: terms.logSoftmaxHvp,
    undetermined: undeterminedCurvature,
  },
};

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
