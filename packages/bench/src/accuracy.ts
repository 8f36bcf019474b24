import type { HostArray } from '@softgrad/core';
import { reference } from '@softgrad/core/conformance';
import type { Contender, ContenderSource } from './contender.js';
import { type Environment, environment } from './environment.js';
import type { Signal } from './platform.js';
import { uniform } from './random.js';
import type { TextTable } from './table.js';
import {
  type BenchDType,
  type BenchShape,
  benchDTypes,
  type FloatArray,
  floatArray,
  type Workload,
} from './workloads.js';

/** Logits uniform in `offset ± range`. */
export interface LogitRange {
  readonly range: number;
  readonly offset: number;
}

export interface AccuracyOptions {
  readonly contenders: readonly ContenderSource[];
  /** Default: softmax. */
  readonly ops?: readonly ('softmax' | 'logSoftmax')[] | undefined;
  /** Default: float32 and float64. */
  readonly dtypes?: readonly BenchDType[] | undefined;
  /** Classes of a row. Default: from 1 to 128256. */
  readonly classes?: readonly number[] | undefined;
  readonly signal?: Signal | undefined;
}

/** One contender on one input. */
export interface AccuracyResult {
  readonly op: 'softmax' | 'logSoftmax';
  readonly dtype: BenchDType;
  readonly shape: BenchShape;
  readonly logits: LogitRange;
  readonly contender: string;
  /**
   * Largest error in ULP of the dtype, over results of magnitude at least 1e-30; NaN if a result is NaN. null if the contender
   * does not support the input.
   */
  readonly worstUlp: number | null;
  /** Largest distance of a row's sum of probabilities from 1, in ULP of 1. */
  readonly worstRowSumUlp: number | null;
}

export interface AccuracyReport {
  readonly schema: 'softgrad-accuracy/1';
  readonly environment: Environment;
  readonly contenders: readonly { readonly name: string; readonly description: string }[];
  readonly unavailable: readonly { readonly name: string; readonly reason: string }[];
  readonly results: readonly AccuracyResult[];
}

const logitRanges: readonly LogitRange[] = [
  { range: 1, offset: 0 },
  { range: 20, offset: 0 },
  { range: 80, offset: 0 },
  { range: 8, offset: 1e4 },
];

const standardClasses: readonly number[] = [1, 3, 10, 128, 1000, 32000, 128256];

/** Number of results per input. It is the same for all, because the largest error grows with the number of results. */
const resultsAtLeast = 8000;

/**
 * The largest error of each contender's softmax in ULP, over logits within ±1, ±20, ±80 and around 1e4, and rows of 1 to 128,256
 * classes. float32 results are compared with float64 loops, whose error is below 1e-6 ULP of float32, and float64 results with
 * core's double-double reference. The logits are rounded to the dtype first, so that the whole error is the contender's.
 */
export async function measureAccuracy(
  { contenders: sources, ops = ['softmax'], dtypes = benchDTypes, classes = standardClasses, signal }: AccuracyOptions,
  onProgress: (progress: { readonly done: number; readonly total: number; readonly label: string }) => void = () => {},
): Promise<AccuracyReport> {
  const inputs = ops.flatMap((op) =>
    dtypes.flatMap((dtype) => classes.flatMap((f) => logitRanges.map((logits) => ({ op, dtype, f, logits })))),
  );
  const opened: Contender[] = [];
  const unavailable: { name: string; reason: string }[] = [];
  const results: AccuracyResult[] = [];
  try {
    for (const source of sources) {
      signal?.throwIfAborted();
      const contender = await source.open();
      if (typeof contender === 'string') unavailable.push({ name: source.name, reason: contender });
      else opened.push(contender);
    }
    for (const [done, { op, dtype, f, logits }] of inputs.entries()) {
      onProgress({ done, total: inputs.length, label: `${op} ${dtype}, ${f} classes, logits ${rangeName(logits)}` });
      await new Promise((resolve) => setTimeout(resolve, 0));
      const workload: Workload = { op, dtype, shape: [Math.ceil(resultsAtLeast / f), f] };
      const x = logitsOf(workload, logits);
      const expected = dtype === 'float64' ? inDoubleDouble(op, x, workload.shape) : inFloat64(op, x, workload.shape);
      for (const contender of opened) {
        signal?.throwIfAborted();
        const errors = await errorsOf(contender, workload, x, expected);
        results.push({ op, dtype, shape: workload.shape, logits, contender: contender.name, ...errors });
      }
    }
  } finally {
    for (const contender of opened) await contender.close();
  }
  onProgress({ done: inputs.length, total: inputs.length, label: 'done' });
  return {
    schema: 'softgrad-accuracy/1',
    environment: environment(),
    contenders: opened.map(({ name, description }) => ({ name, description })),
    unavailable,
    results,
  };
}

async function errorsOf(
  contender: Contender,
  workload: Workload,
  logits: FloatArray,
  expected: Float64Array,
): Promise<Pick<AccuracyResult, 'worstUlp' | 'worstRowSumUlp'>> {
  const [rows] = workload.shape;
  const job = await contender.prepare(workload, {
    logits,
    probabilities: logits,
    cotangent: logits,
    target: new Int32Array(rows),
  });
  if (typeof job === 'string') return { worstUlp: null, worstRowSumUlp: null };
  try {
    const actual = await job.result();
    const worstRowSumUlp = workload.op === 'softmax' ? rowSumError(actual, workload) : null;
    return { worstUlp: largestError(actual, expected, workload.dtype), worstRowSumUlp };
  } finally {
    await job.dispose();
  }
}

function logitsOf({ dtype, shape: [rows, f] }: Workload, { range, offset }: LogitRange): FloatArray {
  const random = uniform(f + range);
  const x = floatArray(dtype, rows * f);
  for (let k = 0; k < x.length; k++) x[k] = offset + range * (2 * random() - 1);
  return x;
}

function inDoubleDouble(op: 'softmax' | 'logSoftmax', x: FloatArray, [outer, classes]: BenchShape): Float64Array {
  const rows = { outer, classes, inner: 1 };
  return op === 'softmax' ? reference.softmax(x, rows) : reference.logSoftmax(x, rows);
}

function inFloat64(op: 'softmax' | 'logSoftmax', x: FloatArray, [rows, f]: BenchShape): Float64Array {
  const result = new Float64Array(rows * f);
  for (let start = 0; start < x.length; start += f) {
    const row = x.subarray(start, start + f);
    let max = Number.NEGATIVE_INFINITY;
    for (const logit of row) max = Math.max(max, logit);
    // Sum without the largest term, which is 1, so that log1p keeps the digits of a sum just above 1.
    const top = row.indexOf(max);
    let rest = 0;
    for (const [c, logit] of row.entries()) if (c !== top) rest += Math.exp(logit - max);
    const logSum = Math.log1p(rest);
    for (const [c, logit] of row.entries()) {
      const shifted = logit - max;
      result[start + c] = op === 'softmax' ? Math.exp(shifted) / (1 + rest) : shifted - logSum;
    }
  }
  return result;
}

/** The spacing of a dtype's numbers at `x`, whose magnitude is at least 1e-30, so never subnormal. */
function ulpOf(x: number, dtype: BenchDType): number {
  let exponent = Math.floor(Math.log2(Math.abs(x)));
  // log2 can round up to the next integer.
  if (2 ** exponent > Math.abs(x)) exponent--;
  return 2 ** (exponent - (dtype === 'float64' ? 52 : 23));
}

function largestError(actual: HostArray, expected: Float64Array, dtype: BenchDType): number {
  let largest = 0;
  for (const [k, exact] of expected.entries()) {
    const found = actual[k] ?? Number.NaN;
    if (Number.isNaN(found)) return Number.NaN;
    if (Math.abs(exact) < 1e-30) continue;
    largest = Math.max(largest, Math.abs(found - exact) / ulpOf(exact, dtype));
  }
  return largest;
}

function rowSumError(actual: HostArray, { dtype, shape: [rows, f] }: Workload): number {
  let largest = 0;
  for (let r = 0; r < rows; r++) {
    // Neumaier's summation (ZAMM 54, 1974), so that the check adds no rounding error.
    let sum = 0;
    let lost = 0;
    for (const value of actual.subarray(r * f, (r + 1) * f)) {
      const next = sum + value;
      lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;
      sum = next;
    }
    const error = Math.abs(sum - 1 + lost);
    if (Number.isNaN(error)) return Number.NaN;
    largest = Math.max(largest, error);
  }
  return largest / ulpOf(1, dtype);
}

function rangeName({ range, offset }: LogitRange): string {
  return offset === 0 ? `±${range}` : `${offset} ± ${range}`;
}

/** One table per op and dtype, with one row per input and one column per contender. */
export function accuracyTables({ contenders, results }: AccuracyReport): readonly TextTable[] {
  const groups = new Map<string, AccuracyResult[]>();
  for (const result of results) {
    const title = `${result.op} ${result.dtype}: largest error in ULP over results of at least 1e-30`;
    groups.set(title, [...(groups.get(title) ?? []), result]);
  }
  return [...groups].map(([title, group]) => {
    const measured = contenders.filter(({ name }) =>
      group.some((one) => one.contender === name && one.worstUlp !== null),
    );
    const inputs = [...new Set(group.map(inputName))];
    const find = (input: string, name: string) =>
      group.find((one) => inputName(one) === input && one.contender === name);
    return {
      title,
      head: ['classes', 'logits', ...measured.map(({ name }) => name)],
      rows: inputs.map((input) => [
        ...input.split('; '),
        ...measured.map(({ name }) => find(input, name)?.worstUlp?.toPrecision(2) ?? ''),
      ]),
      notes: contenders.filter((one) => !measured.includes(one)).map(({ name }) => `${name}: dtype not supported`),
    };
  });
}

function inputName({ shape, logits }: AccuracyResult): string {
  return `${shape[1]}; ${rangeName(logits)}`;
}
