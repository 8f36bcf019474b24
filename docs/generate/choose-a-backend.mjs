// Writes the table of docs/choose-a-backend.md: what each backend announces here.
import { readFileSync, writeFileSync } from 'node:fs';
import { registerBackends } from '@softgrad/bench/backends';
import { loadProvider, registered } from '@softgrad/core';

const page = new URL('../choose-a-backend.md', import.meta.url);
const marks = ['<!-- table: begin -->', '<!-- table: end -->'];

async function row(name) {
  const provider = await loadProvider(name);
  const reason = await provider.unavailable();
  if (reason !== null) return [name, `not here: ${reason}`, '', '', '', ''];
  const backend = await provider.open();
  const { device, dtypes, readSync, hostView, nonFinite, subnormals } = backend.supports;
  await backend.close();
  const reading = hostView ? 'in place' : readSync ? 'at once' : 'asynchronously';
  return [name, device, dtypes.join(', '), reading, nonFinite, subnormals];
}

registerBackends();
const head = ['backend', 'device in Node here', 'dtypes', 'results are read', 'NaN and ±Infinity', 'subnormals'];
const rows = [];
for (const name of registered()) rows.push(await row(name));
const line = (cells) => `| ${cells.join(' | ')} |`;
const table = [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
const text = readFileSync(page, 'utf8');
const [before, after] = [text.indexOf(marks[0]) + marks[0].length, text.indexOf(marks[1])];
writeFileSync(page, `${text.slice(0, before)}\n${table}\n${text.slice(after)}`);
