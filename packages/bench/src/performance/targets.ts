import { median } from 'simple-statistics';
import type { BenchReport, ContenderResult, Mode, WorkloadResult } from '../report.js';
import { pairedQuotients, pairedRatio, type Ratio, timing } from '../statistics.js';
import type { TextTable } from '../table.js';
import type { BenchDType, BenchOp, BenchShape } from '../workloads.js';

/** A bar that softgrad sets itself and what was measured. */
export interface Target {
  readonly what: string;
  readonly bar: string;
  readonly measured: string;
  /** null where it was not measured. */
  readonly met: boolean | null;
}

/** Which results a bar is about. */
export interface Selector {
  readonly op: BenchOp;
  readonly dtype?: BenchDType;
  /** Default: every shape of the report. */
  readonly shapes?: (shape: BenchShape) => boolean;
}

/** `fast` against `slow` at each shape: at least `least(shape)` times as fast. */
export interface SpeedUpBar extends Selector {
  readonly what: string;
  readonly bar: string;
  readonly fast: string;
  readonly slow: string;
  readonly mode: Mode;
  readonly least: (shape: BenchShape) => number;
  /** At least this in the geometric mean over the shapes, too. */
  readonly geometricMean?: number;
}

export function speedUpTarget(report: BenchReport, bar: SpeedUpBar): Target {
  const found = select(report, bar).flatMap((result) => {
    const [fast, slow] = [bar.fast, bar.slow].map((name) => find(result, name)?.samples[bar.mode]);
    const ratio = fast && slow ? pairedRatio(slow, fast) : null;
    return ratio ? [{ shape: result.workload.shape, ratio, least: bar.least(result.workload.shape) }] : [];
  });
  if (found.length === 0) return { ...bar, measured: 'not measured', met: null };
  const worst = found.reduce((a, b) => (b.ratio.ratio / b.least < a.ratio.ratio / a.least ? b : a));
  const mean = Math.exp(found.reduce((sum, { ratio }) => sum + Math.log(ratio.ratio), 0) / found.length);
  const short = found.filter(({ ratio, least }) => ratio.ratio < least).map(({ shape }) => shapeText(shape));
  const met = short.length === 0 && mean >= (bar.geometricMean ?? 0);
  const details = [
    `closest to its bar at ${shapeText(worst.shape)}: ${ratioText(worst.ratio)}`,
    `geometric mean ${mean.toFixed(2)}×`,
    ...(short.length > 0 ? [`below the bar at ${short.join(', ')}`] : []),
  ];
  return { what: bar.what, bar: bar.bar, measured: details.join('; '), met };
}

/** Time at each shape at most as many times that of a roof's loop as `1 / share`: bandwidth against memcpy's or a fill's. */
export interface ShareBar extends Selector {
  readonly what: string;
  readonly bar: string;
  readonly contender: string;
  readonly roof: 'memcpy' | 'fill';
  /** Bytes that the op moves for each byte that the roof's loop moves. */
  readonly bytes: number;
  readonly least: (shape: BenchShape) => number;
}

export function shareTarget(report: BenchReport, bar: ShareBar): Target {
  const found = select(report, bar).flatMap((result) => {
    const samples = find(result, bar.contender)?.samples.reused;
    const roof = result.roofs.find(({ name }) => name === bar.roof)?.samples;
    const ratio = samples && roof ? pairedRatio(roof, samples) : null;
    return ratio ? [{ shape: result.workload.shape, share: ratio.ratio * bar.bytes }] : [];
  });
  if (found.length === 0) return { ...bar, measured: 'not measured', met: null };
  return {
    what: bar.what,
    bar: bar.bar,
    measured: found.map(({ shape, share }) => `${shapeText(shape)}: ${share.toFixed(2)}`).join('; '),
    met: found.every(({ shape, share }) => share >= bar.least(shape)),
  };
}

/**
 * The time of one op over that of another, or of one dtype over another, at each shape: at most `most`. The two are no
 * neighbours in time, so each is first taken relative to memcpy in its own rounds.
 */
export interface CostBar {
  readonly what: string;
  readonly bar: string;
  readonly contender: string;
  readonly of: Selector;
  readonly over: Selector;
  /** Bytes that memcpy moved in the rounds of `of` for each byte in those of `over`. */
  readonly bytes: number;
  readonly most: number;
}

export function costTarget(report: BenchReport, bar: CostBar): Target {
  const found = select(report, bar.of).flatMap((result) => {
    const [rows, classes] = result.workload.shape;
    const other = select(report, { ...bar.over, shapes: ([r, f]) => r === rows && f === classes }).at(0);
    const [own, base] = [result, other].map((one) => one && relativeToCopy(one, bar.contender));
    return own && base ? [{ shape: result.workload.shape, cost: (own / base) * bar.bytes }] : [];
  });
  if (found.length === 0) return { ...bar, measured: 'not measured', met: null };
  return {
    what: bar.what,
    bar: bar.bar,
    measured: found.map(({ shape, cost }) => `${shapeText(shape)}: ${cost.toFixed(2)}`).join('; '),
    met: found.every(({ cost }) => cost <= bar.most),
  };
}

function relativeToCopy(result: WorkloadResult, contender: string): number | null {
  const samples = find(result, contender)?.samples.reused;
  const copy = result.roofs.find(({ name }) => name === 'memcpy')?.samples;
  const quotients = samples && copy ? pairedQuotients(samples, copy).flat() : [];
  return quotients.length > 0 ? median(quotients) : null;
}

/** Medians of one op, dtype and mode: a row a shape, a column a contender. */
export function matrixTable(
  report: BenchReport,
  selector: Selector,
  mode: Mode,
  format: (ms: number) => string,
): Pick<TextTable, 'head' | 'rows'> {
  const results = select(report, selector);
  const names = [...new Set(results.flatMap((result) => result.results.map(({ contender }) => contender)))].filter(
    (name) => results.some((result) => find(result, name)?.timings[mode]),
  );
  return {
    head: ['shape', ...names, 'memcpy'],
    rows: results.map((result) => {
      const copy = timing(result.roofs.find(({ name }) => name === 'memcpy')?.samples ?? []);
      const times = names.map((name) => find(result, name)?.timings[mode]);
      return [shapeText(result.workload.shape), ...[...times, copy].map((time) => (time ? format(time.medianMs) : ''))];
    }),
  };
}

export function targetsTable(targets: readonly Target[]): Pick<TextTable, 'head' | 'rows'> {
  const words = (met: boolean | null) => (met === null ? '–' : met ? 'yes' : '**no**');
  return {
    head: ['what', 'bar', 'measured', 'met'],
    rows: targets.map(({ what, bar, measured, met }) => [what, bar, measured, words(met)]),
  };
}

function select(
  report: BenchReport,
  { op, dtype = 'float32', shapes = () => true }: Selector,
): readonly WorkloadResult[] {
  return report.workloads.filter(
    ({ workload }) => workload.op === op && workload.dtype === dtype && shapes(workload.shape),
  );
}

function find(result: WorkloadResult, name: string): ContenderResult | undefined {
  return result.results.find(({ contender }) => contender === name);
}

function shapeText(shape: BenchShape): string {
  return shape.join('×');
}

function ratioText({ ratio, interval }: Ratio): string {
  return `${ratio.toFixed(2)}× (${interval.map((end) => end.toFixed(2)).join('–')})`;
}
