import { parseHTML } from 'linkedom';
import { chartGroups, colours, ratioChart, timeChart } from './charts.js';
import { describeColumns } from './legend.js';
import type { BenchReport } from './report.js';
import { symbols } from './symbols.js';
import { describeRun, resultTable, type TextTable } from './table.js';

/**
 * A report as one self-contained HTML file: charts as inline SVG, tables, no script, light and dark.
 *
 * @param more tables to append, such as a `comparisonTable`
 * @example
 * await writeFile('report.html', toHtml(report));
 */
export function toHtml(report: BenchReport, more: readonly TextTable[] = []): string {
  const { document } = parseHTML('<html><body></body></html>');
  const colour = colours(report);
  const [how, ...participants] = describeRun(report);
  const columns = describeColumns(report);
  const clocked = report.workloads.some(({ results }) => results.some(({ timings }) => timings.device));
  const legend = [...colour].map(
    ([name, value], k) =>
      `<li><span style="color:${value}">${symbols[k % symbols.length]?.[1]}</span> ${text(name)}</li>`,
  );
  const sections = chartGroups(report).map((group) => {
    const charts = [timeChart(group, colour, document)];
    const compared = group.results.some(({ results }) => results.some(({ ratios }) => Object.keys(ratios).length > 0));
    if (compared) charts.push(ratioChart(group, colour, document));
    return [
      `<section><h2>${text(group.name)}</h2>`,
      `<ul class="legend">${legend.join('')}</ul>`,
      ...charts.map((chart) => `<figure>${chart.outerHTML}</figure>`),
      ...group.results.map(resultTable).map(table),
      '</section>',
    ].join('\n');
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>softgrad bench</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>softgrad bench</h1>
<p>${text(how)}, ${text(report.environment.date.slice(0, 10))}.</p>
<ul>${participants.map((line) => `<li>${text(line)}</li>`).join('')}</ul>
<p>Times are medians with operands on the device, the output reused (else allocated). Bars are 95 % bootstrap intervals; a hollow
dot is a difference inside the noise. Each result is also given as a share of its bound: its bytes at the speed of memcpy,
its exponentials at the speed of the fastest exp in this run, or the cost of a call.${clocked ? ' Device times are by its own clock: kernels alone, without submission and readback.' : ''}</p>
${columns.length > 0 ? `<details><summary>Columns of the tables</summary><ul>${columns.map((line) => `<li>${text(line)}</li>`).join('')}</ul></details>` : ''}
${[...sections, ...more.map(table)].join('\n')}
</main>
</body>
</html>
`;
}

const style = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0; background: light-dark(#fff, #14161a); color: light-dark(#1a1c20, #e4e6ea); }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem; }
h2 { margin-top: 2.5rem; }
figure { margin: 1rem 0; overflow-x: auto; }
figure svg { min-width: 36rem; height: auto; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin-top: 1.5rem; white-space: nowrap; }
caption { text-align: left; font-weight: 600; padding: 0.3rem 0; }
th, td { text-align: right; padding: 0.2rem 0.7rem; border-bottom: 1px solid light-dark(#d8dade, #363a42); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
.notes { font-size: 0.9rem; opacity: 0.85; }
.legend { display: flex; flex-wrap: wrap; gap: 0.3rem 1.2rem; padding: 0; list-style: none; }
`;

function table({ title, head, rows, notes }: TextTable): string {
  const body = rows.map(
    ([first = '', ...rest]) =>
      `<tr><th scope="row">${text(first)}</th>${rest.map((cell) => `<td>${text(cell)}</td>`).join('')}</tr>`,
  );
  const headings = head.map((heading) => `<th scope="col">${text(heading)}</th>`).join('');
  const filled = `<div class="table"><table><caption>${text(title)}</caption><thead><tr>${headings}</tr></thead><tbody>${body.join('\n')}</tbody></table></div>`;
  const below = `<ul class="notes">${notes.map((note) => `<li>${text(note)}</li>`).join('')}</ul>`;
  return `${rows.length > 0 ? filled : `<h3>${text(title)}</h3>`}${notes.length > 0 ? below : ''}`;
}

function text(value: string): string {
  return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
