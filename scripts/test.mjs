// `npm test`: installs, builds, checks and tests everything, and ends with a total.
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensureChromium } from './chromium.mjs';
import { pnpm, prepare, root } from './workspace.mjs';

prepare();
process.env.CHROMIUM_PATH = await ensureChromium();

const folders = ['packages', 'examples', '.'].flatMap((parent) =>
  readdirSync(join(root, parent), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'node_modules')
    .map((entry) => join(root, parent, entry.name)),
);
for (const folder of folders) rmSync(join(folder, 'reports', 'vitest.json'), { force: true });

const checked = pnpm(['run', 'check']) === 0;
const tested = pnpm(['exec', 'turbo', 'run', 'test', '--continue', '--concurrency=2', '--output-logs=full']) === 0;

let passed = 0;
let failed = 0;
let skipped = 0;
for (const folder of folders) {
  let report;
  try {
    report = JSON.parse(readFileSync(join(folder, 'reports', 'vitest.json'), 'utf8'));
  } catch {
    continue;
  }
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  skipped += report.numPendingTests + report.numTodoTests;
}
// The check counts as one test; so does a run that failed outside of any test.
if (checked) passed++;
else failed++;
if (!tested && failed === 0) failed++;
console.log('');
if (!checked) console.log('`npm run check` failed: see above.');
if (!tested) console.log('Tests failed: see above.');
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exit(checked && tested && failed === 0 ? 0 : 1);
