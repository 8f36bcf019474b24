// Tries mutants of backend-wasm's kernels, which are C, by the runner for TypeScript: one process has loaded the tests of a copy of the package, and
// a mutant is a module of its own that the copy's backends call instead of the unchanged one (switched-kernels.mjs). Only the translation unit and
// the dtype that a test calls are compiled.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { builds, compile } from '../../packages/backend-wasm/scripts/build-kernels.mjs';
import { root } from '../workspace.mjs';
import { bitsOf, hasBit } from './bits.mjs';
import { mutantCompiler } from './c-mutants.mjs';
import { copyForKernels } from './copy.mjs';
import { hash } from './kernels.mjs';

const folder = join(root, 'packages', 'backend-wasm');
const kernels = join(folder, 'src', 'kernels');

/** The package's tests that do not compute with kernels in their own thread, or that compare one build or thread with another. */
const leftOut =
  /^(?:bundle|calls|fresh\.all|module|mutation-operators|one-build|opened-with|relaxed-simd|spawn|threads)\.test\.ts$/;

/** A process that starts no test or mutant for this time has a mutant whose loop does not end. */
const silenceMs = 30_000;

const tests = () => hash(...textsIn(join(folder, 'test')), ...textsIn(join(root, 'packages', 'core', 'conformance')));

/** The target of `runKernelMutants` for backend-wasm. The table of 2^(j/256) is left out, because exp.test.ts reaches each entry. */
export const target = {
  name: 'backend-wasm-kernels',
  folder: kernels,
  files: readdirSync(kernels).filter((name) => name !== 'exp2-table.h'),
  language: 'c',
  equivalents: join(folder, 'test', 'equivalent-mutants.json'),
  tests,
  tryAll,
};

/**
 * Calls `keep` with each of some mutants and its result.
 *
 * @param open mutants with `file`, `start`, `end` and `after`
 * @param options for the tests, see typescript.mjs
 */
async function tryAll(open, options, keep) {
  const { casesAsTests, measureOnce, readMeasured, tryAll: tryInRounds } = await import('./typescript.mjs');
  const copy = copyForKernels('backend-wasm', leftOut);
  try {
    casesAsTests(copy.folder, options.oneCaseOf);
    const ids = new Map(open.map((mutant, id) => [String(id), mutant]));
    const changes = Object.fromEntries(
      [...ids].map(([id, { file, start, end, after }]) => [id, { file, start, end, after }]),
    );
    const [sources, cache] = [join(copy.folder, 'src', 'kernels'), join(copy.state, 'objects')];
    const heapBase = await heapBaseOf();
    const compiler = mutantCompiler(sources, cache, changes, heapBase);
    const places = compiler.kernels();
    const given = { kernels: places, mutants: changes, sources, cache, heapBase };
    writeFileSync(join(copy.state, 'switch.json'), JSON.stringify(given));
    const module = pathToFileURL(fileURLToPath(new URL('switched-kernels.mjs', import.meta.url))).href;
    const place = { ...copy, measured: join(copy.state, 'measured.json'), kernels: module, silenceMs };
    await measureOnce(
      place,
      join(root, 'reports', 'mutants', 'backend-wasm-kernels.measured.json'),
      hash(String(options.oneCaseOf), tests(), ...textsIn(kernels)),
    );
    const measured = readMeasured(place.measured);
    const tried = async (build, some, done) => {
      const kernelsOfBuild = Object.values(places).map(({ unit }, k) => ({ unit, id: firstOf(build, places) + k }));
      const reachedByUnits = new Map();
      const reaching = (calls) => {
        const units = [...new Set(kernelsOfBuild.filter(({ id }) => hasBit(calls, id)).map(({ unit }) => unit))];
        const key = units.join();
        if (!reachedByUnits.has(key)) {
          const reached = some.filter((id) => units.some((unit) => compiler.reaches(id, unit)));
          reachedByUnits.set(key, bitsOf(reached).toString('base64'));
        }
        return reachedByUnits.get(key);
      };
      const tests = Object.entries(measured.tests).map(([test, { ms, reached }]) => [
        test,
        { ms, reached: reaching(Buffer.from(reached, 'base64')) },
      ]);
      writeFileSync(place.measured, JSON.stringify({ ...measured, tests: Object.fromEntries(tests) }));
      await tryInRounds(
        place,
        some.map((id) => ({ id })),
        options,
        done,
      );
    };
    // A mutant that changes the build without relaxed SIMD is tried in that build only.
    const ofRelaxed = [];
    await tried('simd', [...ids.keys()], (id, result) => {
      const effect = /^(?:survived|untested)$/.test(result.status) ? compiler.effectOf(id) : 'simd';
      if (effect === 'relaxed') ofRelaxed.push(id);
      else keep(ids.get(id), effect === 'simd' ? result : { status: effect });
    });
    if (ofRelaxed.length > 0) await tried('relaxed', ofRelaxed, (id, result) => keep(ids.get(id), result));
  } finally {
    copy.remove();
  }
}

/** The number of the first kernel of a build, see switched-kernels.mjs. */
const firstOf = (build, places) => Object.keys(builds).indexOf(build) * Object.keys(places).length;

/** Where the memory of the unchanged kernels ends. */
async function heapBaseOf() {
  const memory = new WebAssembly.Memory({ initial: 32, maximum: 65536 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(await compile([])), { env: { memory } });
  return exports.__heap_base.value;
}

function textsIn(place) {
  const names = readdirSync(place, { recursive: true }).map(String);
  return names
    .filter((name) => /\.(?:m?ts|[ch])$/.test(name))
    .sort()
    .map((name) => readFileSync(join(place, name), 'utf8'));
}
