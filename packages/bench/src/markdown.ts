import { describeColumns } from './legend.js';
import type { BenchReport } from './report.js';
import { describeRun, resultTables, type TextTable } from './table.js';

/**
 * A report as a Markdown document: environment, contenders and the meaning of columns, then one table per workload.
 *
 * @param more tables to append, such as a `comparisonTable`
 * @example
 * await writeFile('report.md', toMarkdown(report, [comparisonTable(compareReports(then, report))]));
 */
export function toMarkdown(report: BenchReport, more: readonly TextTable[] = []): string {
  const [how, ...participants] = describeRun(report);
  const columns = describeColumns(report).map((line) => `- ${escaped(line)}`);
  const legend = columns.length > 0 ? ['', 'Columns:', '', ...columns] : [];
  const tables = [...resultTables(report), ...more];
  return `${[`${escaped(how)}.`, '', ...participants.map((line) => `- ${escaped(line)}`), ...legend, ...tables.map(markdownTable)].join('\n')}\n`;
}

/**
 * A table under a heading, with its notes as a list. Markdown's special characters are escaped.
 *
 * @example
 * markdownTable({ title: 'Times', head: ['', 'time'], rows: [['cpu', '1 ms']], notes: [] }); // '\n### Times\n\n|  | time |\n| --- | --- |\n| cpu | 1 ms |\n'
 */
export function markdownTable({ title, head, rows, notes }: TextTable): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escaped).join(' | ')} |`;
  const lines = ['', `### ${escaped(title)}`, ''];
  if (rows.length > 0) lines.push(line(head), line(head.map(() => '---')), ...rows.map(line), '');
  return [...lines, ...notes.map((note) => `- ${escaped(note)}`)].join('\n');
}

/** Escapes Markdown's special characters. */
function escaped(text: string): string {
  return text.replaceAll(/[\\|*_<>`[\]]/g, (mark) => `\\${mark}`).replaceAll(/\s+/g, ' ');
}
