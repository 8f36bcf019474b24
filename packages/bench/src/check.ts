import type { HostArray, Rows } from '@softgrad/core';
import { reference, tolerance } from '@softgrad/core/conformance';
import type { Contender } from './contender.js';
import type { Workload, WorkloadInput } from './workloads.js';

/** How right a contender's numbers are, on rows spread over the whole output. */
export interface Correctness {
  readonly ok: boolean;
  readonly rowsChecked: number;
  /** Largest error as a share of the bound; above 1 is wrong. NaN where the output holds NaN. */
  readonly worstShareOfBound: number;
  /** Largest error of a result in ULP of the dtype, over results of at least 1e-30. */
  readonly worstUlp: number;
}

const mostRows = 24;

/** Checks an output against the float64 reference under the bound of the conformance suite. */
export function checkOutput(
  contender: Pick<Contender, 'expUlp' | 'subnormals'>,
  workload: Workload,
  input: WorkloadInput,
  output: HostArray,
): Correctness {
  const { op, shape, dtype } = workload;
  const [rowCount, classes] = shape;
  const picked = spread(rowCount, op === 'jacobian' && classes > 200 ? 4 : mostRows);
  const width = op === 'jacobian' ? classes * classes : classes;
  const rows = { outer: picked.length, classes, inner: 1 };
  const x = take(input.logits, picked, classes);
  const actual = take(output, picked, width);
  const precision = tolerance.precisionOf(contender, dtype);
  const { expected, bound } = expectation(precision, op, {
    rows,
    x,
    s: take(input.probabilities, picked, classes),
    g: take(input.cotangent, picked, classes),
    target: picked.map((row) => input.target[row]),
    scale: 1 / rowCount,
  });
  const ulp = dtype === 'float64' ? 2 ** -52 : 2 ** -23;
  let worstShareOfBound = 0;
  let worstUlp = 0;
  for (let k = 0; k < expected.length; k++) {
    const error = Math.abs(actual[k] - expected[k]);
    const share = error === 0 ? 0 : error / bound[k];
    if (!(share <= worstShareOfBound)) worstShareOfBound = share;
    const magnitude = Math.abs(expected[k]);
    if (magnitude >= 1e-30) worstUlp = Math.max(worstUlp, error / (ulp * 2 ** Math.floor(Math.log2(magnitude))));
  }
  return { ok: worstShareOfBound <= 1, rowsChecked: picked.length, worstShareOfBound, worstUlp };
}

interface Operands {
  readonly rows: Rows;
  readonly x: Float64Array;
  readonly s: Float64Array;
  readonly g: Float64Array;
  readonly target: readonly number[];
  /** The mean is over all rows, picked or not. */
  readonly scale: number;
}

interface Expectation {
  readonly expected: Float64Array;
  readonly bound: Float64Array;
}

function expectation(precision: tolerance.Precision, op: Workload['op'], operands: Operands): Expectation {
  const { rows, x, s, g } = operands;
  switch (op) {
    case 'softmax': {
      const expected = reference.softmax(x, rows);
      return { expected, bound: tolerance.softmaxTolerance(precision, x, expected, rows) };
    }
    case 'logSoftmax': {
      const expected = reference.logSoftmax(x, rows);
      return { expected, bound: tolerance.logSoftmaxTolerance(precision, x, expected, rows) };
    }
    case 'jacobian': {
      const expected = reference.softmaxJacobian(s, rows);
      return { expected, bound: tolerance.softmaxJacobianTolerance(precision, s, expected, rows) };
    }
    case 'vjp': {
      const expected = reference.softmaxVjp(s, g, rows);
      return { expected, bound: tolerance.softmaxVjpTolerance(precision, s, g, expected, rows) };
    }
    case 'crossEntropy':
      return crossEntropyGradient(precision, operands);
  }
}

/** (p − y) scale: the probability's own bound, and the rounding of the subtraction and the scaling. */
function crossEntropyGradient(precision: tolerance.Precision, { rows, x, target, scale }: Operands): Expectation {
  const p = reference.softmax(x, rows);
  const bound = tolerance.softmaxTolerance(precision, x, p, rows);
  const expected = p.map((probability, k) => {
    const hit = target[Math.floor(k / rows.classes)] === k % rows.classes;
    return (probability - (hit ? 1 : 0)) * scale;
  });
  return {
    expected,
    bound: bound.map((b, k) => b * scale + 4 * precision.unit * Math.abs(expected[k]) + precision.floor),
  };
}

function spread(rowCount: number, most: number): number[] {
  const count = Math.min(rowCount, most);
  return Array.from({ length: count }, (_, k) => Math.floor((k * (rowCount - 1)) / Math.max(1, count - 1)));
}

function take(data: HostArray, picked: readonly number[], width: number): Float64Array {
  const taken = new Float64Array(picked.length * width);
  for (let k = 0; k < picked.length; k++) {
    taken.set(data.subarray(picked[k] * width, (picked[k] + 1) * width), k * width);
  }
  return taken;
}
