import { checkOptions, namesOf } from '@softgrad/core';
import type { Contender, ContenderSource } from '../contender.js';
import { type Environment, environment } from '../environment.js';
import type { Signal } from '../platform.js';
import { type BenchDType, benchDTypes } from '../workloads.js';
import { resultOf } from './contender-result.js';
import { type Expectation, expectationOf, largestError, rowSumError } from './errors.js';
import { accuracyInputs } from './inputs.js';
import type { AccuracyOpName } from './ops/names.js';
import { accuracyOps } from './ops/table.js';
import { cases, rounded } from './question-cases.js';
import { costOf, questionsOf } from './questions.js';

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

/** The part of the work that is done, in units of its cost. */
export interface AccuracyProgress {
  readonly done: number;
  readonly total: number;
  /** The input that is measured now. */
  readonly label: string;
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
  const caseOf = cases(count);
  const questions = questionsOf(ops, dtypes, accuracyInputs(classes));
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
