// `npm run mutants -- PACKAGE …`: mutation testing. The TypeScript of a package is changed, one small change at a time (StrykerJS's), and the
// tests that reach it run; a change that every test lets pass is printed as "Survived": a test is missing, or the change does nothing.
//
//   npm run mutants -- backend-cpu formats            these packages; without names all of them, one after another
//   npm run mutants -- core --files src/tensor/scope.ts      only these files (a comma between several; globs; FILE:FIRST-LAST for lines)
//   npm run mutants -- core --sample 300 --seed 1     so many, drawn by chance
//   npm run mutants -- core --at-load                 also what modules do when they are loaded: a process for each mutant
//   npm run mutants -- core --up-to 2000              without tests that take longer than 20, 200 or 2000 ms: the score is a lower bound
//   npm run mutants -- core --tests 100               by 100 of the tests that reach a mutant: the score is a lower bound
//   npm run mutants -- core --one-case-of 10          by a tenth of the conformance suite: the score is a lower bound
//   npm run mutants -- core --afresh                  forget what earlier runs have found
//   npm run mutants -- core --list                    print the mutants, try none
//
// The kernels, which are not TypeScript, have mutants of our own (operators.mjs beside this file), one file after another:
//
//   npm run mutants -- backend-wasm-kernels                       C, by the conformance suite and the package's tests
//   npm run mutants -- backend-webgpu-kernels                     WGSL, by the same of its package on a software device
//     --files log.h,exp.h    only these files of the kernels      --operators boundary,lane   only these operators
//     --files exp.h:109-129  only these lines of a file
//     --sample 200 --seed 1  so many, drawn by chance             --list                      print them, try none
//     --quick                by the conformance suite alone
//
// Faults that a review once found to leave every test green are a list of their own (named-list.mjs):
//
//   npm run mutants -- named                          all of them
//   npm run mutants -- named backend-cpu core         those of these packages
//
// Resumable: a run keeps what it found in reports/mutants/PACKAGE.jsonl, and the next tries again only what changed:
// the mutants of a changed file, and the others that were not killed where a test changed. Not part of `npm test`. Tests run in Node alone.
// The score of a whole package, or of a sample of it, goes into docs/testing.md.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { mutantsTable, withMutants, withNamedMutants } from '../../docs/generate/mutants.mjs';
import { prepare, root } from '../workspace.mjs';

/** What is mutated in each package. Data, generated files and what only types are left out. */
const sources = {
  core: ['src/**/*.ts', 'conformance/**/*.ts', 'reference/**/*.ts', '!conformance/faulty/**'],
  doctor: ['src/**/*.ts'],
  'backend-cpu': ['src/**/*.ts'],
  // What runs in worker threads is loaded from dist: no mutant of it is seen.
  'backend-wasm': ['src/**/*.ts', '!src/*.generated.ts', '!src/worker.ts'],
  'backend-webgpu': ['src/**/*.ts'],
  'backend-gpujs': ['src/**/*.ts'],
  'backend-tfjs': ['src/**/*.ts'],
  formats: ['src/**/*.ts'],
  softgrad: ['src/**/*.ts'],
  cli: ['src/**/*.ts'],
  distributed: ['src/**/*.ts'],
  bench: ['src/**/*.ts'],
};

/** The packages whose kernels are mutated, and the module that says how to build and test them. */
const kernels = {
  'backend-wasm-kernels': './backend-wasm.mjs',
  'backend-webgpu-kernels': './backend-webgpu.mjs',
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    files: { type: 'string' },
    afresh: { type: 'boolean', default: false },
    'at-load': { type: 'boolean', default: false },
    'up-to': { type: 'string' },
    tests: { type: 'string' },
    'one-case-of': { type: 'string' },
    'no-build': { type: 'boolean', default: false },
    operators: { type: 'string' },
    sample: { type: 'string' },
    seed: { type: 'string', default: '1' },
    list: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  const [usage] = readFileSync(new URL(import.meta.url), 'utf8').split('\nimport ');
  console.log(usage.replace(/^\/\/ ?/gm, ''));
  process.exit(0);
}
const every = [...Object.keys(sources), ...Object.keys(kernels)];
const [mode, ...packagesOfNamed] = positionals;
const isNamed = mode === 'named';
const names = isNamed ? packagesOfNamed : positionals.length > 0 ? positionals : every;
const unknown = names.find((name) => !every.includes(name));
if (unknown) {
  console.error(`There are no mutants of '${unknown}'. There are: ${every.join(', ')}.`);
  process.exit(2);
}
if (values.files && names.length !== 1) {
  console.error('--files needs the name of one package: npm run mutants -- core --files src/tensor/scope.ts');
  process.exit(2);
}

if (!values['no-build']) prepare({ quiet: true });
if (isNamed) process.exit(await ofNamed(names));
const folder = join(root, 'reports', 'mutants');
mkdirSync(folder, { recursive: true });
process.chdir(root);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));
// All tests that need no browser, see vitest.shared.ts.
process.env.SOFTGRAD_NODE_ONLY = '1';
process.env.SOFTGRAD_EVERYTHING = '1';

const scores = [];
for (const name of names) {
  scores.push([name, name in kernels ? await ofKernels(name) : await ofTypeScript(name)]);
}
if (!values.list) console.log(`\n${mutantsTable(Object.fromEntries(scores))}`);
// A sample of kernels is of each operator, not of the whole.
const isWhole =
  !values.files && !values.quick && !values.list && !(values.sample && names.some((name) => name in kernels));
if (isWhole) keep(scores);

/** Writes the scores into docs/testing.md and the data that it is made of. */
function keep(scores) {
  const data = join(root, 'docs', 'data', 'mutants.json');
  const page = join(root, 'docs', 'testing.md');
  const all = { ...JSON.parse(readFileSync(data, 'utf8')), ...Object.fromEntries(scores) };
  writeFileSync(data, `${JSON.stringify(all, null, 2)}\n`);
  writeFileSync(page, withMutants(readFileSync(page, 'utf8'), all));
}

/** Tries the faults of the list and keeps what killed them in docs/testing.md: the exit code. */
async function ofNamed(only) {
  const { tryNamed } = await import('./named.mjs');
  const data = join(root, 'docs', 'data', 'named-mutants.json');
  const page = join(root, 'docs', 'testing.md');
  let code = 0;
  await tryNamed(only, (result) => {
    const isOther = (kept) => kept.package !== result.package || kept.what !== result.what;
    const all = [...JSON.parse(readFileSync(data, 'utf8')).filter(isOther), result];
    const inOrder = all.sort((a, b) => compare(a.package, b.package) || compare(a.what, b.what));
    writeFileSync(data, `${JSON.stringify(inOrder, null, 2)}\n`);
    writeFileSync(page, withNamedMutants(readFileSync(page, 'utf8'), inOrder));
    if (!result.killedBy) code = 1;
  });
  return code;
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

async function ofKernels(name) {
  const { runKernelMutants } = await import('./kernels.mjs');
  const { target } = await import(kernels[name]);
  return runKernelMutants(target, { ...values, sample: Number(values.sample ?? 0), seed: Number(values.seed) });
}

async function ofTypeScript(name) {
  // Packages of the workspace: they may be loaded once they are installed.
  const { runTypeScriptMutants } = await import('./typescript.mjs');
  const patterns = values.files ? values.files.split(',') : sources[name];
  const {
    sample = 0,
    seed,
    afresh,
    list,
    'at-load': withLoaded,
    'up-to': upTo,
    tests,
    'one-case-of': oneCaseOf,
  } = values;
  return runTypeScriptMutants(name, patterns, {
    sample: Number(sample),
    seed: Number(seed),
    afresh,
    list,
    withLoaded,
    ...(upTo && { most: Number(upTo) }),
    ...(tests && { testsEach: Number(tests) }),
    ...(oneCaseOf && { oneCaseOf: Number(oneCaseOf) }),
  });
}
