// `npm test`: installs, builds, checks and tests everything, and ends with a total.
// `npm run test:quick`: tests for daily work, which take 40 seconds: no browser, no GPU, no checks of packages, and without the longest files.
// `npm run test:all`: also the tests that `npm test` leaves out because they take long and repeat what other tests show; see docs/testing.md.
import { rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { argumentsOf } from './arguments.mjs';
import { ensureChromium, namedChromium } from './chromium.mjs';
import { installSystemPackages } from './system-packages.mjs';
import { readReport } from './test-report.mjs';
import { together } from './together.mjs';
import { pnpm, prepare, root, testFolders } from './workspace.mjs';

const { values } = argumentsOf(import.meta.url, {
  options: { quick: { type: 'boolean', default: false }, all: { type: 'boolean', default: false } },
});
/** Vitest's reports: of what runs once for several packages, and of each package. */
const reportFiles = [
  ...(values.quick ? [] : together.map((name) => ({ name, folder: root, file: `${name}.json` }))),
  ...testFolders().map((folder) => ({ name: basename(folder), folder, file: 'vitest.json' })),
].map(({ name, folder, file }) => ({ name, folder, path: join(folder, 'reports', file) }));
/** The seconds of each part, in the order of execution. */
const parts = [];

// Before the installation, not in the middle of the tests.
if (!values.quick) {
  try {
    namedChromium();
  } catch (error) {
    stop(error);
  }
}
if (values.all) process.env.SOFTGRAD_EVERYTHING = '1';
const system = values.quick ? Promise.resolve() : installSystemPackages();
await prepare({ timed: (part, seconds) => parts.push([part, seconds]) });
if (!values.quick) {
  await timed('system packages, beyond that', async () => {
    await system;
    process.env.CHROMIUM_PATH = await ensureChromium().catch(stop);
  });
}
for (const { path } of reportFiles) rmSync(path, { force: true });

const task = values.quick ? 'test:quick' : 'test';
const status = await timed(values.quick ? 'test' : 'check and test', () =>
  pnpm(['exec', 'node', 'scripts/schedule.mjs', task]),
);
const checked = (status & 2) === 0;
const tested = status === 0 || status === 2;
summarise();

/** Prints the time of each part and the totals, and ends the process with the exit code. */
function summarise() {
  const reports = reportFiles.flatMap((file) => readReport(file) ?? []);
  console.log('\nTime of each part, in seconds:');
  for (const [part, seconds] of parts) console.log(`${seconds.toFixed(0).padStart(6)}  ${part}`);
  console.log('\nTime of each package’s tests, two packages at a time, and its slowest files:');
  for (const { name, seconds, files } of reports.toSorted((a, b) => b.seconds - a.seconds)) {
    const slowest = files.slice(0, 3).map((file) => `${file.name} ${file.seconds.toFixed(1)}`);
    console.log(`${seconds.toFixed(0).padStart(6)}  ${name}: ${slowest.join(', ')}`);
  }
  console.log('\nThe ten slowest tests:');
  const tests = reports.flatMap((report) => report.tests).toSorted((a, b) => b.seconds - a.seconds);
  for (const { name, seconds } of tests.slice(0, 10)) console.log(`${seconds.toFixed(1).padStart(6)}  ${name}`);

  const failures = reports.flatMap((report) => report.failures);
  if (failures.length > 0) console.log('\nTests that failed:');
  for (const { name, message } of failures) console.log(`  ${name}\n${message.replace(/^/gm, '      ')}`);

  const total = (count) => reports.reduce((sum, report) => sum + report[count], 0);
  // The check counts as one test; a run that failed outside of any test does, too.
  const passed = total('passed') + (checked && !values.quick ? 1 : 0);
  const skipped = total('skipped');
  // Whether tests were left out that `--all` asks for. Without this nobody would see it: what runs is green.
  const ofAll = reports.flatMap(({ files }) => files).some(({ name }) => name.includes('.all.'));
  const partial = values.all && !ofAll;
  const failed = total('failed') + (checked ? 0 : 1);
  const untold = (!tested && failed === 0) || partial ? 1 : 0;
  console.log('');
  if (!checked) console.log('`npm run check` failed: see above.');
  if (!tested) console.log('Tests failed: see above.');
  if (partial) console.log('None of the files *.all.test.ts ran, although all tests were asked for.');
  console.log(`${passed} passed, ${failed + untold} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  process.exit(checked && tested && failed + untold === 0 ? 0 : 1);
}

/** Ends the process where the tests cannot begin. */
function stop(error) {
  console.error(`${error.message}\n\n0 passed, 1 failed`);
  process.exit(1);
}

async function timed(part, action) {
  const start = Date.now();
  const result = await action();
  parts.push([part, (Date.now() - start) / 1000]);
  return result;
}
