// `npm run mutants -- PACKAGE …`: mutation testing. Makes one small change at a time (a mutant of StrykerJS) in the TypeScript of a package, and
// runs the tests that reach it. A mutant that passes every test is printed as "Survived": a test is missing, or the change has no effect.
//
//   npm run mutants -- backend-cpu formats            these packages; without names all of them, one after another
//   npm run mutants -- core --files src/tensor/scope.ts      only these files (a comma between several; globs; FILE:FIRST-LAST for lines)
//   npm run mutants -- core --sample 300 --seed 1     300 random mutants
//   npm run mutants -- core --at-load                 also mutants of code that runs when a module is loaded: a process for each
//   npm run mutants -- core --up-to 2000              without tests that take longer than 20, 200 or 2000 ms: the score is a lower bound
//   npm run mutants -- core --tests 100               each mutant by at most 100 of the tests that reach it: the score is a lower bound
//   npm run mutants -- core --one-case-of 10          with a tenth of the conformance suite: the score is a lower bound
//   npm run mutants -- core --afresh                  ignore the results of earlier runs
//   npm run mutants -- core --list                    print the mutants, try none
//
// Kernels are not TypeScript. Their mutants are made by operators.mjs, one file after another:
//
//   npm run mutants -- backend-wasm-kernels                       C, with the conformance suite and the package's tests
//   npm run mutants -- backend-webgpu-kernels                     WGSL, with the same, on a software device
//     --files log.h,exp.h    only these files of the kernels      --operators boundary,lane   only these operators
//     --files exp.h:109-129  only these lines of a file
//     --sample 200 --seed 1  200 random mutants                   --list                      print the mutants, try none
//     --argued               also those listed as equivalent      --up-to 200                 survivors are left for a later run
//     --above 100            that later run: without the tests that take up to 100 ms, a margin for times that vary
//
// named-list.mjs lists faults that once left every test green:
//
//   npm run mutants -- named                          all of them
//   npm run mutants -- named backend-cpu core         those of these packages
//
// Resumable: results are kept in reports/mutants/PACKAGE.jsonl, those of kernels also in docs/data/kernel-mutants.json, and the next run tries only
// the mutants of changed files and, if a test changed, the survivors. Not part of `npm test`. Tests run only in Node. The score of a whole package, or of a sample, is written into docs/testing.md.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mutantsTable, withMutants, withNamedMutants } from '../../docs/generate/mutants.mjs';
import { argumentsOf } from '../arguments.mjs';
import { prepare, root } from '../workspace.mjs';

/** The files that are mutated in each package, without data, generated files and files that contain only types. */
const sources = {
  core: ['src/**/*.ts', 'conformance/**/*.ts', 'reference/**/*.ts', '!conformance/faulty/**'],
  doctor: ['src/**/*.ts'],
  'backend-cpu': ['src/**/*.ts'],
  // Worker threads load their code from dist, so tests would not see its mutants.
  'backend-wasm': ['src/**/*.ts', '!src/*.generated.ts', '!src/softgrad-worker.ts'],
  'backend-webgpu': ['src/**/*.ts'],
  // Only browsers execute the two engines.
  'backend-gpujs': ['src/**/*.ts', '!src/engines/gl.ts', '!src/engines/webgpu.ts'],
  // Only browsers execute the two shading languages, and bundlers must find the literal URLs of wasm-files.ts.
  'backend-tfjs': ['src/**/*.ts', '!src/verbs/webgl.ts', '!src/verbs/webgpu.ts', '!src/wasm-files.ts'],
  formats: ['src/**/*.ts'],
  softgrad: ['src/**/*.ts'],
  // The command's process and the processes of its benchmarks load these from dist; measured-costs.ts is a table of measured times.
  cli: [
    'src/**/*.ts',
    ...['!src/main.ts', '!src/process.ts', '!src/filtered-process.ts', '!src/register-module.ts', '!src/watchdog*.ts'],
    '!src/measured-costs.ts',
  ],
  distributed: ['src/**/*.ts'],
  // Processes load their code from dist, and gpu.js translates the text of its kernels, which cannot contain switches.
  bench: ['src/**/*.ts', '!src/processes.ts', '!src/process-child.ts', '!src/peers/kernels/gpujs.ts'],
};

/** The packages whose kernels are mutated, and the module that builds and tests the mutants. */
const kernels = {
  'backend-wasm-kernels': './backend-wasm.mjs',
  'backend-webgpu-kernels': './backend-webgpu.mjs',
};

const { values, positionals } = argumentsOf(import.meta.url, {
  allowPositionals: true,
  options: {
    files: { type: 'string' },
    afresh: { type: 'boolean', default: false },
    'at-load': { type: 'boolean', default: false },
    'up-to': { type: 'string' },
    above: { type: 'string' },
    tests: { type: 'string' },
    'one-case-of': { type: 'string' },
    'no-build': { type: 'boolean', default: false },
    operators: { type: 'string' },
    sample: { type: 'string' },
    seed: { type: 'string', default: '1' },
    list: { type: 'boolean', default: false },
    argued: { type: 'boolean', default: false },
  },
});
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

if (!values['no-build']) await prepare();
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
// The score of kernels counts all results so far.
const toKeep = scores.filter(([name]) => !values.list && (name in kernels || !values.files));
if (toKeep.length > 0) keep(toKeep);

/** Writes the scores into docs/testing.md and the data file behind it. */
function keep(scores) {
  const data = join(root, 'docs', 'data', 'mutants.json');
  const page = join(root, 'docs', 'testing.md');
  const all = { ...JSON.parse(readFileSync(data, 'utf8')), ...Object.fromEntries(scores) };
  writeFileSync(data, `${JSON.stringify(all, null, 2)}\n`);
  writeFileSync(page, withMutants(readFileSync(page, 'utf8'), all));
}

/** Tries the faults of the list and writes into docs/testing.md which test killed each. Returns the exit code. */
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
  const { sample = 0, seed, 'up-to': upTo, above, 'one-case-of': oneCaseOf = 1 } = values;
  const limits = {
    ...(upTo !== undefined && { most: Number(upTo) }),
    ...(above !== undefined && { least: Number(above) }),
  };
  const numbers = { sample: Number(sample), seed: Number(seed), oneCaseOf: Number(oneCaseOf) };
  return runKernelMutants(target, { ...values, ...limits, ...numbers });
}

async function ofTypeScript(name) {
  // Import after installation, because these are packages of the workspace.
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
