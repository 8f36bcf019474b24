// Tries mutants of backend-webgpu's WGSL, which is in template strings of its TypeScript, by the runner for TypeScript, on the software device: one
// process has loaded the tests of a copy of the package, and pipelines are replaced when they are dispatched (switched-wgsl.mjs).
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../workspace.mjs';
import { copyForKernels } from './copy.mjs';
import { hash } from './kernels.mjs';
import { mutants } from './operators.mjs';
import { withMarkers } from './switched-wgsl.mjs';

const folder = join(root, 'packages', 'backend-webgpu');
const sources = join(folder, 'src');

/** The package's tests that run no kernels, or only in Chromium, or that change the device or its WGSL. */
const leftOut =
  /^(?:arguments|bundle|counts|devices|faults|measure|mutants|opening|pool|process|time|validation\.all)\.test\.ts$/;

/** Dawn's device may take so long for a test on a busy machine. */
const silenceMs = 120_000;

const wgslFiles = readdirSync(sources, { recursive: true })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => mutants(readFileSync(join(sources, file), 'utf8'), 'wgsl-in-ts').length > 0)
  .sort();

const tests = () => hash(...textsIn(join(folder, 'test')), ...textsIn(join(root, 'packages', 'core', 'conformance')));

/** The target of `runKernelMutants` for backend-webgpu. */
export const target = {
  name: 'backend-webgpu-kernels',
  folder: sources,
  files: wgslFiles,
  language: 'wgsl-in-ts',
  equivalents: join(folder, 'test', 'equivalent-mutants.json'),
  tests,
  tryAll,
};

/** Calls `keep` with each of some mutants and its result. @param options for the tests, see typescript.mjs */
async function tryAll(open, options, keep) {
  const { casesAsTests, measureOnce, tryAll: tryInRounds } = await import('./typescript.mjs');
  const copy = copyForKernels('backend-webgpu', leftOut);
  // The cases of `npm test` use every program that the whole suite uses.
  process.env.SOFTGRAD_EVERYTHING = '0';
  try {
    casesAsTests(copy.folder, options.oneCaseOf);
    // All mutants of all files, so that what each test reaches is measured once.
    const all = wgslFiles.flatMap((file) => {
      const text = readFileSync(join(sources, file), 'utf8');
      return mutants(text, 'wgsl-in-ts').map((mutant) => ({ ...mutant, file }));
    });
    const numbered = all.map((mutant, id) => ({ ...mutant, id: String(id) }));
    for (const file of wgslFiles) {
      const path = join(copy.folder, 'src', file);
      const own = numbered.filter((mutant) => mutant.file === file);
      writeFileSync(path, withMarkers(readFileSync(path, 'utf8'), own));
    }
    const module = new URL('switched-wgsl.mjs', import.meta.url).href;
    const place = { ...copy, measured: join(copy.state, 'measured.json'), kernels: module, silenceMs };
    await measureOnce(
      place,
      join(root, 'reports', 'mutants', 'backend-webgpu-kernels.measured.json'),
      hash(tests(), String(options.oneCaseOf), ...textsIn(sources)),
    );
    const nameOf = ({ file, start, end, after }) => JSON.stringify([file, start, end, after]);
    const byName = new Map(numbered.map((mutant) => [nameOf(mutant), mutant.id]));
    const byId = new Map(open.map((mutant) => [byName.get(nameOf(mutant)), mutant]));
    const ids = [...byId.keys()].map((id) => ({ id }));
    await tryInRounds(place, ids, options, (id, result) => keep(byId.get(id), result));
  } finally {
    copy.remove();
  }
}

function textsIn(place) {
  const names = readdirSync(place, { recursive: true }).map(String);
  return names
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .map((name) => readFileSync(join(place, name), 'utf8'));
}
