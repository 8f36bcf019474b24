// Times a softmax from data of the host to data of the host: copied in by `tensor` and out by `dataSync`, copied in by `view().set` and read in place, and
// with data that is in the memory of the backend already. Interleaved in one process; `npm run build` in the root comes first.
//
//   node scripts/time-views.mjs [--rounds 15] [--write]
//
// --write puts the table into README.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { table, withBetween } from '../../../docs/generate/markdown.mjs';
import { argumentsOf } from '../../../scripts/arguments.mjs';
import { calibrate, formatMs, interleave, standardShapes, timing, workloadInput } from '../../bench/dist/index.js';
import { empty, softmax, tensor } from '../../core/dist/src/index.js';
import { wasm } from '../dist/index.js';

const { values } = argumentsOf(import.meta.url, {
  options: { rounds: { type: 'string', default: '15' }, write: { type: 'boolean', default: false } },
});
const rounds = Number(values.rounds);
const backend = await wasm.open();
const rows = [];
for (const shape of standardShapes) {
  const { logits } = workloadInput({ op: 'softmax', shape, dtype: 'float32' });
  const options = { shape, backend };
  const x = tensor(logits, options);
  const out = empty(shape, { backend });
  const ways = [
    () => {
      const given = tensor(logits, options);
      const probabilities = softmax(given);
      const data = probabilities.dataSync();
      given.dispose();
      probabilities.dispose();
      return data;
    },
    () => {
      x.view().set(logits);
      return softmax(x, { out }).view();
    },
    () => softmax(x, { out }).view(),
  ];
  const loops = [];
  for (const way of ways) loops.push(await calibrate(repeated(way), 20, rounds));
  const times = await interleave(loops, rounds, () => {});
  const [copied, filled, inPlace] = times.map((time) => timing([time]).medianMs);
  rows.push([shape.join('×'), ...[copied, filled, inPlace].map(formatMs), `${(copied / filled).toFixed(2)}×`]);
  x.dispose();
  out.dispose();
}
const head = [
  'shape',
  '`tensor(data)` and `dataSync()`',
  '`view().set(data)` and `view()`',
  'filled in place',
  'by views, times as fast',
];
const text = `${table(head, rows)}\n\nMedians of ${rounds} interleaved rounds, ${backend.supports.device}, Node ${process.versions.node} on ${cpus()[0].model.trim()}.`;
console.log(text);
if (values.write) {
  const file = new URL('../README.md', import.meta.url);
  writeFileSync(file, withBetween(readFileSync(file, 'utf8'), 'views', text, 'README.md', 'times'));
}
await backend.close();

/** Some calls one after the other; the last result is kept, so that no call is left out. */
function repeated(way) {
  return (calls) => {
    let last;
    for (let k = 0; k < calls; k++) last = way();
    return last.length < 0 ? Promise.resolve() : undefined;
  };
}
