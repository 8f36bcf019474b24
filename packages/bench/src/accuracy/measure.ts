import {
  type Backend,
  checkOptions,
  type HostArray,
  isSoftgradError,
  namesOf,
  type Tensor,
  tensor,
} from '@softgrad/core';
import type { Contender, ContenderSource } from '../contender.js';
import { type Environment, environment } from '../environment.js';
import type { Signal } from '../platform.js';
import { type BenchDType, type BenchOp, benchDTypes, benchOps, type FloatArray, floatArray } from '../workloads.js';
import { type AccuracyInput, accuracyData, accuracyInputs, repeatsOf } from './inputs.js';
import { type AccuracyCall, type AccuracyOp, type AccuracyOpName, accuracyOps, type OperandName } from './ops.js';
import { type Case, type OutputName, smoothing } from './terms.js';

/** What `measureAccuracy` measures. */
export interface AccuracyOptions {
  readonly contenders: readonly ContenderSource[];
  /** Default: softmax. */
  readonly ops?: readonly AccuracyOpName[] | undefined;
  /** Default: float32 and float64. */
  readonly dtypes?: readonly BenchDType[] | undefined;
  /** Classes of a row. Default: `standardClasses`, from 1 to 10⁷. */
  readonly classes?: readonly number[] | undefined;
  /**
   * Results per input, or entries if a row has one result: a few more, because rows are whole. Default: 8000. The largest error grows
   * with their number.
   */
  readonly results?: number | undefined;
  readonly signal?: Signal | undefined;
}

const optionNames = namesOf<AccuracyOptions>({
  contenders: true,
  ops: true,
  dtypes: true,
  classes: true,
  results: true,
  signal: true,
});

/** One contender on one input. */
export interface AccuracyResult {
  readonly op: AccuracyOpName;
  readonly dtype: BenchDType;
  readonly classes: number;
  /** The logits, temperature and mask in words: `±20`. */
  readonly input: string;
  readonly contender: string;
  /**
   * Largest error in ULP of the dtype, of the result or of the largest term that remains after exact cancellation if that is larger, over
   * those of magnitude at least 1e-30; NaN if a result is NaN. null if the contender does not support the input.
   */
  readonly worstUlp: number | null;
  /** Largest distance of a row's sum of probabilities from 1, in ULP of 1; softmax only. */
  readonly worstRowSumUlp: number | null;
}

/** The errors of all contenders as plain, versioned data. */
export interface AccuracyReport {
  readonly schema: 'softgrad-accuracy/2';
  readonly environment: Environment;
  readonly contenders: readonly { readonly name: string; readonly description: string }[];
  readonly unavailable: readonly { readonly name: string; readonly reason: string }[];
  readonly results: readonly AccuracyResult[];
}

/** Matrices of longer rows are too many entries. */
const mostResultsOfRow = 1e7;

function isAsked(
  { results, isPeriodic = true, isElementwise, operands, hasFewLongRows, mostClasses = Infinity }: AccuracyOp,
  { classes, around0, target, isForAll }: AccuracyInput,
): boolean {
  if (classes > mostClasses || (hasFewLongRows && !isForAll)) return false;
  if (isElementwise && !around0) return false;
  if (target !== 'indices' && !operands.includes('target')) return false;
  return results(classes) <= mostResultsOfRow && (isPeriodic || repeatsOf(classes) === 1);
}

/** The part of the work that is done, in units of its cost. */
export interface AccuracyProgress {
  readonly done: number;
  readonly total: number;
  /** The input that is measured now. */
  readonly label: string;
}

interface Question {
  readonly op: AccuracyOpName;
  readonly dtype: BenchDType;
  readonly input: AccuracyInput;
}

/**
 * The largest error of each contender in ULP: over logits uniform in ±1, ±20, ±80, 1e4 ± 8 and 1e6 ± 8, nearly one-hot rows, temperatures
 * from 0.01 to 100, a mask, and for cross-entropy targets that are smoothed or probabilities, with 1 to 10⁷ classes. Results are compared with core's double-double reference, whose operands are rounded to
 * the dtype first, so that the whole error is the contender's.
 *
 * Errors are relative to what is attainable: an ULP is that of the result, or of the largest term that remains after everything has been
 * subtracted that can be subtracted exactly.
 *
 * @throws ERR_VALUE for an unknown option; the reason of the `signal` when it is aborted
 * @example
 * const { results } = await measureAccuracy({ contenders: selectContenders(['cpu']), ops: ['relu'], classes: [3], results: 30 });
 * results[0]; // { op: 'relu', dtype: 'float32', classes: 3, input: '±1', contender: 'cpu', worstUlp: 0, worstRowSumUlp: null }
 */
export async function measureAccuracy(
  options: AccuracyOptions,
  onProgress: (progress: AccuracyProgress) => void = () => {},
): Promise<AccuracyReport> {
  const {
    contenders: sources,
    ops = ['softmax'],
    dtypes = benchDTypes,
    classes,
    results: count = 8000,
    signal,
  } = checkOptions('measureAccuracy', options, optionNames);
  const inputs = accuracyInputs(classes);
  const caseOf = cases(count);
  const questions = ops.flatMap((op) =>
    dtypes.flatMap((dtype) =>
      inputs.filter((input) => isAsked(accuracyOps[op], input)).map((input) => ({ op, dtype, input })),
    ),
  );
  const total = questions.reduce((sum, question) => sum + costOf(question, count), 0);
  let done = 0;
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
    for (const question of questions) {
      const { op, dtype, input } = question;
      const cost = costOf(question, count);
      const label = `${op} ${dtype}, ${input.classes} classes, ${input.name}`;
      onProgress({ done, total, label });
      await new Promise((resolve) => setTimeout(resolve, 0));
      const asked = caseOf(question);
      let common: Expectation | undefined;
      for (const [k, contender] of opened.entries()) {
        signal?.throwIfAborted();
        // The reference takes about as long as a contender.
        onProgress({ done: done + (cost * (k + 1)) / (opened.length + 1), total, label });
        const found = await resultOf(contender, question, asked);
        const actual = found?.result ?? null;
        let worstUlp: number | null = null;
        if (found) {
          const { output } = found;
          const own = output && { ...asked, output: () => rounded(output, dtype) };
          common ??= own ? undefined : expectationOf(accuracyOps[op], asked, dtype);
          worstUlp = largestError(found.result, common ?? expectationOf(accuracyOps[op], own ?? asked, dtype));
        }
        results.push({
          op,
          dtype,
          classes: input.classes,
          input: input.name,
          contender: contender.name,
          worstUlp,
          worstRowSumUlp:
            actual && op === 'softmax' && !input.masked ? rowSumError(actual, input.classes, dtype) : null,
        });
      }
      done += cost;
    }
  } finally {
    for (const contender of opened) await contender.close();
  }
  onProgress({ done: total, total, label: 'done' });
  return {
    schema: 'softgrad-accuracy/2',
    environment: environment(),
    contenders: opened.map(({ name, description }) => ({ name, description })),
    unavailable,
    results,
  };
}

/** What an input costs: its results, which take less time if they repeat, and as much again as a short input for what is there once. */
function costOf({ op, input: { classes } }: Question, count: number): number {
  const results = Math.max(count, accuracyOps[op].results(classes));
  return count + results * (repeatsOf(classes) > 1 ? 0.3 : 1);
}

/** The numbers of each question, those that several ops share made once. */
function cases(count: number): (question: Question) => Case {
  const made = new Map<AccuracyInput, Map<string, Case>>();
  return ({ op, dtype, input }) => {
    const entries = entriesOf(accuracyOps[op], input, count);
    const known = made.get(input) ?? new Map<string, Case>();
    made.set(input, known);
    const key = `${dtype} ${entries}`;
    const found = known.get(key) ?? caseOf(input, dtype, entries);
    known.set(key, found);
    return found;
  };
}

/** How many entries of an input give about `count` results. Rows with one result count with their entries. */
function entriesOf({ results }: AccuracyOp, { classes }: AccuracyInput, count: number): number {
  return Math.max(1, (count * classes) / Math.max(classes, results(classes)));
}

function caseOf(input: AccuracyInput, dtype: BenchDType, entries: number): Case {
  const data = accuracyData(input, dtype, entries);
  const outputs = new Map<OutputName, FloatArray>();
  const asked: Case = {
    ...data,
    layout: { outer: data.rows, classes: data.period, inner: 1 },
    parameters: { temperature: input.temperature, mask: data.mask },
    targetKind: input.target,
    output(name) {
      const known = outputs.get(name) ?? rounded(accuracyOps[name].expected(asked), dtype);
      outputs.set(name, known);
      return known;
    },
  };
  return asked;
}

function rounded(values: HostArray, dtype: BenchDType): FloatArray {
  const result = floatArray(dtype, values.length);
  result.set(values);
  return result;
}

interface Expectation {
  readonly values: Float64Array;
  /** Errors up to this are counted as 0. */
  readonly undetermined: Float64Array | undefined;
  /** An ULP of each result, or of its terms; Infinity for those that are too small to be measured. */
  readonly ulps: Float64Array;
}

function expectationOf(op: AccuracyOp, asked: Case, dtype: BenchDType): Expectation {
  const values = op.expected(asked);
  const attainable = op.attainable?.(asked);
  const ulps = values.map((value, k) => {
    const scale = Math.max(Math.abs(value), attainable?.[k] ?? 0);
    if (scale < least) return Number.POSITIVE_INFINITY;
    return scale < Number.POSITIVE_INFINITY ? ulpOf(scale, dtype) : 0;
  });
  return { values, ulps, undetermined: op.undetermined?.(asked) };
}

/** Smaller results are not measured. */
const least = 1e-30;

/** What a contender computed, and the output that it computed it from, if that is its own. */
interface Found {
  readonly result: HostArray;
  readonly output?: HostArray;
}

/** The contender's result, or null if it does not support the input. */
async function resultOf(contender: Contender, { op, dtype, input }: Question, asked: Case): Promise<Found | null> {
  if (contender.backend) return resultOfBackend(contender.backend, op, asked, input, dtype);
  const plainOp = benchOps.find((known): known is BenchOp & AccuracyOpName => known === op);
  if (!plainOp || !input.plain || asked.repeats > 1) return null;
  const { logits, rows, target, directions } = asked;
  const workload = { op: plainOp, dtype, shape: [rows, input.classes] } as const;
  const job = await contender.prepare(workload, { logits, probabilities: logits, cotangent: directions, target });
  if (typeof job === 'string') return null;
  try {
    return { result: await job.result() };
  } finally {
    await job.dispose();
  }
}

async function resultOfBackend(
  backend: Backend,
  op: AccuracyOpName,
  asked: Case,
  { classes, temperature, target }: AccuracyInput,
  dtype: BenchDType,
): Promise<Found | null> {
  if (!backend.supports.dtypes.includes(dtype) || backend.supports.limits.classes < classes) return null;
  const { rows, mask } = asked;
  const shape = [rows, classes];
  const options: AccuracyCall = {
    ...(temperature !== 1 && { temperature }),
    ...(mask && { mask: { data: mask, shape } }),
    ...(target === 'smoothed' && { labelSmoothing: smoothing }),
  };
  const made: Tensor[] = [];
  try {
    for (const name of accuracyOps[op].operands) made.push(upload(name, asked, shape, dtype, backend));
    const called = accuracyOps[op].call(made, options);
    if (!('output' in called)) return { result: await called.data().finally(() => called.dispose()) };
    made.push(called.output, called.result);
    return { result: await called.result.data(), output: await called.output.data() };
  } catch (error) {
    if (isSoftgradError(error) && error.code === 'ERR_UNSUPPORTED') return null;
    throw error;
  } finally {
    for (const one of made) one.dispose();
  }
}

/** An operand of an op on the backend. */
function upload(name: OperandName, asked: Case, shape: readonly number[], dtype: BenchDType, backend: Backend): Tensor {
  const { rows, repeats, target, rowCotangents } = asked;
  if (name === 'target' && asked.targetKind !== 'probabilities') return tensor(target, { shape: [rows], backend });
  if (name === 'rowCotangent') return tensor(rowCotangents, { shape: [rows], dtype, backend });
  return tensor(tiled(entriesOfOperand(name, asked), dtype, repeats), { shape, dtype, backend });
}

function entriesOfOperand(name: Exclude<OperandName, 'rowCotangent'>, asked: Case): FloatArray {
  switch (name) {
    case 'logits':
      return asked.logits;
    case 'direction':
      return asked.directions;
    case 'tangent':
      return asked.tangents;
    case 'target':
      return asked.softTarget;
    default:
      return asked.output(name);
  }
}

/** The numbers, `repeats` times: an input that repeats has one row. */
function tiled(values: FloatArray, dtype: BenchDType, repeats: number): FloatArray {
  if (repeats === 1) return values;
  const result = floatArray(dtype, values.length * repeats);
  for (let k = 0; k < repeats; k++) result.set(values, k * values.length);
  return result;
}

/** The spacing of a dtype's numbers at `x`, whose magnitude is at least 1e-30, so never subnormal. */
function ulpOf(x: number, dtype: BenchDType): number {
  let exponent = Math.floor(Math.log2(x));
  // log2 can round up to the next integer.
  if (2 ** exponent > x) exponent--;
  return 2 ** (exponent - (dtype === 'float64' ? 52 : 23));
}

/** A result that repeats is compared everywhere with the period that is expected. */
function largestError(actual: HostArray, { values, ulps, undetermined }: Expectation): number {
  let largest = 0;
  let at = 0;
  for (const found of actual) {
    const exact = values[at] ?? Number.NaN;
    if (found !== exact) {
      if (Number.isNaN(found)) return Number.NaN;
      const error = Math.abs(found - exact) - (undetermined?.[at] ?? 0);
      largest = Math.max(largest, error / (ulps[at] ?? Number.NaN));
    }
    at = at + 1 === values.length ? 0 : at + 1;
  }
  return largest;
}

function rowSumError(actual: HostArray, classes: number, dtype: BenchDType): number {
  let largest = 0;
  for (let start = 0; start < actual.length; start += classes) {
    // Neumaier's summation (ZAMM 54, 1974), so that the check adds no rounding error.
    let sum = 0;
    let lost = 0;
    for (const value of actual.subarray(start, start + classes)) {
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
