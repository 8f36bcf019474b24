// Runs the checks and the tests of every package, which is built, several at a time, the longest first. `scripts/test.mjs` starts it in an environment in which
// pnpm, Vitest and Biome are found by name. The exit code is the sum of 1 if tests failed and 2 if checks failed.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { conformanceTests, together } from './together.mjs';
import { root, testFolders } from './workspace.mjs';

/** As many as a small machine has cores. They keep both busy for 96 % of the time; a third gains nothing. */
const atOnce = 2;

/** Packages in descending order of their time; the others take less. Short ones are last, so that both cores are busy until the end. */
const longestFirst = [
  'browsers',
  'conformance',
  'backend-webgpu',
  'playground',
  'cli',
  'distributed',
  'backend-wasm',
  'core',
  'doctor',
  'backend-gpujs',
  'backend-cpu',
  'backend-tfjs',
  'docs',
  'check packages',
  'bench',
  'lint',
  'examples',
];

/** Tests in Chromium run once for all packages: with SOFTGRAD_NODE_ONLY=1 a package's own leave them out. */
const inNode = { SOFTGRAD_NODE_ONLY: '1' };

const [task] = process.argv.slice(2);
const tests = testFolders()
  .map((folder) => ({
    folder,
    name: basename(folder),
    manifest: JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')),
  }))
  .filter(({ manifest }) => manifest.scripts?.[task] !== undefined)
  .map(({ folder, name, manifest }) => ({
    name,
    what: `${task} ${name}`,
    failure: 1,
    // Not by turbo: everything is built, and what turbo and pnpm run beside the tests takes as long as the tests of a small package.
    command: [...manifest.scripts[task].split(' '), ...withoutConformance(name)],
    folder,
    env: inNode,
  }));
const testsTogether = together.map((name) => ({
  name,
  what: `test ${name}`,
  failure: 1,
  command: ['vitest', 'run', '--config', `vitest.${name}.config.ts`],
}));
const checks = [
  { name: 'lint', what: 'lint', failure: 2, command: ['biome', 'check', '.'] },
  { name: 'check packages', what: 'check packages', failure: 2, command: ['node', 'scripts/check.mjs'] },
];
const jobs = (task === 'test' ? [...testsTogether, ...tests, ...checks] : tests).toSorted(
  (a, b) => rank(a.name) - rank(b.name),
);

let failures = 0;
await Promise.all(Array.from({ length: atOnce }, work));
process.exitCode = failures;

async function work() {
  for (let job = jobs.shift(); job; job = jobs.shift()) {
    const start = Date.now();
    const { status, output } = await run(job);
    const seconds = ((Date.now() - start) / 1000).toFixed(0);
    process.stdout.write(`${output}\n${status === 0 ? 'done' : 'FAILED'}: ${job.what}, ${seconds} s\n`);
    if (status !== 0) failures |= job.failure;
  }
}

/** Shows the output when the command has ended, because the output of parallel commands would be mixed. */
function run({ command: [command, ...args], folder = root, env = {} }) {
  return new Promise((resolve) => {
    const chunks = [];
    const child = spawn(command, args, {
      cwd: folder,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32',
    });
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.on('data', (chunk) => chunks.push(chunk));
    child.on('error', (error) => resolve({ status: 1, output: `${command} did not start: ${error.message}` }));
    child.on('close', (status) => resolve({ status: status ?? 1, output: Buffer.concat(chunks).toString() }));
  });
}

/** What leaves out the tests of a package that run together with those of others. */
function withoutConformance(name) {
  const files = task === 'test' ? conformanceTests[name] : undefined;
  return files ? ['--exclude', files] : [];
}

function rank(name) {
  const at = longestFirst.indexOf(name);
  return at < 0 ? longestFirst.length : at;
}
