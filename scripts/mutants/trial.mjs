// Tries a mutant in any language in a copy of the package in reports/mutants: first with the conformance suite up to the first failure, then, if
// all cases pass, with the package's own tests.
import { fork, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from '../workspace.mjs';
import { hash } from './kernels.mjs';

const testsMs = 300_000;

/** The names of a package's tests, and the hash of their texts and of the conformance suite. */
export function testsOf(folder, names, helpers = []) {
  const present = readdirSync(join(folder, 'test'));
  const files = names.map((name) => `${name}.test.ts`).filter((name) => present.includes(name));
  const texts = [...files, ...helpers].map((name) => readFileSync(join(folder, 'test', name), 'utf8'));
  return { files, hash: hash(...texts, ...builtFiles(join(root, 'packages', 'core'))) };
}

/** Copies a package, with a Vitest configuration that runs `testFiles` in this order up to the first failure. */
export function copyPackage(folder, copy, testFiles) {
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  for (const name of ['dist', 'src', 'test', 'package.json'])
    cpSync(join(folder, name), join(copy, name), { recursive: true });
  symlinkSync(join(folder, 'node_modules'), join(copy, 'node_modules'));
  writeFileSync(join(copy, 'vitest.config.mjs'), configOf(testFiles));
}

/** Copies the dist again, with this text in one of its files, under a new path that no process has loaded. Returns the path of its index.js. */
export function distWith(copy, file, text) {
  const place = join(copy, `dist-${++dists}`);
  rmSync(join(copy, `dist-${dists - 1}`), { recursive: true, force: true });
  cpSync(join(copy, 'dist'), place, { recursive: true, filter: (path) => !/\.(?:map|d\.ts)$/.test(path) });
  writeFileSync(join(place, file), text);
  return join(place, 'index.js');
}

let dists = 0;

/** The number of mutants that one process tries; modules that it loaded stay in its memory. */
const mutantsOfProcess = 40;

/**
 * Runs the conformance suite in another process, which is reused because it has loaded the suite and computed the expected values.
 *
 * @param provider the name of the module's export, and the options of its `open`
 * @param options `execArgv`, `env`, and `silenceMs`: a process that reports nothing for this time is considered to hang
 */
export function conformanceProcess({ provider, open }, { execArgv = [], env = process.env, silenceMs = 20_000 } = {}) {
  const script = fileURLToPath(new URL('run-conformance.mjs', import.meta.url));
  let child = null;
  let served = 0;
  const start = () => {
    served = 0;
    const options = { execArgv, env, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] };
    child = fork(script, [provider, JSON.stringify(open)], options);
  };
  const end = () => {
    child?.kill('SIGKILL');
    child = null;
  };
  return {
    /** @param request the request for run-conformance.mjs, described there */
    run(request) {
      if (!child) start();
      const own = child;
      return new Promise((resolve) => {
        let silence = null;
        const finish = (outcome, isOver) => {
          clearTimeout(silence);
          own.removeAllListeners();
          if (isOver || ++served === mutantsOfProcess) end();
          resolve(outcome);
        };
        const alive = () => {
          clearTimeout(silence);
          silence = setTimeout(() => finish({ status: 'timeout' }, true), silenceMs);
        };
        own.on('message', (message) => (message === 'alive' ? alive() : finish(message, false)));
        own.on('exit', (code, signal) => finish({ status: 'killed', by: `exit ${code ?? signal}` }, true));
        alive();
        own.send(request);
      });
    },
    close: end,
  };
}

/**
 * The result of `measure` for the unchanged package. It takes as long as about twenty mutants, so it is kept in
 * reports/mutants/NAME-cases.json until the package or the suite changes.
 */
export async function measured(name, folder, measure) {
  const path = join(root, 'reports', 'mutants', `${name}-cases.json`);
  const key = hash(...[folder, join(root, 'packages', 'core')].flatMap(builtFiles));
  const kept = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
  if (kept.key === key) return kept.outcome;
  const outcome = await measure();
  writeFileSync(path, JSON.stringify({ key, outcome }));
  return outcome;
}

function builtFiles(folder) {
  const dist = join(folder, 'dist');
  const names = readdirSync(dist, { recursive: true }).map(String);
  const code = names.filter((name) => name.endsWith('.js')).sort();
  return code.map((name) => readFileSync(join(dist, name), 'utf8'));
}

/** Conformance cases, those first that are likely to detect a mutant in the least time. */
export function rankedCases(measured) {
  const cases = new Map(measured.map((entry) => [entry.name, { ...entry, kills: new Map(), total: 0 }]));
  const worth = ({ ms, kills, total }, file) => ms / (1 + 20 * (kills.get(file) ?? 0) + 5 * total);
  return {
    /** Names of the cases for which `applies` holds, those first that detected the most mutants of `file` per time. */
    order: (file, applies = () => true) =>
      [...cases.values()]
        .filter(applies)
        .sort((a, b) => worth(a, file) - worth(b, file))
        .map(({ name }) => name),
    noticed(name, file) {
      const found = cases.get(name);
      if (!found) return;
      found.total++;
      found.kills.set(file, (found.kills.get(file) ?? 0) + 1);
    },
  };
}

const configOf = (testFiles) => `
const order = ${JSON.stringify(testFiles)};
class Sequencer {
  sort = async (files) => files.sort((a, b) => place(a) - place(b));
  shard = async (files) => files;
}
const place = ({ moduleId }) => order.findIndex((name) => moduleId.endsWith('/' + name));
export default {
  test: {
    include: order.map((name) => 'test/' + name),
    provide: { everything: true },
    testTimeout: ${testsMs},
    fileParallelism: false,
    isolate: false,
    bail: 1,
    reporters: ['json'],
    sequence: { sequencer: Sequencer },
  },
};
`;

/** Runs the package's tests on the copy, up to the first that fails. */
export function ownTests(copy, env = process.env) {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const child = spawn(process.execPath, [vitest, 'run', '--root', copy], {
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  return new Promise((resolve) => {
    let output = '';
    let late = false;
    const end = setTimeout(() => {
      late = true;
      process.kill(-child.pid, 'SIGKILL');
    }, testsMs);
    child.stdout.on('data', (text) => {
      output += text;
    });
    child.on('close', (code) => {
      clearTimeout(end);
      const [, failed] = /"status":"failed","title":"([^"]*)"/.exec(output) ?? [];
      if (late) resolve({ status: 'timeout' });
      else resolve(code === 0 ? { status: 'survived' } : { status: 'killed', by: `test: ${failed ?? `exit ${code}`}` });
    });
  });
}
