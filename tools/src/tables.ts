import {
  type BenchReport,
  type ContenderResult,
  formatMs,
  formatSpeedUp,
  isDifference,
  type Mode,
  pairedRatio,
  type Roof,
  type TextTable,
  timing,
  type WorkloadResult,
} from '@softgrad/bench';
import { ownLoop, shareOfOwnLoop } from './own-loop.js';
import { find, type Selector, select, shapeText } from './targets.js';

type Table = Pick<TextTable, 'head' | 'rows'>;

/** Medians of one op, dtype and mode: a row for each shape, a column for each contender. */
export function matrixTable(report: BenchReport, selector: Selector, mode: Mode): Table {
  const results = select(report, selector);
  const names = contenderNames(results, (line) => line.timings[mode] !== undefined);
  return {
    head: ['shape', ...names],
    rows: results.map((result) => [
      shapeText(result.workload.shape),
      ...names.map((name) => formatMs(find(result, name)?.timings[mode]?.medianMs)),
    ]),
  };
}

/** The contenders without a time, with the shapes and the reason: wrong results, or an unsupported operation. */
export function absences(report: BenchReport, selector: Selector): readonly string[] {
  const byReason = new Map<string, string[]>();
  for (const { workload, results } of select(report, selector)) {
    for (const { contender, missing } of results) {
      if (missing === null) continue;
      const reason = `${contender}: ${missing}`;
      byReason.set(reason, [...(byReason.get(reason) ?? []), shapeText(workload.shape)]);
    }
  }
  return [...byReason].map(([reason, shapes]) => `${shapes.join(', ')}: ${reason}`);
}

/** How many times as fast one contender is as each other, with intervals: a row for each shape, a column for each of the others. */
export function ratioTable(report: BenchReport, selector: Selector, mode: Mode, fast: string): Table {
  const results = select(report, selector).filter((result) => find(result, fast)?.samples[mode] !== undefined);
  const others = contenderNames(results, (line) => line.contender !== fast && line.samples[mode] !== undefined);
  return {
    head: ['shape', ...others.map((name) => `over ${name}`)],
    rows: results.map((result) => [
      shapeText(result.workload.shape),
      ...others.map((name) => {
        const ratio = pairedRatio(find(result, fast)?.samples[mode] ?? [], find(result, name)?.samples[mode] ?? []);
        if (!ratio) return '';
        // The number is shown in any case; differences within the noise are marked.
        return `${isDifference(ratio, result.noise) ? '' : '≈ '}${formatSpeedUp({ ...ratio, significant: true })}`;
      }),
    ]),
  };
}

/**
 * The bound of each shape and how close each contender is to it: the times of the loops, the tightest bound for the
 * workload, and the bound's share of each median with a reused output (or else an allocated one).
 */
export function boundsTable(report: BenchReport, selector: Selector): Table {
  const results = select(report, selector);
  const names = contenderNames(results, (line) => line.bound !== null);
  const exps = expLoops.filter(({ from }) =>
    results.some(({ roofs }) => roofs.some((roof) => roof.name === 'exp' && roof.from === from)),
  );
  const stores = results.some(({ roofs }) => roofs.some(({ name }) => name === 'store')) ? ['store'] : [];
  return {
    head: [
      'shape',
      'memcpy',
      'fill',
      ...stores.map(() => 'fill (SIMD)'),
      ...exps.map(({ head }) => head),
      'bound',
      ...names,
    ],
    rows: results.map((result) => [
      shapeText(result.workload.shape),
      ...['memcpy', 'fill', ...stores].map((wanted) => roofTime(result.roofs.find(({ name }) => name === wanted))),
      ...exps.map(({ from }) => roofTime(result.roofs.find((roof) => roof.name === 'exp' && roof.from === from))),
      boundText(result),
      ...names.map((name) => shareText(result, name)),
    ]),
  };
}

/** The loops that only compute exp; those of the other contenders are left out. */
const expLoops = [
  { from: 'a SIMD loop', head: 'exp (SIMD)' },
  { from: 'a relaxed SIMD loop', head: 'exp (relaxed SIMD)' },
  { from: 'a JavaScript loop', head: 'exp (JavaScript)' },
  { from: 'naive', head: 'exp (Math.exp)' },
] as const;

function roofTime(roof: Roof | undefined): string {
  return formatMs(timing(roof?.samples ?? [])?.medianMs);
}

function boundText({ bounds }: WorkloadResult): string {
  const first = bounds.at(0);
  return first ? `${first.name}: ${formatMs(first.ms)} (${first.from})` : '';
}

function shareText(result: WorkloadResult, contender: string): string {
  const line = find(result, contender);
  if (!line?.bound) return '';
  const own = shareOfOwnLoop(result, contender);
  const { name, ms, share } = line.bound;
  const details = [
    ...(name === 'call' ? [`call: ${formatMs(ms)}`] : []),
    ...(own === null ? [] : [`${ownLoop(contender)?.name}: ${percent(own)}`]),
  ];
  return details.length === 0 ? percent(share) : `${percent(share)} (${details.join(', ')})`;
}

function percent(share: number): string {
  return share < 0.01 ? '< 1 %' : `${Math.round(100 * share)} %`;
}

function contenderNames(
  results: readonly WorkloadResult[],
  isShown: (line: ContenderResult) => boolean,
): readonly string[] {
  return [...new Set(results.flatMap((result) => result.results.filter(isShown).map(({ contender }) => contender)))];
}
