// How a mutant is tried, whatever its language: a copy of the package in reports/mutants, in which first the conformance suite runs up to
// the first case that fails, and then, should none, the package's own tests.
import { fork, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from '../workspace.mjs';
import { hash } from './kernels.mjs';

const testsMs = 300_000;

/** Names of those of a package's tests that exist, and the hash of what they and the conformance suite say. */
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

/** The copy's dist once more, with this text in one of its files, under a name that no process has loaded: the path of its index.js. */
export function distWith(copy, file, text) {
  const place = join(copy, `dist-${++dists}`);
  rmSync(join(copy, `dist-${dists - 1}`), { recursive: true, force: true });
  cpSync(join(copy, 'dist'), place, { recursive: true, filter: (path) => !/\.(?:map|d\.ts)$/.test(path) });
  writeFileSync(join(place, file), text);
  return join(place, 'index.js');
}

let dists = 0;

/** Mutants that one process tries: what each of them loads stays in its memory. */
const mutantsOfProcess = 40;

/**
 * Runs the conformance suite in another process, which is kept: it has loaded the suite and computed what it expects.
 *
 * @param provider the name of the module's export, and the options of its `open`
 * @param options `execArgv`, `env`, and `silenceMs`: a process that gives no sign of life for so long has no end
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
    /** @param request what run-conformance.mjs is asked, see there */
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
 * What `measure` gives for the unchanged package, from reports/mutants/NAME-cases.json where neither the package nor the suite has
 * changed since: it takes as long as some twenty mutants.
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

/** Conformance cases in the order in which they are likely to notice a mutant soon. */
export function rankedCases(measured) {
  const cases = new Map(measured.map((entry) => [entry.name, { ...entry, kills: new Map(), total: 0 }]));
  const worth = ({ ms, kills, total }, file) => ms / (1 + 20 * (kills.get(file) ?? 0) + 5 * total);
  return {
    /** Names of the cases that `applies` holds for, first those that noticed most mutants of `file` for their time. */
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

/** The package's tests over the copy, up to the first that fails. */
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
