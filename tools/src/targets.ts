import {
  type BenchDType,
  type BenchOp,
  type BenchReport,
  type BenchShape,
  type ContenderResult,
  type Mode,
  pairedRatio,
  type Ratio,
  type TextTable,
  type Workload,
  type WorkloadResult,
} from '@softgrad/bench';
import { type Cost, costRatio } from './costs.js';

/** A target that softgrad sets itself, and the measured value. */
export interface Target {
  readonly what: string;
  readonly bar: string;
  readonly measured: string;
  /** null if it was not measured. */
  readonly met: boolean | null;
}

/** The results to which a target applies. */
export interface Selector {
  readonly op: BenchOp;
  readonly dtype?: BenchDType;
  /** Default: every shape of the report. */
  readonly shapes?: (shape: BenchShape) => boolean;
}

/** Two contenders, compared in a mode at the shapes selected. */
export interface ContenderPair extends Selector {
  readonly fast: string;
  readonly slow: string;
  readonly mode: Mode;
}

/** `fast` compared with `slow` at each shape: at least `least(shape)` times as fast. */
export interface SpeedUpBar extends ContenderPair {
  readonly what: string;
  readonly bar: string;
  readonly least: (shape: BenchShape) => number;
  /** The minimum of the geometric mean over the shapes, if there is one. */
  readonly geometricMean?: number;
}

export function speedUpTarget(report: BenchReport, bar: SpeedUpBar): Target {
  const wanted = select(report, bar);
  const found = ratiosOf(report, bar).map((one) => ({ ...one, least: bar.least(one.shape) }));
  if (found.length === 0) return { what: bar.what, bar: bar.bar, measured: 'not measured', met: null };
  // A shape for which a contender has no correct result does not count as met.
  const absent = wanted
    .map(({ workload }) => workload.shape)
    .filter((shape) => !found.some((one) => one.shape === shape));
  const worst = found.reduce((a, b) => (b.ratio.ratio / b.least < a.ratio.ratio / a.least ? b : a));
  const mean = meanOf(found);
  const short = found.filter(({ ratio, least }) => ratio.ratio < least).map(({ shape }) => shapeText(shape));
  const missed = short.length > 0 || mean < (bar.geometricMean ?? 0);
  const details = [
    `closest to its target at ${shapeText(worst.shape)}: ${ratioText(worst.ratio)}`,
    `geometric mean ${mean.toFixed(2)}×`,
    ...(short.length > 0 ? [`below the target at ${short.join(', ')}`] : []),
    ...(absent.length > 0 ? [`not measured at ${absent.map(shapeText).join(', ')}`] : []),
  ];
  const met = missed ? false : absent.length > 0 ? null : true;
  return { what: bar.what, bar: bar.bar, measured: details.join('; '), met };
}

/** The time at each shape is at most `1 / share` times that of a reference loop: bandwidth relative to memcpy or to vector stores. */
export interface ShareBar extends Selector {
  readonly what: string;
  readonly bar: string;
  readonly contender: string;
  readonly roof: 'memcpy' | 'store';
  /** Bytes that the op moves for each byte that the reference loop moves. */
  readonly bytes: number;
  readonly least: (shape: BenchShape) => number;
}

export function shareTarget(report: BenchReport, bar: ShareBar): Target {
  const found = select(report, bar).flatMap((result) => {
    const samples = find(result, bar.contender)?.samples.reused;
    const roof = result.roofs.find(({ name }) => name === bar.roof)?.samples;
    const ratio = samples && roof ? pairedRatio(roof, samples) : null;
    return ratio ? [{ shape: result.workload.shape, share: scaled(ratio, bar.bytes) }] : [];
  });
  if (found.length === 0) return { what: bar.what, bar: bar.bar, measured: 'not measured', met: null };
  return {
    what: bar.what,
    bar: bar.bar,
    measured: found.map(({ shape, share }) => `${shapeText(shape)}: ${numberText(share)}`).join('; '),
    met: found.every(({ shape, share }) => share.ratio >= bar.least(shape)),
  };
}

function scaled({ ratio, interval: [low, high] }: Ratio, by: number): Ratio {
  return { ratio: ratio * by, interval: [low * by, high * by] };
}

/** The share that a contender reaches of its bound at each shape: exp alone, memory, or the call itself. */
export interface BoundBar extends Selector {
  readonly what: string;
  readonly bar: string;
  readonly contender: string;
  readonly least: number;
}

export function boundTarget(report: BenchReport, bar: BoundBar): Target {
  const found = select(report, bar).flatMap((result) => {
    const share = find(result, bar.contender)?.bound?.share;
    return share === undefined ? [] : [{ shape: result.workload.shape, share }];
  });
  if (found.length === 0) return { what: bar.what, bar: bar.bar, measured: 'not measured', met: null };
  return {
    what: bar.what,
    bar: bar.bar,
    measured: found.map(({ shape, share }) => `${shapeText(shape)}: ${share.toFixed(2)}`).join('; '),
    met: found.every(({ share }) => share >= bar.least),
  };
}

/** The time of one op relative to another, or of one dtype relative to another, in the same rounds: at each shape at most `most`. */
export interface CostBar {
  readonly what: string;
  readonly bar: string;
  readonly contender: string;
  readonly of: Selector;
  readonly over: Selector;
  readonly most: number;
}

export function costTarget(costs: readonly Cost[], bar: CostBar): Target {
  const found = costs
    .filter(({ contender, of, over }) => contender === bar.contender && isOf(of, bar.of) && isOf(over, bar.over))
    .flatMap((cost) => {
      const ratio = costRatio(cost);
      return ratio ? [{ shape: cost.of.shape, ratio }] : [];
    });
  if (found.length === 0) return { what: bar.what, bar: bar.bar, measured: 'not measured', met: null };
  return {
    what: bar.what,
    bar: bar.bar,
    measured: found.map(({ shape, ratio }) => `${shapeText(shape)}: ${numberText(ratio)}`).join('; '),
    met: found.every(({ ratio }) => ratio.ratio <= bar.most),
  };
}

/** A row for each target. */
export function targetsTable(targets: readonly Target[]): Pick<TextTable, 'head' | 'rows'> {
  const words = (met: boolean | null) => (met === null ? '–' : met ? 'yes' : '**no**');
  return {
    head: ['what', 'target', 'measured', 'met'],
    rows: targets.map(({ what, bar, measured, met }) => [what, bar, measured, words(met)]),
  };
}

/** The results that a selector matches. */
export function select(report: BenchReport, selector: Selector): readonly WorkloadResult[] {
  return report.workloads.filter(({ workload }) => isOf(workload, selector));
}

function isOf(workload: Workload, { op, dtype = 'float32', shapes = () => true }: Selector): boolean {
  return workload.op === op && workload.dtype === dtype && shapes(workload.shape);
}

export function find(result: WorkloadResult, name: string): ContenderResult | undefined {
  return result.results.find(({ contender }) => contender === name);
}

/** How many times as fast one contender is as another, in the geometric mean over the shapes; null if they were not measured together. */
export function geometricMean(report: BenchReport, pair: ContenderPair): number | null {
  const found = ratiosOf(report, pair);
  return found.length === 0 ? null : meanOf(found);
}

function meanOf(found: readonly { readonly ratio: Ratio }[]): number {
  return Math.exp(found.reduce((sum, { ratio }) => sum + Math.log(ratio.ratio), 0) / found.length);
}

/** The paired ratios at each shape at which both were measured. */
function ratiosOf(report: BenchReport, { fast, slow, mode, ...selector }: ContenderPair) {
  return select(report, selector).flatMap((result) => {
    const [of, over] = [fast, slow].map((name) => find(result, name)?.samples[mode]);
    const ratio = of && over ? pairedRatio(over, of) : null;
    return ratio ? [{ shape: result.workload.shape, ratio }] : [];
  });
}

export function shapeText(shape: BenchShape): string {
  return shape.join('×');
}

function ratioText({ ratio, interval }: Ratio): string {
  return `${ratio.toFixed(2)}× (${intervalText(interval)})`;
}

/** A ratio of times with its interval. */
export function numberText({ ratio, interval }: Ratio): string {
  return `${ratio.toFixed(2)} (${intervalText(interval)})`;
}

function intervalText(interval: Ratio['interval']): string {
  return interval.map((end) => end.toFixed(2)).join('–');
}
