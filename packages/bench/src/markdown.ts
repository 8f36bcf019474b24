import type { BenchReport } from './report.js';
import { describeRun, resultTables, type TextTable } from './table.js';

/** A report as a Markdown document: where and how, then a table for each workload. `more` follows the tables. */
export function toMarkdown(report: BenchReport, more: readonly TextTable[] = []): string {
  const [how, ...who] = describeRun(report);
  const tables = [...resultTables(report), ...more];
  return `${[`${escaped(how)}.`, '', ...who.map((line) => `- ${escaped(line)}`), ...tables.map(markdownTable)].join('\n')}\n`;
}

/** A table under a heading, with its notes as a list. */
export function markdownTable({ title, head, rows, notes }: TextTable): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escaped).join(' | ')} |`;
  const lines = ['', `### ${escaped(title)}`, ''];
  if (rows.length > 0) lines.push(line(head), line(head.map(() => '---')), ...rows.map(line), '');
  return [...lines, ...notes.map((note) => `- ${escaped(note)}`)].join('\n');
}

/** Text that Markdown shows as it is. */
function escaped(text: string): string {
  return text.replaceAll(/[\\|*_<>`[\]]/g, (mark) => `\\${mark}`).replaceAll(/\s+/g, ' ');
}
