// The table of docs/numerics.md, from docs/data/accuracy.json, which `npm run docs:accuracy` measures.
import { accuracySummary, markdownTable } from '@softgrad/bench';
import { withBetween } from './markdown.mjs';

/** The page with the table inserted between its marks. */
export function withAccuracy(page, report) {
  const notRun = report.unavailable.map(({ name, reason }) => `\n- ${name}: not measured: ${reason}`);
  const { runtime, processor } = report.environment;
  const devices = report.contenders.map(({ name, description }) => `${name}: ${description}`);
  const table = markdownTable(accuracySummary(report)).trim();
  const content = `${table}${notRun.join('')}\n\nMeasured with ${runtime} on ${processor}; ${devices.join('; ')}.`;
  return withBetween(page, 'accuracy', content, 'docs/numerics.md', 'errors');
}
