// `npm run docs:performance`: installs, builds, measures everything in docs/performance.md, and writes the page, its pictures, and
// every round as docs/data/performance.json. `-- --from FILE` makes the page from such a file, without measuring;
// `-- --browser FILE` takes the section about browsers from a report of the playground's Bench panel, instead of measuring in Chromium;
// `-- --quick` measures small shapes in few rounds, into reports/performance; `-- --into FOLDER` writes into another folder.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { argumentsOf } from './arguments.mjs';
import { benchInChromium } from './browser-bench.mjs';
import { prepare, root, run } from './workspace.mjs';

const { values } = argumentsOf(import.meta.url, {
  options: {
    quick: { type: 'boolean', default: false },
    from: { type: 'string' },
    into: { type: 'string' },
    browser: { type: 'string' },
  },
});
const docs = join(root, 'docs');
const folder = values.into ? resolve(values.into) : values.quick ? join(root, 'reports', 'performance') : docs;

await prepare();
const { browserBench, parseStudies, performancePage, performancePictures, runStudies, stringifyStudies } = await import(
  '../tools/dist/index.js'
);

const { parseReport } = await import('../packages/bench/dist/index.js');

const start = Date.now();
const studies = values.from ? parseStudies(readFileSync(values.from, 'utf8'), values.from) : await measure();
if (values.browser) studies.browser = parseReport(readFileSync(values.browser, 'utf8'), values.browser);
// Read the file back, so that the page is the same as one made from the file later.
const text = stringifyStudies(studies);
const kept = parseStudies(text, 'the studies');
const files = new Map([
  ['data/performance.json', text],
  ['performance.md', performancePage(kept, 'npm run docs:performance')],
  ...[...performancePictures(kept)].map(([name, svg]) => [`images/${name}`, svg]),
]);
// Write either all files or none.
for (const [name, content] of files) {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, `${name}.tmp`), content);
}
for (const name of files.keys()) renameSync(join(folder, `${name}.tmp`), join(folder, name));
console.error(
  `${join(folder, 'performance.md')} is written, after ${((Date.now() - start) / 60_000).toFixed(1)} minutes.`,
);
// Other pages have numbers of this one.
const dependent = folder === docs ? ['choose-a-backend', 'write-pages'] : [];
const failed = dependent.find((name) => run('node', [`docs/generate/${name}.mjs`]) !== 0);
process.exit(failed === undefined ? 0 : 1);

async function measure() {
  let shown = '';
  const onProgress = (label) => {
    const [what] = label.split(': process ');
    const [step] = what.split(': round ');
    if (step === shown) return;
    shown = step;
    console.error(`${((Date.now() - start) / 1000).toFixed(0).padStart(4)} s  ${step}`);
  };
  const studies = await runStudies(onProgress, { quick: values.quick });
  if (values.browser) return { ...studies, browser: null };
  const text = await benchInChromium(browserBench(values.quick), (label) => onProgress(`browser: ${label}`));
  return { ...studies, browser: parseReport(text, 'the report of the Bench panel') };
}
