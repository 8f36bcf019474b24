// `npm run docs:accuracy`: installs, builds, measures the errors of every op on every backend in about ten minutes, and writes the largest ones as
// docs/data/accuracy.json and the table of docs/numerics.md. `-- --from-kept` makes the table again from that file, measuring nothing.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argumentsOf } from './arguments.mjs';
import { softwareDevice } from './chromium.mjs';
import { prepare, root, run } from './workspace.mjs';

const { values } = argumentsOf(import.meta.url, { options: { 'from-kept': { type: 'boolean', default: false } } });
const [data, page] = [join(root, 'docs', 'data', 'accuracy.json'), join(root, 'docs', 'numerics.md')];

// The modes and engines that run in Node on every machine. Those of a GPU need a browser or a native package; tests in Chromium measure them.
const modes = {
  gpujs: ['gpujs:mode=cpu', 'gpujs:mode=webasm'],
  tfjs: ['tfjs:engine=wasm', 'tfjs:engine=cpu'],
};

await prepare();
if (!values['from-kept']) {
  // Without a GPU, webgpu is measured on Chromium's software device.
  const env = await softwareDevice();
  const { backends } = await import('../packages/softgrad/dist/backends.js');
  const named = Object.keys(backends).flatMap((name) => modes[name] ?? [name]);
  const command = ['packages/cli/dist/main.js', 'accuracy', '--ops', 'all', '--backends', named.join(), '--json', data];
  const status = run('node', command, { env });
  if (status !== 0) process.exit(status);
}
const { largestErrors, withAccuracy } = await import('../docs/generate/accuracy.mjs');
if (!values['from-kept']) {
  const measured = JSON.parse(readFileSync(data, 'utf8'));
  writeFileSync(data, `${JSON.stringify(largestErrors(measured), null, 1)}\n`);
}
writeFileSync(page, withAccuracy(readFileSync(page, 'utf8'), JSON.parse(readFileSync(data, 'utf8'))));
