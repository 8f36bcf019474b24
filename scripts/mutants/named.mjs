// `npm run mutants -- named`: makes each fault of named-list.mjs in a copy of its package (.mutants/named), and runs the tests that should
// detect it up to the first that fails.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { builds, compile, embedding, fileOf } from '../../packages/backend-wasm/scripts/build-kernels.mjs';
import { root } from '../workspace.mjs';
import { copyInWorkspace } from './copy.mjs';
import { named } from './named-list.mjs';

/**
 * Tries the faults of some packages, or of all, and calls `keep` with each result: `{ package, file, what, shows, killedBy }`, where `killedBy` is
 * null if all tests pass.
 *
 * @param only names of packages; empty for all
 * @throws if a failing test also fails without the fault
 */
export async function tryNamed(only, keep) {
  const unchanged = new Set();
  for (const fault of named.filter((one) => only.length === 0 || only.includes(one.package))) {
    const begun = performance.now();
    const { package: name, file, what, shows } = fault;
    const failure = await withCopy(name, (copy) => tryOne(copy, fault));
    if (failure && !unchanged.has(`${name} ${failure.test}`)) {
      const own = await withCopy(name, (copy) => firstFailure(copy, [failure.test]));
      if (own) throw new Error(`${name} fails without a fault: ${own.test}: ${own.title}`);
      unchanged.add(`${name} ${failure.test}`);
    }
    const killedBy = failure && `test/${failure.test}.test.ts: ${failure.title}`;
    const seconds = Math.round((performance.now() - begun) / 1000);
    console.log(`${killedBy ? `killed by ${killedBy}` : 'SURVIVED'}, ${seconds} s: ${name}/${file}: ${what}`);
    keep({ package: name, file, what, shows, killedBy });
  }
}

async function withCopy(name, use) {
  const copy = copyInWorkspace(name, 'named');
  try {
    return await use(copy.folder);
  } finally {
    copy.remove();
  }
}

async function tryOne(copy, fault) {
  const path = join(copy, fault.file);
  writeFileSync(path, edited(readFileSync(path, 'utf8'), fault));
  if (/\.[ch]$/.test(fault.file)) await rebuild(copy);
  if (fault.built) build(copy);
  return firstFailure(copy, fault.tests);
}

/** The text after all edits. @throws if a text to replace does not occur exactly once */
export function edited(text, { file, edits }) {
  return edits.reduce((rest, [from, to]) => {
    const parts = rest.split(from);
    if (parts.length !== 2) throw new Error(`${file} contains ${parts.length - 1} times, instead of once: ${from}`);
    return parts.join(to);
  }, text);
}

/** Compiles the kernels of a copy of backend-wasm, both into the sources that its tests import and into the dist that its threads load. */
async function rebuild(copy) {
  for (const [build, flags] of Object.entries(builds)) {
    const module = embedding(build, await compile([...flags, '-w'], join(copy, 'src', 'kernels')), '');
    writeFileSync(join(copy, 'src', `${fileOf(build)}.ts`), module);
    writeFileSync(join(copy, 'dist', `${fileOf(build)}.js`), module);
  }
}

/** Compiles the `dist` of a copy. @throws if the change does not compile */
function build(copy) {
  const typescript = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  execFileSync(process.execPath, [typescript, '-b', copy], { encoding: 'utf8', stdio: 'pipe' });
}

/** The first test that fails: the name of its file as `test`, and its `title`; or null. */
function firstFailure(copy, files) {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const report = join(copy, 'reports', 'vitest.json');
  const args = ['run', ...files.map((name) => `test/${name}.test.ts`), '--bail=1', '--reporter=json'];
  const env = { ...process.env, SOFTGRAD_NODE_ONLY: '1', SOFTGRAD_SOURCES: '1' };
  const child = spawn(process.execPath, [vitest, ...args], { cwd: copy, env, stdio: ['ignore', 'pipe', 'pipe'] });
  return new Promise((resolve, reject) => {
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text) => {
        output += text;
      });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) return resolve(null);
      if (!existsSync(report)) return reject(new Error(`Vitest ended with ${code}: ${output}`));
      const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
      for (const { name, message, assertionResults } of testResults) {
        const test = name.split('/test/').at(-1).replace('.test.ts', '');
        const failed = assertionResults.find(({ status }) => status === 'failed');
        if (failed) return resolve({ test, title: failed.fullName });
        if (message) return reject(new Error(`${test} does not run: ${message}`));
      }
      reject(new Error(`Vitest ended with ${code} and reports no failure`));
    });
  });
}
