// How a mutant of backend-webgpu's WGSL, which is in template strings of its TypeScript, is tried: in a copy of the package
// (reports/mutants/backend-webgpu), on the software device.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformWithEsbuild } from 'vite';
import { softwareDevice } from '../chromium.mjs';
import { root } from '../workspace.mjs';
import { mutants } from './operators.mjs';
import { conformanceProcess, copyPackage, distWith, measured, ownTests, rankedCases, testsOf } from './trial.mjs';

const folder = join(root, 'packages', 'backend-webgpu');
const copy = join(root, 'reports', 'mutants', 'backend-webgpu');
const sources = join(folder, 'src');

/** The package's tests that a kernel can fail, those first that take least to notice most. */
const { files: testFiles, hash: tests } = testsOf(
  folder,
  ['float16', 'non-finite', 'jacobian', 'accuracy', 'kernels', 'long-rows', 'measure', 'float16-conformance'],
  ['device.ts', 'swiftshader.ts', 'emulated-float16.ts', 'traced.ts'],
);

/** Operations whose programs contain a file's WGSL; a file that is not listed is in all of them. */
export const operationsOf = {
  'kernels/cross-entropy.ts': /^crossEntropy$/,
  'kernels/elementwise.ts': /^(?:basis\.(?!reduce).*|sigmoid.*|relu.*)$/,
  'kernels/jacobian.ts': /jacobian$/i,
  'kernels/reduce.ts': /^basis\.reduce$/,
  'kernels/row-program.ts': /^(?!basis\.(?!reduce)|sigmoid|relu|.*jacobian$)/i,
  'kernels/softmax-state.ts': /^(?:softmax|logSoftmax|logSumExp|crossEntropy)$/,
  'kernels/softmax.ts': /^(?:softmax|logSoftmax|logSumExp)$/,
  'kernels/vjp.ts': /^(?:vjp|softmaxVjp|logSoftmaxVjp|logSoftmaxJvp)$/,
  // The software device has no float16: the package's tests emulate it.
  'kernels/halves.ts': /^$/,
};

/** The software device computes in threads of its own, and leaves the process little time on a busy machine. */
const silenceMs = 120_000;

const wgslFiles = readdirSync(sources, { recursive: true })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => mutants(readFileSync(join(sources, file), 'utf8'), 'wgsl-in-ts').length > 0)
  .sort();

/** What `runKernelMutants` is told of backend-webgpu. */
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
  const { supports, cases: known } = await measured('backend-webgpu', folder, async () => {
    const outcome = await suite.run({ path: join(copy, 'dist', 'index.js'), measure: true });
    if (outcome.status !== 'survived') throw new Error(`the package fails unchanged: ${outcome.by ?? 'no end'}`);
    return outcome;
  });
  const cases = rankedCases(known);

  return {
    async test(file, text) {
      const reached = ({ operations }) => operations.some((name) => operationsOf[file]?.test(name) ?? true);
      const { code } = await transformWithEsbuild(text, file, { target: 'es2022' });
      const path = distWith(copy, file.replace(/\.ts$/, '.js'), code);
      // An empty order would mean all cases.
      const order = ['none', ...cases.order(file, reached)];
      const outcome = await suite.run({ path, order, supports });
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
