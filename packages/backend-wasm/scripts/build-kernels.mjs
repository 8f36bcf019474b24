// Compiles src/kernels/*.c to WebAssembly and embeds it in src/simd.generated.ts and src/relaxed.generated.ts, and float32's kernels alone in
// src/simd-float32.generated.ts and src/relaxed-float32.generated.ts.
//
//   node scripts/build-kernels.mjs           writes the modules (needs clang-19 and lld-19: apt-get install clang-19 lld-19; npm fetches Binaryen)
//   node scripts/build-kernels.mjs --check   compares the hash of the sources; in CI and in `npm run test:all` rebuilds the modules and compares
//                                            them with what is committed; installs the compiler in CI, as root or by sudo
//
// Nothing else needs a compiler: the modules are committed, with a hash of the sources that they were made from. An application loads
// the one that its engine takes.
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { deflateSync, inflateSync } from 'node:zlib';
import { adviceOn, aptGet, installation } from '../../../scripts/apt.mjs';
import { argumentsOf } from '../../../scripts/arguments.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const kernels = join(root, 'src/kernels');
export const compiler = 'clang-19';
export const linker = 'wasm-ld-19';
const packages = ['clang-19', 'lld-19'];

/** The builds, with the flags by which they differ. */
export const builds = { simd: [], relaxed: ['-mrelaxed-simd'] };
const described = { simd: 'with fixed-width SIMD', relaxed: 'with relaxed SIMD (fused multiply-add)' };

/** The dtypes, by the bits of their elements. */
const dtypes = [32, 64];

/** The modules by the names of their files: of each build one for both dtypes, and one for float32 alone, for pages that compute nothing else. */
export const modules = Object.fromEntries(
  Object.keys(builds).flatMap((build) => [
    [build, { build, bits: dtypes }],
    [`${build}-float32`, { build, bits: [32] }],
  ]),
);

export const flags = [
  '--target=wasm32',
  '-O2',
  '-msimd128',
  '-mbulk-memory',
  '-nostdlib',
  '-ffreestanding',
  '-Wall',
  '-Wextra',
  '-fno-unroll-loops',
  '-fno-vectorize',
  '-fno-slp-vectorize',
  '-fno-inline-functions',
];
export const linkFlags = [
  '--no-entry',
  '--import-memory',
  '--initial-memory=131072',
  '--max-memory=4294967296',
  '--export=__heap_base',
  '--export=__stack_pointer',
  '-z',
  'stack-size=16384',
  '--strip-all',
];

/**
 * Binaryen's optimizer, in the version that the committed modules were made with, and its flags: modules are 5 % smaller, and run 1 to 2 % faster. It
 * may use the features that engines with SIMD have. Results keep their bits: it neither reorders nor contracts floating-point operations.
 */
export const optimizer = 'binaryen@132.0.0';
export const optimizerFlags = [
  '-O3',
  '--mvp-features',
  '--enable-simd',
  '--enable-bulk-memory',
  '--enable-mutable-globals',
  '--enable-nontrapping-float-to-int',
  '--enable-sign-ext',
];
const runOptimizer = ['exec', '--yes', `--package=${optimizer}`, '--', 'wasm-opt'];
const optimizerFeatures = { simd: [], relaxed: ['--enable-relaxed-simd'] };

/** SHA-256 of the kernels' sources and of how they are built. */
function sourceHash() {
  const hash = createHash('sha256');
  for (const name of readdirSync(kernels).sort()) hash.update(`${name}\n`).update(readFileSync(join(kernels, name)));
  return hash
    .update(JSON.stringify({ builds, flags, linkFlags, optimizer, optimizerFlags, optimizerFeatures }))
    .digest('hex');
}

async function run(command, args) {
  const { stderr } = await promisify(execFile)(command, args, { encoding: 'utf8' }).catch((error) => {
    throw error.code === 'ENOENT' ? new Error(adviceOn(packages), { cause: error }) : error;
  });
  if (stderr) throw new Error(`${command} ${args.join(' ')}\n${stderr}`);
}

async function preprocessed(all) {
  const { stdout } = await promisify(execFile)(compiler, [...all, '-E', '-P'], { maxBuffer: 2 ** 26 });
  const options = all.filter((option) => option.startsWith('-') && !option.startsWith('-I'));
  return `${options.join(' ')} \n${stdout}`;
}

/**
 * A module of the kernels in a folder, the dtypes compiled side by side.
 *
 * @param compiled a Map of objects that were compiled, by the preprocessed source: a dtype that a change does not concern is not
 *   compiled again
 * @throws what the compiler says, warnings too
 */
export async function compile(extraFlags, folderOfSources = kernels, compiled = null, bitsOfDtypes = dtypes) {
  const folder = mkdtempSync(join(tmpdir(), 'softgrad-kernels-'));
  try {
    const sources = readdirSync(folderOfSources)
      .filter((name) => name.endsWith('.c'))
      .sort();
    const work = bitsOfDtypes.map(async (bits) => {
      const source = join(folder, `${bits}.c`);
      const object = join(folder, `${bits}.o`);
      writeFileSync(source, sources.map((name) => `#include "${name}"\n`).join(''));
      const all = [...flags, ...extraFlags, `-DREAL=${bits}`, `-I${folderOfSources}`, source];
      const key = compiled && (await preprocessed(all));
      if (compiled?.has(key)) {
        writeFileSync(object, compiled.get(key));
        return object;
      }
      await run(compiler, [...all, '-c', '-o', object]);
      compiled?.set(key, readFileSync(object));
      return object;
    });
    // A failure of one waits for the other, which still writes into the folder.
    const outcomes = await Promise.allSettled(work);
    const built = outcomes.map(({ status, value, reason }) => {
      if (status === 'rejected') throw reason;
      return value;
    });
    const module = join(folder, 'kernels.wasm');
    await run(linker, [...linkFlags, ...built, '-o', module]);
    return readFileSync(module);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// Where the import of the memory says that it has a maximum, and would say that it is shared.
function memoryFlags(bytes) {
  const name = bytes.indexOf('\x06memory\x02', 'latin1');
  if (name < 0 || bytes[name + 8] !== 1) throw new Error('the import of the memory is not where it was expected');
  return name + 8;
}

/** The module of a build after Binaryen's optimizer. */
export async function optimize(name, bytes) {
  const folder = mkdtempSync(join(tmpdir(), 'softgrad-optimizer-'));
  try {
    const [from, to] = ['compiled.wasm', 'optimized.wasm'].map((file) => join(folder, file));
    writeFileSync(from, bytes);
    await run('npm', [...runOptimizer, ...optimizerFlags, ...optimizerFeatures[name], from, '-o', to]);
    return readFileSync(to);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What the sources compile to, by module. */
async function compileAll() {
  const compiled = Object.entries(builds).map(async ([build, extra]) => {
    const objects = new Map();
    const ofBuild = Object.entries(modules).filter(([, module]) => module.build === build);
    const all = [];
    // One after another, since the second takes the object of float32 from the first.
    for (const [name, { bits }] of ofBuild)
      all.push([name, await optimize(build, await compile(extra, kernels, objects, bits))]);
    return all;
  });
  return (await Promise.all(compiled)).flat();
}

/** The file of a module, without its ending. */
export const fileOf = (name) => `${name}.generated`;

const sourceOf = (name) => join(root, 'src', `${fileOf(name)}.ts`);

/** The text of a module's file, which is JavaScript too. */
export function embedding(name, bytes, hash) {
  const deflated = deflate(bytes);
  if (deflated.length >= 65536)
    throw new Error(`the ${name} module has ${deflated.length} bytes; it must stay under 64 KiB`);
  const { build, bits } = modules[name];
  const ofFloat32 = bits === dtypes ? '' : ', the kernels of float32 alone';
  return [
    '// Made by scripts/build-kernels.mjs from src/kernels: do not edit. SHA-256 of the sources:',
    `// ${hash}\n`,
    '/** Offset of the flags of the imported memory: 1 with a maximum, 3 if it is shared too. */',
    `export const memoryFlags = ${memoryFlags(bytes)};\n`,
    `/** A WebAssembly module, deflated, in base64: ${described[build]}${ofFloat32}. */`,
    `export const module =\n  '${deflated.toString('base64')}';\n`,
  ].join('\n');
}

/** The bytes in zlib's format: by zopfli if it is installed, which saves 6 %, otherwise by Node's zlib. Both inflate to the same module. */
function deflate(bytes) {
  const folder = mkdtempSync(join(tmpdir(), 'softgrad-zopfli-'));
  try {
    const file = join(folder, 'kernels.wasm');
    writeFileSync(file, bytes);
    const { status, stdout } = spawnSync('zopfli', ['--zlib', '--i30', '-c', file], { maxBuffer: 2 ** 20 });
    return status === 0 ? stdout : deflateSync(bytes, { level: 9, memLevel: 6 });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The names of the modules that were made from other sources than the present ones. */
export function staleModules() {
  const hash = sourceHash();
  return Object.keys(modules).filter((name) => !readFileSync(sourceOf(name), 'utf8').includes(hash));
}

/** Whether the sources compile to the embedded modules, however these were deflated. */
async function isCurrent() {
  const embedded = (name) => /export const module =\s*'([^']*)'/.exec(readFileSync(sourceOf(name), 'utf8'))?.[1] ?? '';
  const compiled = await compileAll();
  return compiled.every(([name, bytes]) => inflateSync(Buffer.from(embedded(name), 'base64')).equals(bytes));
}

function ensureCompiler() {
  const runs = (command, args) => spawnSync(command, [...args, '--version']).status === 0;
  if (!runs('npm', runOptimizer)) return false;
  if (runs(compiler, []) && runs(linker, [])) return true;
  const apt = process.env.CI ? aptGet() : null;
  return apt !== null && spawnSync('sh', ['-c', installation(packages, apt)], { stdio: 'inherit' }).status === 0;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = argumentsOf(import.meta.url, { options: { check: { type: 'boolean', default: false } } });
  if (values.check) {
    const [stale] = staleModules();
    if (stale !== undefined)
      throw new Error(`src/kernels changed since ${sourceOf(stale)} was made: node scripts/build-kernels.mjs`);
    if (!process.env.CI && process.env.SOFTGRAD_EVERYTHING !== '1') {
      console.log('The hash of the sources is right. CI and npm run test:all also rebuild the modules.');
    } else if (!ensureCompiler())
      console.log(
        `The hash of the sources is right, but nothing was rebuilt: it takes ${packages.join(', ')} and, from npm, ${optimizer}. ${adviceOn(packages)}`,
      );
    else if (!(await isCurrent())) {
      throw new Error('src/*.generated.ts are not what src/kernels compiles to: node scripts/build-kernels.mjs');
    } else console.log('src/*.generated.ts are what src/kernels compiles to.');
  } else {
    for (const [name, bytes] of await compileAll()) writeFileSync(sourceOf(name), embedding(name, bytes, sourceHash()));
  }
}
