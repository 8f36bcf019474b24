import {
  type BenchReport,
  formatMs,
  formatSpeedUp,
  isDifference,
  opsWithOptions,
  pairedRatio,
  type Ratio,
  type TextTable,
  type WorkloadResult,
} from '@softgrad/bench';
import { type Cost, costRatio } from './costs.js';
import { plainWasm, relaxedWasm, shownName } from './names.js';
import { find, numberText, select, shapeText } from './targets.js';

type Table = Pick<TextTable, 'head' | 'rows'>;

const backends = ['cpu', plainWasm, relaxedWasm];
const fast = plainWasm;
/** Some peers always allocate the output. */
const mode = 'allocating';

/**
 * The cost of each option: the time of a call over that without the option, output reused, and how many times as fast wasm (SIMD) is as the
 * competitors with the same option, output allocated by the call. With intervals, or short.
 */
export function optionCosts(report: BenchReport, costs: readonly Cost[], intervals: boolean): Table {
  const results = resultsOf(report);
  const peers = peersOf(results);
  return {
    head: [
      'call',
      'shape',
      ...backends.map((name) => `${shownName(name)}, time over plain`),
      ...peers.map((name) => `${shownName(fast)} over ${name}`),
    ],
    rows: results.map((result) => [
      ...labelsOf(result),
      ...backends.map((name) => {
        const { op, shape } = result.workload;
        const cost = costs.find(
          ({ contender, of }) => contender === name && of.op === op && shapeText(of.shape) === shapeText(shape),
        );
        const ratio = cost && costRatio(cost);
        return ratio ? (intervals ? numberText(ratio) : ratio.ratio.toFixed(2)) : '';
      }),
      ...peers.map((name) => {
        const ratio = pairedRatio(samplesOf(result, fast), samplesOf(result, name));
        return ratio ? speedUpText(ratio, result, intervals) : '';
      }),
    ]),
  };
}

/** Median times: a row for each call and shape, a column for each contender. */
export function optionTimes(report: BenchReport): Table {
  const results = resultsOf(report);
  const names = [...backends, ...peersOf(results)];
  return {
    head: ['call', 'shape', ...names.map(shownName)],
    rows: results.map((result) => [
      ...labelsOf(result),
      ...names.map((name) => formatMs(find(result, name)?.timings[mode]?.medianMs)),
    ]),
  };
}

function resultsOf(report: BenchReport): readonly WorkloadResult[] {
  return opsWithOptions.flatMap((op) => select(report, { op }));
}

function labelsOf({ workload: { op, shape } }: WorkloadResult): readonly string[] {
  return [`\`${op}\``, shapeText(shape)];
}

function peersOf(results: readonly WorkloadResult[]): readonly string[] {
  const timed = results.flatMap((result) =>
    result.results.filter(({ kind, samples }) => kind === 'peer' && samples[mode] !== undefined),
  );
  return [...new Set(timed.map(({ contender }) => contender))];
}

function samplesOf(result: WorkloadResult, name: string) {
  return find(result, name)?.samples[mode] ?? [];
}

function speedUpText(ratio: Ratio, { noise }: WorkloadResult, intervals: boolean): string {
  const text = formatSpeedUp({ ...ratio, significant: true });
  return `${isDifference(ratio, noise) ? '' : '≈ '}${intervals ? text : text.replace(/ \(.*/, '')}`;
}
