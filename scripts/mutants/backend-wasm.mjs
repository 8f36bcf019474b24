// Tries mutants of backend-wasm's kernels, which are C: compiles each into a copy of the package (reports/mutants/backend-wasm).
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { builds, compile, embedding, fileOf } from '../../packages/backend-wasm/scripts/build-kernels.mjs';
import { root } from '../workspace.mjs';
import { conformanceProcess, copyPackage, distWith, measured, ownTests, rankedCases, testsOf } from './trial.mjs';

const folder = join(root, 'packages', 'backend-wasm');
const copy = join(root, 'reports', 'mutants', 'backend-wasm');
const kernels = join(folder, 'src', 'kernels');

/** The package's tests that can detect a mutant of a kernel, those first that detect most in the least time. */
const { files: testFiles, hash: tests } = testsOf(
  folder,
  [
    ...['equal-entries', 'ignored-rows', 'masks', 'temperature', 'peaks', 'accuracy', 'thresholds'],
    ...['kernels', 'rows', 'mixed-rows', 'guards', 'exp', 'memory'],
  ],
  ['ulp.ts', 'every-kernel.ts'],
);

/** The target of `runKernelMutants` for backend-wasm. The table of 2^(j/256) is left out, because exp.test.ts reaches each entry. */
export const target = {
  name: 'backend-wasm-kernels',
  folder: kernels,
  files: readdirSync(kernels).filter((name) => name !== 'exp2-table.h'),
  language: 'c',
  equivalents: join(folder, 'test', 'equivalent-mutants.json'),
  tests,
  open,
};

async function open({ quick }) {
  copyPackage(folder, copy, testFiles);
  const sources = join(copy, 'src', 'kernels');
  const original = {};
  const objects = new Map();
  for (const [build, flags] of Object.entries(builds))
    original[build] = await compile([...flags, '-w'], sources, objects);
  const suites = {};
  for (const build of Object.keys(builds)) suites[build] = await suiteOf(build);

  return {
    async test(file, text) {
      const path = join(sources, file);
      writeFileSync(path, text);
      try {
        const difference = await mutated(original, sources, objects);
        if (difference.status) return difference;
        const { build, dtypes, embedded } = difference;
        const { process, cases } = suites[build];
        // Cases that are only float64 cannot detect mutants that change only float32.
        const reached = ({ name }) => dtypes.includes('float64') || !isOfFloat64(name);
        const module = distWith(copy, `${fileOf(build)}.js`, embedded);
        const outcome = await process.run({ path: module, order: cases.order(file, reached) });
        cases.noticed(outcome.by, file);
        // The package's tests run without relaxed SIMD, for which Node would need a flag.
        if (outcome.status !== 'survived' || build !== 'simd' || quick) return outcome;
        writeFileSync(join(copy, 'src', `${fileOf(build)}.ts`), embedded);
        return await ownTests(copy);
      } finally {
        writeFileSync(path, readFileSync(join(kernels, file)));
      }
    },
    close() {
      for (const { process } of Object.values(suites)) process.close();
      rmSync(copy, { recursive: true, force: true });
    },
  };
}

/** Runs the conformance suite on a build. */
async function suiteOf(build) {
  const relaxedSimd = build === 'relaxed';
  const execArgv = relaxedSimd ? ['--experimental-wasm-relaxed-simd'] : [];
  const process = conformanceProcess({ provider: 'wasm', open: { relaxedSimd } }, { execArgv });
  const measure = async () => {
    const outcome = await process.run({ path: join(copy, 'dist', 'index.js') });
    if (outcome.status !== 'survived') throw new Error(`the ${build} build fails unchanged: ${outcome.by ?? 'no end'}`);
    return outcome;
  };
  const { cases } = await measured(`backend-wasm-${build}`, folder, measure);
  return { process, cases: rankedCases(cases) };
}

const isOfFloat64 = (name) => /\bdtype=float64\b/.test(name);

/**
 * Builds the sources.
 *
 * @param objects the compiled original, see `compile`
 * @returns the first build that differs, with the dtypes in which it differs and the text of its file; or the `status` if none differs
 */
async function mutated(original, sources, objects) {
  for (const [build, flags] of Object.entries(builds)) {
    const own = new Map(objects);
    let bytes;
    try {
      bytes = await compile([...flags, '-w'], sources, own);
    } catch {
      return { status: 'error' };
    }
    if (bytes.equals(original[build])) continue;
    const changed = [...own.keys()].filter((key) => !objects.has(key));
    const dtypes = ['float32', 'float64'].filter((dtype) =>
      changed.some((key) => key.includes(`-DREAL=${dtype.slice(5)} `)),
    );
    return { build, dtypes, embedded: embedding(build, bytes, '') };
  }
  return { status: 'same' };
}
