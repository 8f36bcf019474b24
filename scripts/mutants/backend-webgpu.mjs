// Tries mutants of backend-webgpu's WGSL, which is in template strings of its TypeScript: in a copy of the package
// (reports/mutants/backend-webgpu), on the software device.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformWithEsbuild } from 'vite';
import { softwareDevice } from '../chromium.mjs';
import { root } from '../workspace.mjs';
import { mutants } from './operators.mjs';
import { conformanceProcess, copyPackage, distWith, ownTests, rankedCases, testsOf } from './trial.mjs';

const folder = join(root, 'packages', 'backend-webgpu');
const copy = join(root, 'reports', 'mutants', 'backend-webgpu');
const sources = join(folder, 'src');

/** The package's tests that can detect a mutant of a kernel, those first that detect most in the least time. */
const { files: testFiles, hash: tests } = testsOf(
  folder,
  ['float16', 'non-finite', 'jacobian', 'accuracy', 'kernels', 'long-rows', 'measure', 'float16-conformance'],
  ['device.ts', 'swiftshader.ts', 'emulated-float16.ts', 'traced.ts'],
);

/** The names of the conformance cases that use a file's WGSL; a file that is not listed is used by all of them. */
export const casesOf = {
  'kernels/cross-entropy.ts': /^(?!.*\(composed\)).*cross-?entropy/i,
  'kernels/elementwise.ts': /\(composed\)|: basis\/|sigmoid|relu/i,
  'kernels/jacobian.ts': /jacobian|diagonal|dense|matvec|derivatives/i,
  'kernels/reduce.ts': /\(composed\)|: basis\//,
  'kernels/softmax-state.ts': /soft(?:max|min)|log-?sum-?exp|cross-?entropy|row-groups/i,
  'kernels/softmax.ts': /soft(?:max|min)|log-?sum-?exp|row-groups/i,
  'kernels/vjp.ts': /: vjp\/|soft(?:max|min)[/.-](?:vjp|jvp|derivatives|gradient|at)|one-hot/i,
  // The software device has no float16, which the package's tests emulate.
  'kernels/halves.ts': /^$/,
};

/** Sections whose cases compile many programs. The time of a case is unknown before its first run. */
const isCostly = (name) => /lengths|many|combinations|extremes|row-groups|65537|40000|laws/.test(name);

/** The software device takes a second to compile a program, a case may have dozens, and the machine may be busy. */
const silenceMs = 600_000;

const wgslFiles = readdirSync(sources, { recursive: true })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => mutants(readFileSync(join(sources, file), 'utf8'), 'wgsl-in-ts').length > 0)
  .sort();

/** The target of `runKernelMutants` for backend-webgpu. */
export const target = {
  name: 'backend-webgpu-kernels',
  folder: sources,
  files: wgslFiles,
  language: 'wgsl-in-ts',
  equivalents: join(folder, 'test', 'equivalent-mutants.json'),
  tests,
  open,
};

async function open({ quick }) {
  copyPackage(folder, copy, testFiles);
  const env = { ...process.env, ...(await softwareDevice()) };
  const suite = conformanceProcess({ provider: 'webgpu', open: {} }, { env, silenceMs });
  const unchanged = join(copy, 'dist', 'index.js');
  const { supports, names } = await suite.run({ path: unchanged, list: true });
  const cases = rankedCases(names.map((name) => ({ name, ms: isCostly(name) ? 5000 : 500 })));
  const passing = new Set();

  /** The whole suite takes many minutes here, so only the test that detected a mutant is run on the unchanged package. */
  const passesUnchanged = async (name) => {
    if (!passing.has(name)) {
      const { status, by } = await suite.run({ path: unchanged, order: [name] });
      if (status !== 'survived') throw new Error(`the package fails unchanged: ${by ?? status}`);
    }
    passing.add(name);
  };

  return {
    async test(file, text) {
      const { code } = await transformWithEsbuild(text, file, { target: 'es2022' });
      const path = distWith(copy, file.replace(/\.ts$/, '.js'), code);
      // An empty order would mean all cases.
      const order = ['none', ...cases.order(file, ({ name }) => casesOf[file]?.test(name) ?? true)];
      const outcome = await suite.run({ path, order, supports });
      if (names.includes(outcome.by)) await passesUnchanged(outcome.by);
      cases.noticed(outcome.by, file);
      if (outcome.status !== 'survived' || quick) return outcome;
      const source = join(copy, 'src', file);
      try {
        writeFileSync(source, text);
        return await ownTests(copy, env);
      } finally {
        writeFileSync(source, readFileSync(join(sources, file)));
      }
    },
    close() {
      suite.close();
      rmSync(copy, { recursive: true, force: true });
    },
  };
}
