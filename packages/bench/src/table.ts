import type { BenchReport, ContenderResult, Mode, WorkloadResult } from './report.js';
import type { Ratio } from './statistics.js';
import { workloadName } from './workloads.js';

/** One workload as a table: a line a contender. */
export interface ResultTable {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const head = ['', 'reused out', 'allocating', 'end to end', 'first call', 'speed-up', 'of bound', 'ULP'];

/** A report as tables of text. The speed-up is over the baseline, with a reused output where both can (else allocating). */
export function resultTables(report: BenchReport): readonly ResultTable[] {
  return report.workloads.map((result) => ({
    title: `${workloadName(result.workload)} (speed-up over ${result.baseline || 'nothing'}; bound: ${bound(result)})`,
    head,
    rows: result.results.map((line) => row(line, line.contender === result.baseline)),
  }));
}

/** A report as a Markdown document. */
export function toMarkdown(report: BenchReport): string {
  const { environment, settings } = report;
  const lines = [
    `${environment.runtime}, ${environment.platform}, ${environment.processor}, ${environment.logicalProcessors} processors; ` +
      `medians of ${settings.rounds} interleaved rounds.`,
    '',
    ...report.contenders.map(({ name, description }) => `- ${name}: ${description}`),
    ...report.unavailable.map(({ name, reason }) => `- ${name}: not run: ${reason}`),
  ];
  for (const { title, head, rows } of resultTables(report)) {
    lines.push('', `### ${title}`, '', line(head), line(head.map(() => '---')), ...rows.map(line));
  }
  return `${lines.join('\n')}\n`;
}

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function row(result: ContenderResult, isBaseline: boolean): readonly string[] {
  const ulp = result.correctness ? result.correctness.worstUlp.toPrecision(2) : '';
  if (result.missing !== null) return [result.contender, result.missing, '', '', '', '', '', ulp];
  const time = (mode: Mode) => formatMs(result.timings[mode]?.medianMs);
  const ratio = result.ratios.reused ?? result.ratios.allocating;
  return [
    result.contender,
    time('reused'),
    time('allocating'),
    time('endToEnd'),
    formatMs(result.firstCallMs ?? undefined),
    isBaseline ? '1' : speedUp(ratio),
    result.shareOfBound === null ? '' : `${Math.round(100 * result.shareOfBound)} %`,
    ulp,
  ];
}

/** How many times as fast, with its interval; a difference inside the noise is not called one. */
function speedUp(ratio: Ratio | undefined): string {
  if (!ratio) return '';
  const [low, high] = [1 / ratio.interval[1], 1 / ratio.interval[0]].map((value) => value.toPrecision(3));
  return ratio.significant ? `${(1 / ratio.ratio).toPrecision(3)}× (${low}–${high})` : `≈ 1 (${low}–${high})`;
}

function bound({ bound, boundMs }: WorkloadResult): string {
  return `${bound}, ${formatMs(boundMs)}`;
}

/** A time with three digits and a unit. */
export function formatMs(ms: number | undefined): string {
  if (ms === undefined) return '';
  if (ms < 1e-3) return `${(ms * 1e6).toPrecision(3)} ns`;
  if (ms < 1) return `${(ms * 1e3).toPrecision(3)} µs`;
  return ms < 1000 ? `${ms.toPrecision(3)} ms` : `${(ms / 1000).toPrecision(3)} s`;
}
