// How a mutant of backend-wasm's kernels is built and tested: compiled into a copy of the package (reports/mutants/backend-wasm), in
// which first the conformance suite runs up to the first case that fails, and then, should none, the package's own tests.
import { fork, spawn } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { builds, compile, embedding, fileOf } from '../../packages/backend-wasm/scripts/build-kernels.mjs';
import { root } from '../workspace.mjs';
import { hash } from './kernels.mjs';

const folder = join(root, 'packages', 'backend-wasm');
const copy = join(root, 'reports', 'mutants', 'backend-wasm');
const kernels = join(folder, 'src', 'kernels');

/** The package's tests that a kernel can fail, those first that take least to notice most. */
const tests = ['thresholds', 'masks', 'guards', 'kernels', 'accuracy', 'row-lengths', 'mixed-rows', 'exp', 'memory'];

/** A test that is at work gives a sign of life; without one for so long it has no end. */
const silenceMs = 20_000;
const testsMs = 300_000;

const present = readdirSync(join(folder, 'test'));
const testFiles = tests.map((name) => `${name}.test.ts`).filter((name) => present.includes(name));

/** What `runKernelMutants` is told of backend-wasm. The table of 2^(j/256) is left out: exp.test.ts reaches each entry. */
export const target = {
  name: 'backend-wasm-kernels',
  folder: kernels,
  files: readdirSync(kernels).filter((name) => name !== 'exp2-table.h'),
  language: 'c',
  equivalents: join(folder, 'test', 'equivalent-mutants.json'),
  tests: hash(...[...testFiles, 'ulp.ts'].map((name) => readFileSync(join(folder, 'test', name), 'utf8'))),
  open,
};

async function open({ quick }) {
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  for (const name of ['dist', 'src', 'test', 'package.json'])
    cpSync(join(folder, name), join(copy, name), { recursive: true });
  symlinkSync(join(folder, 'node_modules'), join(copy, 'node_modules'));
  writeFileSync(join(copy, 'vitest.config.mjs'), config);
  const sources = join(copy, 'src', 'kernels');
  const original = {};
  for (const [name, flags] of Object.entries(builds)) original[name] = await compile(flags, sources);
  embed(original);
  const cases = new Map();
  for (const build of Object.keys(builds)) {
    const outcome = await conform(build, { measure: true });
    if (outcome.status !== 'survived') throw new Error(`the ${build} build fails unchanged: ${outcome.by}`);
    for (const { name, ms } of outcome.cases) cases.set(name, { name, ms, kills: 0 });
  }

  /** Cases that have noticed most for their time come first. */
  const inOrder = () =>
    [...cases.values()].sort((a, b) => a.ms / (1 + 20 * a.kills) - b.ms / (1 + 20 * b.kills)).map(({ name }) => name);

  return {
    async test(file, text) {
      const path = join(sources, file);
      writeFileSync(path, text);
      try {
        const build = await mutated(original, sources);
        if (typeof build !== 'string') return build;
        const outcome = await conform(build, { order: inOrder() });
        const killer = cases.get(outcome.by);
        if (killer) killer.kills++;
        // The package's tests run without relaxed SIMD, which Node has not by itself.
        return outcome.status === 'survived' && build === 'simd' && !quick ? await ownTests() : outcome;
      } finally {
        writeFileSync(path, readFileSync(join(kernels, file)));
      }
    },
    close: async () => rmSync(copy, { recursive: true, force: true }),
  };
}

/** Builds the sources and embeds them: the name of the first build that differs, or the outcome where none does. */
async function mutated(original, sources) {
  for (const [name, flags] of Object.entries(builds)) {
    let bytes;
    try {
      bytes = await compile([...flags, '-w'], sources);
      if (bytes.equals(original[name])) continue;
      embed({ ...original, [name]: bytes });
    } catch {
      return { status: 'error' };
    }
    return name;
  }
  return { status: 'same' };
}

function embed(modules) {
  for (const [name, bytes] of Object.entries(modules)) {
    const text = embedding(name, bytes, '');
    // The conformance suite loads dist, the package's tests load src.
    for (const path of [`dist/${fileOf(name)}.js`, `src/${fileOf(name)}.ts`]) writeFileSync(join(copy, path), text);
  }
}

/** The conformance suite over the copy, in a process of its own. */
function conform(build, { order = [], measure = false }) {
  const script = fileURLToPath(new URL('conformance-of.mjs', import.meta.url));
  const execArgv = build === 'relaxed' ? ['--experimental-wasm-relaxed-simd'] : [];
  const child = fork(script, [join(copy, 'dist', 'index.js'), build], {
    execArgv,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  return new Promise((resolve) => {
    let outcome = null;
    let silence = null;
    const alive = () => {
      clearTimeout(silence);
      silence = setTimeout(() => {
        outcome = { status: 'timeout' };
        child.kill('SIGKILL');
      }, silenceMs);
    };
    child.on('message', (message) => {
      if (message !== 'alive') outcome = message;
      alive();
    });
    child.on('exit', (code) => {
      clearTimeout(silence);
      resolve(outcome ?? { status: 'killed', by: `exit ${code}` });
    });
    alive();
    child.send({ order, measure });
  });
}

const config = `
const order = ${JSON.stringify(testFiles)};
class Sequencer {
  sort = async (files) => files.sort((a, b) => place(a) - place(b));
  shard = async (files) => files;
}
const place = ({ moduleId }) => order.findIndex((name) => moduleId.endsWith('/' + name));
export default {
  test: {
    include: order.map((name) => 'test/' + name),
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
function ownTests() {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const child = spawn(process.execPath, [vitest, 'run', '--root', copy], {
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
