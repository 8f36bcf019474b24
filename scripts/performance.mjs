// `npm run docs:performance`: installs, builds, measures everything that docs/performance.md says, and writes it.
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { prepare, root } from './workspace.mjs';

prepare({ quiet: true });
const { performancePage, runStudies } = await import('../packages/bench/dist/performance.js');

const start = Date.now();
let shown = '';
const studies = await runStudies((label) => {
  const [what] = label.split(': process ');
  const [step] = what.split(': round ');
  if (step === shown) return;
  shown = step;
  console.error(`${((Date.now() - start) / 1000).toFixed(0).padStart(4)} s  ${step}`);
});
const page = join(root, 'docs', 'performance.md');
// Whole or not at all.
writeFileSync(`${page}.tmp`, performancePage(studies, 'npm run docs:performance'));
renameSync(`${page}.tmp`, page);
console.error(`docs/performance.md is written, after ${((Date.now() - start) / 60_000).toFixed(1)} minutes.`);
process.exit();
