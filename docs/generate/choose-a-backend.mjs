// Writes the table of docs/choose-a-backend.md: what each backend announces here, and what the benchmark measured.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { registerBackends } from '@softgrad/bench/backends';
import { loadProvider, registered } from '@softgrad/core';

const page = new URL('../choose-a-backend.md', import.meta.url);
const measured = new URL('../performance.json', import.meta.url);
const marks = ['<!-- table: begin -->', '<!-- table: end -->'];

/** How many times as fast as plain loops with Math.exp softmax is, as a geometric mean over the shapes of a report. */
function speedUp(name) {
  if (!existsSync(measured)) return '';
  const report = JSON.parse(readFileSync(measured, 'utf8'));
  const logarithms = report.workloads
    .filter(({ workload }) => workload.op === 'softmax' && workload.dtype === 'float32')
    .flatMap(({ results }) => {
      const ratio = results.find(({ contender }) => contender === name)?.ratios;
      const best = ratio?.reused ?? ratio?.allocating;
      return best ? [-Math.log(best.ratio)] : [];
    });
  if (logarithms.length === 0) return '';
  return `${Math.exp(logarithms.reduce((sum, term) => sum + term, 0) / logarithms.length).toPrecision(2)}×`;
}

async function row(name) {
  const provider = await loadProvider(name);
  const reason = await provider.unavailable();
  if (reason !== null) return [name, `not here: ${reason}`, '', '', '', '', ''];
  const backend = await provider.open();
  const { device, dtypes, readSync, hostView, nonFinite, subnormals } = backend.supports;
  await backend.close();
  const reading = hostView ? 'in place' : readSync ? 'at once' : 'asynchronously';
  return [name, device, dtypes.join(', '), reading, nonFinite, subnormals, speedUp(name)];
}

registerBackends();
const head = [
  'backend',
  'device in Node here',
  'dtypes',
  'results are read',
  'NaN and ±Infinity',
  'subnormals',
  'softmax against naive JS',
];
const rows = [];
for (const name of registered()) rows.push(await row(name));
const line = (cells) => `| ${cells.join(' | ')} |`;
const table = [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
const text = readFileSync(page, 'utf8');
const [before, after] = [text.indexOf(marks[0]) + marks[0].length, text.indexOf(marks[1])];
writeFileSync(page, `${text.slice(0, before)}\n${table}\n${text.slice(after)}`);
