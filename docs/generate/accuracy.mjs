// The table of docs/numerics.md, from docs/data/accuracy.json, which `npm run docs:accuracy` measures: of each op, dtype and backend the largest error.
import { accuracySummary, markdownTable, worstOf } from '@softgrad/bench';
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

/** A report with the largest error alone of each op, dtype and contender, which is all that the tables show: a hundredth of what was measured. */
export function largestErrors(report) {
  const groups = new Map();
  for (const result of report.results) {
    const of = [result.op, result.dtype, result.contender].join();
    groups.set(of, [...(groups.get(of) ?? []), result]);
  }
  return { ...report, results: [...groups.values()].flatMap((group) => worstOf(group) ?? []) };
}
