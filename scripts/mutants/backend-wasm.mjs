// Tries mutants of backend-wasm's kernels, which are C, by the runner for TypeScript: one process has loaded the tests of a copy of the package, and
// a mutant is a module of its own that the copy's backends call instead of the unchanged one (switched-kernels.mjs). Only the translation unit and
// the dtype that a test calls are compiled.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { builds, compile } from '../../packages/backend-wasm/scripts/build-kernels.mjs';
import { root } from '../workspace.mjs';
import { mutantCompiler } from './c-mutants.mjs';
import { copyInWorkspace } from './copy.mjs';
import { hash } from './kernels.mjs';

const folder = join(root, 'packages', 'backend-wasm');
const kernels = join(folder, 'src', 'kernels');

/** The package's tests that do not compute with kernels in their own thread, or that compare one build or thread with another. */
const leftOut =
  /^(?:bundle|calls|fresh\.all|module|mutation-operators|opened-with|relaxed-simd|spawn|threads)\.test\.ts$/;

/** A process that starts no test or mutant for this time has a mutant whose loop does not end. */
const silenceMs = 30_000;

/** The target of `runKernelMutants` for backend-wasm. The table of 2^(j/256) is left out, because exp.test.ts reaches each entry. */
export const target = {
  name: 'backend-wasm-kernels',
  folder: kernels,
  files: readdirSync(kernels).filter((name) => name !== 'exp2-table.h'),
  language: 'c',
  equivalents: join(folder, 'test', 'equivalent-mutants.json'),
  tests: () => hash(...textsIn(join(folder, 'test')), ...textsIn(join(root, 'packages', 'core', 'conformance'))),
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
  const copy = copyInWorkspace('backend-wasm', 'backend-wasm-kernels');
  try {
    const state = join(copy.folder, 'reports', 'mutants');
    mkdirSync(state, { recursive: true });
    for (const name of readdirSync(join(copy.folder, 'test')))
      if (leftOut.test(name)) rmSync(join(copy.folder, 'test', name));
    casesAsTests(copy.folder, options.oneCaseOf);
    const ids = new Map(open.map((mutant, id) => [String(id), mutant]));
    const changes = Object.fromEntries(
      [...ids].map(([id, { file, start, end, after }]) => [id, { file, start, end, after }]),
    );
    const [sources, cache] = [join(copy.folder, 'src', 'kernels'), join(state, 'objects')];
    const heapBase = await heapBaseOf();
    const compiler = mutantCompiler(sources, cache, changes, heapBase);
    const places = compiler.kernels();
    const given = { kernels: places, mutants: changes, sources, cache, heapBase };
    writeFileSync(join(state, 'switch.json'), JSON.stringify(given));
    const module = pathToFileURL(fileURLToPath(new URL('switched-kernels.mjs', import.meta.url))).href;
    const place = { ...copy, state, measured: join(state, 'measured.json'), kernels: module, silenceMs };
    const texts = [
      ...textsIn(kernels),
      ...textsIn(join(folder, 'test')),
      ...textsIn(join(root, 'packages', 'core', 'conformance')),
    ];
    await measureOnce(
      place,
      join(root, 'reports', 'mutants', 'backend-wasm-kernels.measured.json'),
      hash(String(options.oneCaseOf), ...texts),
    );
    const measured = readMeasured(place.measured);
    const tried = async (build, some, done) => {
      writeFileSync(place.measured, JSON.stringify(reachingMutants(measured, places, build, some, compiler)));
      const all = some.map((id) => ({ id }));
      await tryInRounds(place, all, options, done);
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

/** The measurement of which kernels each test calls, as one of which mutants it reaches in a build. */
function reachingMutants(measured, kernelsOf, build, ids, compiler) {
  const kernelsInOrder = Object.values(kernelsOf);
  const first = Object.keys(builds).indexOf(build) * kernelsInOrder.length;
  const mutantsOf = new Map();
  for (const { unit } of kernelsInOrder)
    if (!mutantsOf.has(unit))
      mutantsOf.set(
        unit,
        ids.filter((id) => compiler.reaches(id, unit)),
      );
  const most = Math.max(...ids.map(Number));
  const tests = Object.entries(measured.tests).map(([test, { ms, reached }]) => {
    const calls = Buffer.from(reached, 'base64');
    const units = kernelsInOrder.flatMap(({ unit }, k) => (hasBit(calls, first + k) ? [unit] : []));
    const bits = Buffer.alloc(1 + (most >> 3));
    for (const unit of new Set(units)) for (const id of mutantsOf.get(unit)) bits[id >> 3] |= 1 << (id & 7);
    return [test, { ms, reached: bits.toString('base64') }];
  });
  return { ...measured, tests: Object.fromEntries(tests) };
}

const hasBit = (bits, k) => ((bits[k >> 3] ?? 0) & (1 << (k & 7))) !== 0;

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
