// Compiles mutants of backend-wasm's kernels as tests need them: each translation unit and dtype on its own, if the change reaches it at all.
// Used by backend-wasm.mjs and, in the process of the tests, by switched-kernels.mjs.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { builds, compiler, flags, linker, linkFlags } from '../../packages/backend-wasm/scripts/build-kernels.mjs';
import { apply } from './operators.mjs';

/**
 * Bytes of memory that the module of a unit and dtype has to itself, for its tables and its stack: modules of several units are instantiated over the
 * memory of one backend.
 */
const placeBytes = 32 * 1024;

/** Pages of the memories that the modules are instantiated over. */
const pages = 32;

/**
 * @param folder of the kernels
 * @param cache a folder for what is compiled
 * @param mutants by id: `file`, `start`, `end` and `after`
 * @param heapBase where the memory of the unchanged kernels ends
 */
export function mutantCompiler(folder, cache, mutants, heapBase) {
  const sources = join(cache, 'sources');
  for (const path of [cache, sources]) mkdirSync(path, { recursive: true });
  const texts = new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
  for (const [name, text] of texts) writeFileSync(join(sources, name), text);
  const units = [...texts.keys()].filter((name) => name.endsWith('.c')).sort();
  const places = units.flatMap((unit) => [32, 64].map((bits) => ({ unit, bits })));
  const files = new Map(units.map((unit) => [unit, includedBy(unit, texts)]));
  const results = new Map();
  const originals = new Map();

  const baseOf = (unit, bits) =>
    Math.ceil(heapBase / placeBytes) * placeBytes +
    placeBytes * places.findIndex((place) => place.unit === unit && place.bits === bits);

  /** Where the memory of all modules begins and ends. */
  const begin = baseOf(units[0], 32);
  const end = begin + placeBytes * places.length;

  function preprocessed(unit, bits, build) {
    const args = [...flags, ...builds[build], '-w', `-DREAL=${bits}`, '-E', '-P', join(sources, unit)];
    return run(compiler, args);
  }

  /** The object of a source, which is compiled once. */
  function objectOf(key, args, build, input) {
    const object = join(cache, `${hashOf(key)}-${build}.o`);
    if (existsSync(object)) return readFileSync(object);
    const all = [...flags, ...builds[build], '-w', ...args, '-c', '-o', object];
    return run(compiler, all, input) === null ? null : readFileSync(object);
  }

  const fromPreprocessed = (source, build) => objectOf(source, ['-x', 'cpp-output', '-'], build, source);

  function linked(object, unit, bits) {
    const [from, to] = ['o', 'wasm'].map((ending) => join(cache, `linked.${ending}`));
    writeFileSync(from, object);
    const place = [`--global-base=${baseOf(unit, bits)}`, `--initial-memory=${pages * 65536}`];
    const own = linkFlags.filter((flag) => !flag.startsWith('--initial-memory'));
    if (run(linker, [...own, ...place, from, '-o', to]) === null) throw new Error(`${linker} failed`);
    return readFileSync(to);
  }

  function original(unit, bits, build) {
    const key = `${unit} ${bits} ${build}`;
    if (!originals.has(key)) {
      const source = preprocessed(unit, bits, build);
      originals.set(key, { source, object: fromPreprocessed(source, build) });
    }
    return originals.get(key);
  }

  function compiled(mutant, unit, bits, build) {
    const { file } = mutants[mutant];
    if (!files.get(unit).has(file)) return 'same';
    // Before the file changes.
    const unchanged = original(unit, bits, build);
    const text = apply(texts.get(file), mutants[mutant]);
    writeFileSync(join(sources, file), text);
    const own = objectOfChanged(file, text, { unit, bits, build }, unchanged);
    writeFileSync(join(sources, file), texts.get(file));
    if (own === null) return 'error';
    return own.equals(unchanged.object) ? 'same' : linked(own, unit, bits);
  }

  /** Changes of a header may not reach a unit and dtype: comparing the preprocessed source is faster than compiling it. */
  function objectOfChanged(file, text, { unit, bits, build }, unchanged) {
    if (file === unit) return objectOf(`${text} ${bits}`, [`-DREAL=${bits}`, join(sources, unit)], build);
    const changed = preprocessed(unit, bits, build);
    if (changed === unchanged.source) return unchanged.object;
    return changed && fromPreprocessed(changed, build);
  }

  /**
   * What a mutant makes of a unit: the bytes of its module, 'same' if they are those of the unchanged unit, or 'error' if it does not compile. The
   * relaxed build counts only where the other one is the same.
   */
  function resultOf(mutant, unit, bits, build) {
    const key = `${mutant} ${unit} ${bits} ${build}`;
    if (!results.has(key)) {
      const simd = build === 'relaxed' ? resultOf(mutant, unit, bits, 'simd') : 'same';
      results.set(key, simd === 'same' ? kept(key, () => compiled(mutant, unit, bits, build)) : 'same');
    }
    return results.get(key);
  }

  /** A result that another process may have computed: after a test that does not end, or if a mutant has left state behind, a new one goes on. */
  function kept(key, compute) {
    const path = join(cache, key);
    if (!existsSync(path)) {
      writeFileSync(`${path}.part`, compute());
      renameSync(`${path}.part`, path);
    }
    const bytes = readFileSync(path);
    return bytes.length > 8 ? bytes : bytes.toString();
  }

  return {
    begin,
    end,
    resultOf,
    /** Whether a mutant can change a unit. */
    reaches: (mutant, unit) => files.get(unit).has(mutants[mutant].file),
    /** The first build that a mutant changes, 'same', or 'error'. */
    effectOf(mutant) {
      for (const build of Object.keys(builds))
        for (const { unit, bits } of places) {
          const result = resultOf(mutant, unit, bits, build);
          if (result !== 'same') return result === 'error' ? 'error' : build;
        }
      return 'same';
    },
    /** The units and dtypes of the kernels, by the names of their exports. */
    kernels() {
      const found = places.flatMap(({ unit, bits }) => {
        const module = new WebAssembly.Module(linked(original(unit, bits, 'simd').object, unit, bits));
        const functions = WebAssembly.Module.exports(module).filter(({ kind }) => kind === 'function');
        return functions.map(({ name }) => [name, { unit, bits }]);
      });
      return Object.fromEntries(found);
    },
  };
}

/** A unit and the files that it includes. */
function includedBy(file, texts, found = new Set()) {
  if (found.has(file) || !texts.has(file)) return found;
  found.add(file);
  for (const [, name] of texts.get(file).matchAll(/^#include "(.*)"/gm)) includedBy(name, texts, found);
  return found;
}

/** What a command prints; null if it fails. */
function run(command, args, input = '') {
  const { status, stdout, error } = spawnSync(command, args, { input, encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (error) throw error;
  return status === 0 ? stdout : null;
}

const hashOf = (text) => createHash('sha256').update(text).digest('hex').slice(0, 16);
