import type { BenchReport } from '@softgrad/bench';
import { type ChartGroup, chartGroups, colours, ratioChart, timeChart } from '@softgrad/bench/charts';
import { parseHTML } from 'linkedom';
import { shownReport } from './names.js';
import type { Studies } from './studies.js';

/** Pictures for the page of measurements: a file name and its text. Each is a complete SVG with its legend, on white. */
export function performancePictures({ softmax }: Studies): ReadonlyMap<string, string> {
  const report = shownReport(softmax);
  const [group] = chartGroups(report);
  if (!group) return new Map();
  return new Map([
    ['performance-softmax-time.svg', picture(report, group, timeChart)],
    ['performance-softmax-ratios.svg', picture(report, group, ratioChart)],
  ]);
}

const lineHeight = 20;
const columnWidth = 208;

function picture(report: BenchReport, group: ChartGroup, draw: typeof timeChart): string {
  const { document } = parseHTML('<html><body></body></html>');
  const colour = colours(report);
  const chart = draw(group, colour, document);
  const [width, height] = [Number(chart.getAttribute('width')), Number(chart.getAttribute('height'))];
  const columns = Math.floor(width / columnWidth);
  const legend = [...colour].map(([name, value], k) => {
    const [x, y] = [16 + (k % columns) * columnWidth, 16 + Math.floor(k / columns) * lineHeight];
    return `<circle cx="${x}" cy="${y}" r="5" fill="${value}"/><text x="${x + 11}" y="${y + 4}">${name}</text>`;
  });
  const legendHeight = 14 + Math.ceil(legend.length / columns) * lineHeight;
  chart.setAttribute('y', String(legendHeight));
  const total = height + legendHeight;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${total}" viewBox="0 0 ${width} ${total}" color="#1a1c20" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${width}" height="${total}" fill="white"/>`,
    `<g fill="currentColor">${legend.join('')}</g>`,
    chart.outerHTML,
    '</svg>\n',
  ].join('\n');
}
