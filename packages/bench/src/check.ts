import type { HostArray, Rows } from '@softgrad/core';
import { type ReferenceTarget, reference, tolerance } from '@softgrad/core/conformance';
import type { Contender } from './contender.js';
import { type OpParts, partsOf } from './ops.js';
import { inFloat64, sweep } from './sweep.js';
import { divisorOfMean, targetWeights } from './target-weights.js';
import { keeps, type WorkloadInput } from './workload-input.js';
import type { Workload } from './workloads.js';

/** The accuracy of a contender's results. */
export interface Correctness {
  readonly ok: boolean;
  /** A description of what is wrong, or null. */
  readonly problem: string | null;
  /** Number of rows, spread over the whole output, that were compared with the reference; all others are compared with float64 loops. */
  readonly rowsChecked: number;
  /** Largest error on those rows as a share of the conformance suite's bound; above 1 is wrong. NaN if the output contains NaN. */
  readonly worstShareOfBound: number;
  /** Largest error on those rows in ULP of the dtype, over results of at least 1e-30. */
  readonly worstUlp: number;
}

/** At most this many rows are compared with the reference; fewer if they are long, but at least the first and the last. */
const mostRows = 24;
const mostReferenceResults = 2 ** 17;
/** Longer rows are compared with float64 loops only, because the reference would take minutes. */
const longestReferenceRow = 2 ** 18;

/**
 * Makes a checker for the outputs of a workload. It compares some rows with the reference under the bound of the conformance suite,
 * and every element with float64 loops under twice that bound, because a mistake may occur in the other rows only.
 *
 * @returns a function of the contender's `expUlp` and `subnormals` and of its output, flat: rows × classes numbers, of the Jacobian rows × classes².
 *   A wrong output is reported, not thrown
 * @example
 * const [workload] = selectWorkloads({ ops: ['softmax'], shapes: ['64x10'] });
 * const input = workloadInput(workload);
 * const check = outputChecker(workload, input);
 * check({ expUlp: { base: 2, slope: 1 }, subnormals: 'preserve' }, input.probabilities).ok; // true
 * check({ expUlp: { base: 2, slope: 1 }, subnormals: 'preserve' }, input.logits).ok; // false
 */
export function outputChecker(
  workload: Workload,
  input: WorkloadInput,
): (contender: Pick<Contender, 'expUlp' | 'subnormals'>, output: HostArray) => Correctness {
  const { shape, dtype } = workload;
  const [rowCount, classes] = shape;
  const parts = partsOf(workload.op);
  const width = parts.op === 'jacobian' ? classes * classes : classes;
  const most = Math.max(2, Math.min(mostRows, Math.floor(mostReferenceResults / width)));
  const picked = spread(rowCount, most);
  const operands = operandsOf(workload, input, picked);
  const expected = classes <= longestReferenceRow ? expectedOf(parts, operands) : inFloat64(workload, input, picked);
  return (contender, output) => {
    if (output.length !== rowCount * width) {
      const problem = `${output.length} results instead of ${rowCount * width}`;
      return { ok: false, problem, rowsChecked: 0, worstShareOfBound: Number.NaN, worstUlp: Number.NaN };
    }
    const precision = tolerance.precisionOf(contender, dtype);
    const bound = boundOf(precision, parts, operands, expected);
    const errors = compare(take(output, picked, width), expected, bound, dtype === 'float64' ? 2 ** -52 : 2 ** -23);
    const known = { expected, bound, picked, floor: precision.floor };
    const problem = problemOf(errors.worstShareOfBound) ?? sweep(workload, input, output, known);
    return { ok: problem === null, problem, rowsChecked: picked.length, ...errors };
  };
}

function problemOf(worstShareOfBound: number): string | null {
  if (Number.isNaN(worstShareOfBound)) return 'the results contain NaN';
  return worstShareOfBound <= 1 ? null : `error ${worstShareOfBound.toPrecision(3)} times the bound`;
}

function compare(
  actual: Float64Array,
  expected: Float64Array,
  bound: Float64Array,
  ulp: number,
): Pick<Correctness, 'worstShareOfBound' | 'worstUlp'> {
  let worstShareOfBound = 0;
  let worstUlp = 0;
  for (const [k, exact] of expected.entries()) {
    const error = Math.abs((actual[k] ?? Number.NaN) - exact);
    if (Number.isNaN(error)) return { worstShareOfBound: Number.NaN, worstUlp: Number.NaN };
    if (error === 0) continue;
    worstShareOfBound = Math.max(worstShareOfBound, error / (bound[k] ?? Number.NaN));
    const magnitude = Math.abs(exact);
    if (magnitude >= 1e-30) worstUlp = Math.max(worstUlp, error / (ulp * 2 ** Math.floor(Math.log2(magnitude))));
  }
  return { worstShareOfBound, worstUlp };
}

/** The operands of some rows. */
interface Operands {
  readonly rows: Rows;
  readonly x: Float64Array;
  readonly s: Float64Array;
  readonly g: Float64Array;
  readonly parameters: reference.ReferenceParameters;
  readonly target: ReferenceTarget;
  readonly weight: HostArray | null;
  /** Of crossEntropy the weights of the target, and their sum in each row. */
  readonly q: Float64Array;
  readonly totals: Float64Array;
  /** The mean is over all rows, not only the picked ones. */
  readonly scale: number;
}

function operandsOf(workload: Workload, input: WorkloadInput, picked: readonly number[]): Operands {
  const [, classes] = workload.shape;
  const { op, temperature = 1 } = partsOf(workload.op);
  const { mask, targetProbabilities } = input;
  const row = new Float64Array(classes);
  const weightsOf = targetWeights(workload, input, row);
  const q = new Float64Array(op === 'crossEntropy' ? picked.length * classes : 0);
  const totals = Float64Array.from(op === 'crossEntropy' ? picked : [], (r, k) => {
    const total = weightsOf(r);
    q.set(row, k * classes);
    return total;
  });
  const maskOfRows = mask && new Uint8Array(picked.length * classes);
  maskOfRows?.forEach((_, k) => {
    const entry = (picked[Math.floor(k / classes)] ?? Number.NaN) * classes + (k % classes);
    maskOfRows[k] = keeps(mask, entry) ? 1 : 0;
  });
  return {
    rows: { outer: picked.length, classes, inner: 1 },
    x: take(input.logits, picked, classes),
    s: take(input.probabilities, picked, classes),
    g: take(input.cotangent, picked, classes),
    parameters: { temperature, mask: maskOfRows },
    target: targetProbabilities
      ? { kind: 'probabilities', values: take(targetProbabilities, picked, classes) }
      : { kind: 'indices', values: take(input.target, picked, 1) },
    weight: input.weight,
    q,
    totals,
    scale: 1 / divisorOfMean(input),
  };
}

function expectedOf(
  { op, labelSmoothing }: OpParts,
  { rows, x, s, g, parameters, target, weight, scale }: Operands,
): Float64Array {
  switch (op) {
    case 'softmax':
      return reference.softmax(x, rows, parameters);
    case 'logSoftmax':
      return reference.logSoftmax(x, rows, parameters);
    case 'sigmoid':
      return reference.sigmoid(x);
    case 'relu':
      return x.map((value) => Math.max(value, 0));
    case 'jacobian':
      return reference.softmaxJacobian(s, rows, parameters);
    case 'vjp':
      return reference.softmaxVjp(s, g, rows, parameters);
    case 'crossEntropy': {
      const options = { ...parameters, weight, reduction: 'sum', ...(labelSmoothing && { labelSmoothing }) } as const;
      return reference.crossEntropyGradient(x, target, rows, options).map((value) => value * scale);
    }
  }
}

function boundOf(
  precision: tolerance.Precision,
  { op, labelSmoothing, target }: OpParts,
  { rows, x, s, g, parameters, weight, q, totals, scale }: Operands,
  expected: Float64Array,
): Float64Array {
  switch (op) {
    case 'softmax':
      return tolerance.softmaxTolerance(precision, x, expected, rows, parameters);
    case 'logSoftmax': {
      const bounds = tolerance.logSoftmaxTolerance(precision, x, expected, rows, parameters);
      const cancelled = cancelledLogarithms(precision, x, rows, parameters);
      return bounds.map((bound, k) => bound + (cancelled[Math.floor(k / rows.classes)] ?? Number.NaN));
    }
    case 'sigmoid':
      return tolerance.sigmoidTolerance(precision, x, expected);
    case 'relu':
      return expected.map((value) => precision.unit * Math.abs(value) + precision.floor);
    case 'jacobian':
      return tolerance
        .softmaxJacobianTolerance(precision, s, expected, rows, parameters)
        .map((bound, k) => bound + cancelledDiagonal(precision, s, rows, k));
    case 'vjp': {
      const cancelled = cancelledMeans(precision, s, g, rows);
      return tolerance
        .softmaxVjpTolerance(precision, s, g, expected, rows, parameters)
        .map((bound, k) => bound + (cancelled[k] ?? Number.NaN));
    }
    case 'crossEntropy': {
      // (p Σq − q) scale: the probability's own bound, the rounding of the target's weights and of their sum, of the subtraction and the scaling.
      const p = reference.softmax(x, rows, parameters);
      const ofProbabilities = tolerance.softmaxTolerance(precision, x, p, rows, parameters);
      // (1 − ε) d + ε/K is two products, a quotient and a sum; a class weight is a product.
      const ofWeights = (labelSmoothing ? 8 : 0) + (weight ? 1 : 0);
      // A class index has one weight that is not 0 unless it is smoothed.
      const ofSum = ofWeights + (labelSmoothing || target === 'probabilities' ? tolerance.summation(rows.classes) : 0);
      return expected.map((value, k) => {
        const total = totals[Math.floor(k / rows.classes)] ?? Number.NaN;
        const ofProbability = total * (ofProbabilities[k] ?? Number.NaN);
        const ofTarget = ofSum * total * (p[k] ?? Number.NaN) + ofWeights * (q[k] ?? Number.NaN);
        return (
          (ofProbability + precision.unit * ofTarget) * scale + 4 * precision.unit * Math.abs(value) + precision.floor
        );
      });
    }
  }
}

// Competitors that compute `1 − s`, `g − ⟨s, g⟩` and the logarithm of a sum near 1 lose digits where a row is nearly one-hot. They are timed nevertheless:
// conformance checks whether a backend is more accurate.

/** The error of `s (1 − s)` at an entry of the Jacobians. */
function cancelledDiagonal({ unit }: tolerance.Precision, s: Float64Array, { classes }: Rows, entry: number): number {
  const row = Math.floor(entry / classes ** 2) * classes;
  const [r, c] = [Math.floor(entry / classes) % classes, entry % classes];
  if (r !== c) return 0;
  const excess = Math.abs(s.subarray(row, row + classes).reduce((sum, p) => sum + p, -1));
  const p = s[row + r] ?? Number.NaN;
  return 2 * unit * p ** 2 + p * excess;
}

/** The error of the logarithm of each row's sum, absolute: that of the sum, and of a logarithm near 1. */
function cancelledLogarithms(
  precision: tolerance.Precision,
  x: Float64Array,
  { outer, classes }: Rows,
  parameters: reference.ReferenceParameters,
) {
  return Float64Array.from({ length: outer }, (_, row) => {
    const at = Array.from({ length: classes }, (_, c) => row * classes + c);
    return precision.unit * (tolerance.rowErrors(precision, x, at, parameters).sum + precision.log(0));
  });
}

/** The error of `s ⊙ (g − ⟨s, g⟩)` at each entry. */
function cancelledMeans({ unit }: tolerance.Precision, s: Float64Array, g: Float64Array, { classes }: Rows) {
  const lost = new Float64Array(s.length);
  for (let start = 0; start < s.length; start += classes) {
    const end = start + classes;
    const probabilities = s.subarray(start, end);
    const largest = g.subarray(start, end).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const excess = Math.abs(probabilities.reduce((sum, p) => sum + p, -1));
    const factor = 2 * largest * (unit * (tolerance.summation(classes) + 5) + excess);
    lost.set(
      probabilities.map((p) => p * factor),
      start,
    );
  }
  return lost;
}

/** Evenly spaced rows, from the first to the last. */
function spread(rowCount: number, most: number): readonly number[] {
  const count = Math.min(rowCount, most);
  return Array.from({ length: count }, (_, k) => Math.floor((k * (rowCount - 1)) / Math.max(1, count - 1)));
}

function take(data: HostArray, picked: readonly number[], width: number): Float64Array {
  const taken = new Float64Array(picked.length * width);
  for (const [k, row] of picked.entries()) taken.set(data.subarray(row * width, (row + 1) * width), k * width);
  return taken;
}
