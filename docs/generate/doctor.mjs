// The confusion matrix of docs/doctor.md, from docs/data/doctor.json, which `npm run docs:doctor` writes.
import { table, withBetween } from './markdown.mjs';

/** The noises of the record, and how the page names them. */
const noises = [
  ['0', 'exact'],
  ['1e-6', '1e-6'],
  ['float16', 'float16'],
  ['bfloat16', 'bfloat16'],
  ['4 decimals', '4 decimals'],
];

const percent = ({ named, cases }) => Math.floor((100 * named) / cases);

const sumOf = (cells) => ({
  named: cells.reduce((sum, { named }) => sum + named, 0),
  cases: cells.reduce((sum, { cases }) => sum + cases, 0),
});

function row(name, cellOf) {
  const cells = noises.map(([noise]) => cellOf(noise));
  return [name, sumOf(cells).cases, ...cells.map(percent)];
}

/** What the right gradients are taken for, other than right: an error unless that is harmless. */
function ofRight({ cells, taken }) {
  const { cases } = sumOf(Object.values(cells));
  const harmless = ['ambiguous with right', 'unknown', 'saturated', 'underflow'];
  const counts = new Map();
  for (const [verdict, count] of Object.entries(taken)) {
    const name = harmless.find((one) => verdict.startsWith(`${one} (`));
    if (name === undefined) throw new Error(`a right gradient was called ${verdict}`);
    counts.set(name, (counts.get(name) ?? 0) + count);
  }
  const others = [...counts].map(
    ([name, count]) =>
      `${count} ${count === 1 ? 'is' : 'are'} \`${name.replace(' with right', '')}\`${name.endsWith('right') ? ' with `right`' : ''}`,
  );
  const also = others.length === 0 ? '' : ` (${others.join(', ')})`;
  return `None of the ${cases.toLocaleString('en-US')} right gradients is called a mistake${also}.`;
}

/** The page with the matrix between its marks. */
export function withConfusion(page, record) {
  const right = record.find(({ truth }) => truth === 'right');
  const rows = record.map(({ truth, cells }) => row(truth, (noise) => cells[noise] ?? { named: 0, cases: 0 }));
  const all = row('all', (noise) => sumOf(record.map(({ cells }) => cells[noise] ?? { named: 0, cases: 0 })));
  const head = ['answer', 'cases', ...noises.map(([, name]) => name)];
  const content = `${ofRight(right)}\n\n${table(head, [...rows, all])}`;
  return withBetween(page, 'confusion', content, 'docs/doctor.md', 'recognised mistakes');
}
