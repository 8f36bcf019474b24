import * as Plot from '@observablehq/plot';
import type { Declared } from './platform.js';
import type { BenchReport, ContenderResult, WorkloadResult } from './report.js';
import { symbols } from './symbols.js';
import { formatMs, formatSpeedUp } from './table.js';
import { outputSize } from './workloads.js';

/** Colours that can be distinguished on white and on black: Observable Plot's observable10 scheme. */
const palette = [
  '#4269d0',
  '#efb118',
  '#ff725c',
  '#6cc5b0',
  '#3ca951',
  '#ff8ab7',
  '#a463f2',
  '#97bbf5',
  '#9c6b4e',
  '#9498a0',
];

/**
 * The colour of each contender by its name, the same in all charts.
 *
 * @example
 * const colourOfCpu = colours(report).get('cpu'); // #4269d0
 */
export function colours(report: BenchReport): ReadonlyMap<string, string> {
  return new Map(report.contenders.map(({ name }, k) => [name, palette[k % palette.length] ?? 'currentColor']));
}

/** Workloads of one op and dtype, which share a chart. */
export interface ChartGroup {
  readonly name: string;
  readonly results: readonly WorkloadResult[];
}

/**
 * The workloads of a report, grouped by op and dtype.
 *
 * @example
 * const names = chartGroups(report).map(({ name }) => name); // softmax float32
 */
export function chartGroups(report: BenchReport): readonly ChartGroup[] {
  const groups = new Map<string, WorkloadResult[]>();
  for (const result of report.workloads) {
    const name = `${result.workload.op} ${result.workload.dtype}`;
    groups.set(name, [...(groups.get(name) ?? []), result]);
  }
  return [...groups].map(([name, results]) => ({ name, results }));
}

/**
 * Time of a call in ms against the number of results, both on log axes: one line per contender, one dot per shape.
 *
 * @param document that makes the elements: that of a page, or linkedom's
 * @example
 * for (const group of chartGroups(report)) document.body.append(timeChart(group, colours(report), document));
 */
export function timeChart(
  { name, results }: ChartGroup,
  colour: ReadonlyMap<string, string>,
  document: Declared<'Document'>,
): Declared<'Element'> {
  const points = results.flatMap((result) =>
    result.results.flatMap((line) => {
      const ms = residentMs(line);
      return ms === null
        ? []
        : [{ contender: line.contender, size: outputSize(result.workload), ms, shape: shapeName(result) }];
    }),
  );
  points.sort((a, b) => a.size - b.size);
  return Plot.plot({
    document,
    width: 640,
    height: 360,
    marginLeft: 56,
    ariaLabel: `${name}: time of a call against the number of results`,
    style: { background: 'none', color: 'currentColor' },
    x: { type: 'log', label: 'results', grid: true },
    y: { type: 'log', label: 'ms per call', grid: true, tickFormat: formatTick },
    ...scalesOf(colour),
    marks: [
      Plot.line(points, {
        x: 'size',
        y: 'ms',
        z: 'contender',
        stroke: 'contender',
        strokeWidth: 1.5,
        strokeOpacity: 0.6,
      }),
      Plot.dot(points, {
        x: 'size',
        y: 'ms',
        fill: 'contender',
        symbol: 'contender',
        r: 4,
        title: ({ contender, shape, ms }) => `${contender}, ${shape}: ${formatMs(ms)}`,
      }),
    ],
  });
}

/**
 * Speed-ups over the baseline with their 95 % intervals, on a log axis: one row per shape, one dot per contender; hollow if the difference is not significant.
 *
 * @param document that makes the elements: that of a page, or linkedom's
 * @example
 * for (const group of chartGroups(report)) document.body.append(ratioChart(group, colours(report), document));
 */
export function ratioChart(
  { name, results }: ChartGroup,
  colour: ReadonlyMap<string, string>,
  document: Declared<'Document'>,
): Declared<'Element'> {
  const points = results.flatMap((result) =>
    result.results.flatMap((line) => {
      const ratio = line.ratios.reused ?? line.ratios.allocating ?? line.ratios.endToEnd;
      if (!ratio) return [];
      const [low, high] = ratio.interval;
      return [
        {
          contender: line.contender,
          shape: shapeName(result),
          speedUp: 1 / ratio.ratio,
          low: 1 / high,
          high: 1 / low,
          fill: ratio.significant ? (colour.get(line.contender) ?? 'currentColor') : 'none',
          title: `${line.contender}, ${shapeName(result)}: ${formatSpeedUp(ratio)}`,
        },
      ];
    }),
  );
  const shapes = results.map(shapeName);
  const contenders = [...colour.keys()].filter((one) => points.some(({ contender }) => contender === one));
  return Plot.plot({
    document,
    width: 640,
    height: 50 + shapes.length * (contenders.length * 9 + 14),
    marginLeft: 84,
    ariaLabel: `${name}: speed-up over ${results[0]?.baseline}`,
    style: { background: 'none', color: 'currentColor' },
    x: {
      type: 'log',
      label: `times as fast as ${results[0]?.baseline}`,
      grid: true,
      tickFormat: formatTick,
    },
    fy: { domain: shapes, label: null, padding: 0.2 },
    y: { domain: contenders, axis: null },
    ...scalesOf(colour),
    marks: [
      Plot.ruleX([1], { strokeDasharray: '3 3' }),
      Plot.ruleY(points, { x1: 'low', x2: 'high', y: 'contender', fy: 'shape', stroke: 'contender', strokeWidth: 2 }),
      Plot.dot(points, {
        x: 'speedUp',
        y: 'contender',
        fy: 'shape',
        stroke: 'contender',
        fill: 'fill',
        symbol: 'contender',
        r: 3.5,
        title: 'title',
      }),
    ],
  });
}

/** Median with operands on the device: the output reused, or else allocated. */
function residentMs({ timings }: ContenderResult): number | null {
  return (timings.reused ?? timings.allocating ?? timings.endToEnd)?.medianMs ?? null;
}

function shapeName({ workload }: WorkloadResult): string {
  return workload.shape.join('×');
}

/** What a contender's marks look like: no two of 30 have both the colour and the symbol in common. */
function scalesOf(colour: ReadonlyMap<string, string>) {
  const domain = [...colour.keys()];
  return {
    color: { domain, range: [...colour.values()] },
    symbol: { domain, range: domain.map((_, k) => symbols[k % symbols.length]?.[0] ?? 'circle') },
  };
}

/** The label of a tick, unless a log scale leaves it out: with powers of ten alone, an axis may have one number or none. */
function formatTick(value: number): string {
  return String(Number(value.toPrecision(3)));
}
