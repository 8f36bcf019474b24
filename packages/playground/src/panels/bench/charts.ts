import * as Plot from '@observablehq/plot';
import type { RatioPoint, TimePoint } from './series.js';

/** What distinguishes a contender's marks. No two contenders have both in common, and the first seven differ in their symbols alone, for whoever cannot tell the colours apart. */
interface Look {
  /** From the page's style sheet, so that it follows light and dark mode. */
  readonly colour: string;
  readonly symbol: Plot.SymbolType;
}

export type Looks = ReadonlyMap<string, Look>;

/** The number of colours in the style sheet. It has no factor in common with the number of symbols. */
const seriesColours = 10;
const symbols = ['circle', 'square', 'triangle', 'diamond', 'star', 'cross', 'wye'] as const;

export function looksOf(contenders: readonly string[]): Looks {
  return new Map(
    contenders.map((name, k) => [
      name,
      { colour: `var(--series-${k % seriesColours})`, symbol: symbols[k % symbols.length] ?? 'circle' },
    ]),
  );
}

/** Makes each point its own series, because Plot would warn about series by colour; Plot's types do not have this option for all marks. */
const ungrouped = { z: null };

/** Time of a call against the number of elements of its operand, on two log axes; B's lines are dashed. */
export function timeChart(points: readonly TimePoint[], looks: Looks, width: number): Element {
  return plotted({
    width,
    height: 300,
    marginLeft: 56,
    marginBottom: 40,
    inset: 8,
    x: { type: 'log', label: 'elements', tickFormat: '~s', grid: true, ticks: width < 480 ? 3 : 5 },
    y: { type: 'log', label: 'time of a call', tickFormat: formatTime, grid: true, ticks: 5 },
    ...scalesOf(looks),
    ariaLabel: 'Time of a call against the number of elements',
    marks: [
      line(points, 'A', 'none'),
      line(points, 'B', '5 4'),
      Plot.ruleX(points, {
        x: 'elements',
        ...ungrouped,
        y1: (d: TimePoint) => d.quartilesMs[0],
        y2: (d: TimePoint) => d.quartilesMs[1],
        stroke: 'contender',
        strokeWidth: 1.25,
      }),
      Plot.dot(points, {
        x: 'elements',
        y: 'ms',
        ...ungrouped,
        fill: 'contender',
        symbol: 'contender',
        r: 4,
        className: 'points',
        title: (d: TimePoint) => `${d.contender}\n${d.workload}\n${formatTime(d.ms)}`,
        tip: true,
      }),
    ],
  });
}

function line(points: readonly TimePoint[], report: 'A' | 'B', strokeDasharray: string): Plot.Markish {
  const own = points.filter((point) => point.report === report);
  const look = { stroke: 'contender', strokeWidth: 1.75, strokeDasharray };
  return Plot.line(own, { x: 'elements', y: 'ms', z: 'contender', sort: 'elements', ...look });
}

/** Ratios with their intervals, one line for each workload and contender; hollow if the interval contains 1. */
export function ratioChart(points: readonly RatioPoint[], looks: Looks, width: number, label: string): Element {
  const workloads = [...new Set(points.map(({ workload }) => workload))];
  const rows = new Set(points.map(({ workload, contender }) => `${workload} ${contender}`)).size;
  // Each row begins with the name of its contender.
  const nameWidth = 16 + 6.6 * points.reduce((most, { contender }) => Math.max(most, contender.length), 0);
  const bounds = points.flatMap(({ low, high }) => [low, high]);
  const domain = [Math.min(0.8, ...bounds), Math.max(1.25, ...bounds)] as const;
  const [marginRight, inset] = [12, 8];
  const ticks = ratioTicks(domain, width - nameWidth - marginRight - 2 * inset);
  return plotted({
    width,
    height: 46 + 20 * rows + 22 * workloads.length,
    marginLeft: nameWidth,
    marginRight,
    inset,
    marginTop: 34,
    marginBottom: 10,
    x: { type: 'log', label, axis: null, domain },
    y: { type: 'band', axis: null, domain: bandsOf(points, workloads) },
    ...scalesOf(looks),
    ariaLabel: label,
    marks: [
      Plot.gridX(ticks),
      // As `text`, because a log scale leaves out some labels of a `tickFormat` where the axis is long.
      Plot.axisX(ticks, { anchor: 'top', text: formatRatio }),
      Plot.ruleX([1], { stroke: 'currentColor', strokeOpacity: 0.6 }),
      Plot.text(workloads, {
        y: (workload: string) => workload,
        text: (workload: string) => workload,
        frameAnchor: 'left',
        dx: -nameWidth,
        fill: 'currentColor',
        fontWeight: 600,
        // The lines of the chart stop at it.
        stroke: 'var(--card)',
        strokeWidth: 6,
      }),
      Plot.text(points, {
        y: bandOf,
        text: 'contender',
        frameAnchor: 'left',
        textAnchor: 'end',
        dx: -8,
        ...ungrouped,
        fill: 'currentColor',
      }),
      Plot.link(points, { x1: 'low', x2: 'high', y: bandOf, ...ungrouped, stroke: 'contender', strokeWidth: 2 }),
      dots(
        points.filter((point) => point.significant),
        { fill: 'contender' },
      ),
      dots(
        points.filter((point) => !point.significant),
        { fill: 'var(--card)' },
      ),
    ],
  });
}

function formatRatio(ratio: number): string {
  return `${Number(ratio.toPrecision(3))}×`;
}

/** How many labels an axis has at most. */
const mostTicks = 10;

/**
 * The ratios that are written on a log axis of so many pixels: the finest of some scales whose labels do not overlap, or else the ends of the axis and 1.
 * Plot's own ticks may be a single one, which says nothing about the distance of a point, or overlap on a phone.
 */
function ratioTicks([low, high]: readonly [number, number], width: number): readonly number[] {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const powers = Array.from({ length: last - first + 1 }, (_, k) => 10 ** (first + k));
  const times = (factors: readonly number[]) => powers.flatMap((power) => factors.map((factor) => factor * power));
  const steps = (step: number) => (high / low < 4 ? Array.from({ length: 4 / step }, (_, k) => (k + 1) * step) : []);
  const scales = [
    steps(0.05),
    steps(0.1),
    times([1, 2, 3, 4, 5, 6, 7, 8, 9]),
    times([1, 2, 5]),
    powers,
    powers.filter((power) => Math.round(Math.log10(power)) % 2 === 0),
  ];
  const position = (ratio: number) => (width * Math.log(ratio / low)) / Math.log(high / low);
  const isRoomy = (ticks: readonly number[]) =>
    ticks.every((tick, k) => {
      const before = ticks[k - 1];
      if (before === undefined) return true;
      return position(tick) - position(before) >= (labelWidth(before) + labelWidth(tick)) / 2;
    });
  const inside = scales.map((scale) => scale.filter((ratio) => ratio >= low && ratio <= high));
  const found = inside.find((ticks) => ticks.length > 1 && ticks.length <= mostTicks && isRoomy(ticks));
  // Both ends are a factor of 1.25 from 1 at least.
  return (
    found ??
    [
      [low, 1, high],
      [1, high],
      [low, 1],
    ].find(isRoomy) ?? [1]
  );
}

/** The width of a label with a gap, in pixels. */
function labelWidth(ratio: number): number {
  const text = formatRatio(ratio);
  return 5 + 7 * text.length - (text.includes('.') ? 4 : 0);
}

function dots(points: readonly RatioPoint[], look: { readonly fill: string }): Plot.Markish {
  return Plot.dot(points, {
    x: 'ratio',
    y: bandOf,
    ...ungrouped,
    stroke: 'contender',
    symbol: 'contender',
    strokeWidth: 2,
    r: 4.5,
    className: 'points',
    title: ({ contender, workload, ratio, low, high }: RatioPoint) =>
      `${contender}, ${workload}\n${ratio.toPrecision(3)}× (${low.toPrecision(3)}–${high.toPrecision(3)})`,
    tip: true,
    ...look,
  });
}

/** A band with the heading of each workload, and below it a band for each contender. */
function bandsOf(points: readonly RatioPoint[], workloads: readonly string[]): readonly string[] {
  return workloads.flatMap((workload) => [
    workload,
    ...points.filter((point) => point.workload === workload).map((point) => bandOf(point)),
  ]);
}

function bandOf({ workload, contender }: RatioPoint): string {
  return `${workload}\n${contender}`;
}

/** The contenders with their symbols, in a row. */
export function legend(looks: Looks): Element {
  const made = Plot.legend({ ...scalesOf(looks), fill: 'color', stroke: 'color', className: 'legend' });
  removeStyles(made);
  return made;
}

function scalesOf(looks: Looks) {
  const domain = [...looks.keys()];
  const all = [...looks.values()];
  return {
    color: { domain, range: all.map(({ colour }) => colour) },
    symbol: { domain, range: all.map(({ symbol }) => symbol) },
  };
}

/** A chart that works with a strict Content-Security-Policy and with screen readers. */
function plotted(options: Plot.PlotOptions): Element {
  const chart = Plot.plot({ ...options, className: 'chart' });
  removeStyles(chart);
  // One image with one name; its numbers are in the table.
  chart.setAttribute('role', 'img');
  const removeLabels = () => {
    for (const group of chart.querySelectorAll('g[aria-label]')) group.removeAttribute('aria-label');
  };
  removeLabels();
  // Plot redraws a tip, with its label, whenever the pointer moves.
  new MutationObserver(removeLabels).observe(chart, { childList: true, subtree: true });
  return chart;
}

/** The policy refuses style elements, so the page's style sheet has their rules. */
function removeStyles(made: Element): void {
  for (const style of made.querySelectorAll('style')) style.remove();
}

function formatTime(ms: number): string {
  const [value, unit] =
    ms < 1e-3 ? [ms * 1e6, 'ns'] : ms < 1 ? [ms * 1e3, 'µs'] : ms < 1e3 ? [ms, 'ms'] : [ms / 1e3, 's'];
  return `${Number(value.toPrecision(3))} ${unit}`;
}
