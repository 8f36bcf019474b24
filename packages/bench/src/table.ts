import type { Correctness } from './check.js';
import { type BenchOp, partsOf } from './ops.js';
import { type BenchReport, type ContenderResult, type Timed, timedKinds, type WorkloadResult } from './report.js';
import type { Bound } from './roofline.js';
import { excludesOne, type Ratio } from './statistics.js';
import { workloadName } from './workloads.js';

/** A table of strings, with notes below. */
export interface TextTable {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly notes: readonly string[];
}

const times = {
  reused: 'reused out',
  allocating: 'allocating',
  endToEnd: 'end to end',
  device: 'on the device',
} as const;
const others = ['first call', 'speed-up', 'of its bound', 'error'];

/**
 * One workload as a table, with one row per contender. The speed-up is over the baseline, with a reused output if both support it (else
 * allocating, else end to end). Device times have a column if there are any. Contenders without times are listed in the
 * notes, with the reason.
 *
 * @param result one of `report.workloads`
 * @example
 * const { title, head } = resultTable(report.workloads[0]);
 * title; // 'softmax 64×10 float32, speed-up over naive'
 * head.slice(1, 4); // ['reused out', 'allocating', 'end to end']
 */
export function resultTable(result: WorkloadResult): TextTable {
  const timed = result.results.filter(({ missing }) => missing === null);
  const missing = result.results.filter((line) => line.missing !== null);
  const shown = timedKinds.filter((kind) => kind !== 'device' || timed.some(({ timings }) => timings.device));
  return {
    title: `${workloadName(result.workload)}${result.baseline === null ? '' : `, speed-up over ${result.baseline}`}`,
    head: ['', ...shown.map((kind) => times[kind]), ...others],
    rows: timed.map((line) => row(line, shown, result)),
    notes: [
      ...result.bounds.map(boundNote),
      ...(result.noise
        ? [
            `noise: ${result.baseline}, timed twice in the same rounds, is ${interval(result.noise)} times as fast as itself`,
          ]
        : []),
      ...timed.flatMap(({ contender, noDeviceTime }) =>
        noDeviceTime === undefined ? [] : [`${contender}: no time on the device: ${noDeviceTime}`],
      ),
      ...missing.map((line) => `${line.contender}: ${line.missing}`),
    ],
  };
}

/**
 * A report as tables, one per workload.
 *
 * @example
 * resultTables(report).map(({ title }) => title); // ['softmax 64×10 float32, speed-up over naive']
 */
export function resultTables(report: BenchReport): readonly TextTable[] {
  return report.workloads.map(resultTable);
}

/**
 * Environment and contenders: the lines above the tables.
 *
 * @example
 * const [how, ...contenders] = describeRun(report);
 * contenders[0]; // 'cpu: JavaScript typed arrays, 1 thread (opens in 656 µs)'
 */
export function describeRun({
  environment,
  settings,
  contenders,
  unavailable,
}: BenchReport): readonly [how: string, ...contenders: string[]] {
  const { runtime, platform, processor, logicalProcessors } = environment;
  const { rounds, processes } = settings;
  const turns = processes === 1 ? '' : ` in each of ${processes} processes`;
  return [
    `${runtime}, ${platform}, ${processor}, ${logicalProcessors} processors; medians of ${rounds} interleaved rounds${turns}`,
    ...contenders.map(({ name, description, openMs }) => `${name}: ${description} (opens in ${formatMs(openMs)})`),
    ...unavailable.map(({ name, reason }) => `${name}: not run: ${reason}`),
  ];
}

function row(
  result: ContenderResult,
  shown: readonly Timed[],
  { workload: { op }, baseline }: WorkloadResult,
): readonly string[] {
  const ratio = result.ratios.reused ?? result.ratios.allocating ?? result.ratios.endToEnd;
  const { bound, correctness, firstCallMs } = result;
  return [
    result.contender,
    ...shown.map((kind) => formatMs(result.timings[kind]?.medianMs)),
    formatMs(firstCallMs ?? undefined),
    result.contender === baseline ? '1 (baseline)' : ratio ? formatSpeedUp(ratio) : '',
    bound ? `${formatShare(bound.share)} of ${bound.name}` : '',
    correctness ? formatError(correctness, op) : '',
  ];
}

function formatShare(share: number): string {
  return share < 0.01 ? '< 1 %' : `${Math.round(100 * share)} %`;
}

/** In ULP if the op's error scales with the result. The error of a difference (also the Jacobian's 1 − s) scales with its terms, so that ULP of the result are meaningless. */
function formatError({ worstUlp, worstShareOfBound }: Correctness, op: BenchOp): string {
  if (partsOf(op).op === 'softmax') return `${worstUlp >= 100 ? Math.round(worstUlp) : worstUlp.toPrecision(2)} ULP`;
  return `${formatShare(worstShareOfBound)} of allowed`;
}

function boundNote({ name, ms, from }: Bound): string {
  const how = name === 'exp' ? `exp alone, by ${from}` : `its bytes at the speed of ${from}`;
  return `${name} bound: ${formatMs(ms)} (${how})`;
}

/**
 * How many times as fast, with its interval; in words if it is not significant: the interval contains 1, or the same code timed twice differs as much.
 *
 * @param ratio of times: above 1 is slower, so its reciprocal is shown
 * @example
 * formatSpeedUp({ ratio: 0.5, interval: [0.4, 0.625], significant: true }); // '2.00× (1.60–2.50)'
 * formatSpeedUp({ ratio: 1, interval: [0.8, 1.25], significant: false }); // 'no difference (0.800–1.25)'
 */
export function formatSpeedUp(ratio: Ratio & { readonly significant: boolean }): string {
  const notSignificant = excludesOne(ratio) ? 'within the noise' : 'no difference';
  return `${ratio.significant ? `${factor(1 / ratio.ratio)}×` : notSignificant} (${interval(ratio)})`;
}

/** The interval of a time ratio as an interval of speed-ups. */
function interval({ interval: [low, high] }: Ratio): string {
  return `${factor(1 / high)}–${factor(1 / low)}`;
}

function factor(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3);
}

/**
 * A time in milliseconds with three digits and its unit: ns, µs, ms or s. Empty without a time.
 *
 * @example
 * formatMs(0.0123); // '12.3 µs'
 */
export function formatMs(ms: number | undefined): string {
  if (ms === undefined) return '';
  if (ms < 1e-3) return `${(ms * 1e6).toPrecision(3)} ns`;
  if (ms < 1) return `${(ms * 1e3).toPrecision(3)} µs`;
  if (ms < 1000) return `${ms.toPrecision(3)} ms`;
  return `${(ms / 1000).toPrecision(3)} s`;
}
