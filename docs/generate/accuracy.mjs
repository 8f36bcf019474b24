// The table of docs/numerics.md, from docs/data/accuracy.json, which `npm run docs:accuracy` measures.
import { accuracySummary, markdownTable } from '@softgrad/bench';

const [begin, end] = ['<!-- accuracy: begin -->', '<!-- accuracy: end -->'];

/** The page with the table between its marks. */
export function withAccuracy(page, report) {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error('docs/numerics.md has no place for the table of errors');
  const notRun = report.unavailable.map(({ name, reason }) => `\n- ${name}: not measured: ${reason}`);
  const { runtime, processor } = report.environment;
  const devices = report.contenders.map(({ name, description }) => `${name}: ${description}`);
  const table = markdownTable(accuracySummary(report)).trim();
  const content = `${table}${notRun.join('')}\n\nMeasured with ${runtime} on ${processor}; ${devices.join('; ')}.`;
  return `${page.slice(0, from + begin.length)}\n${content}\n${page.slice(to)}`;
}
