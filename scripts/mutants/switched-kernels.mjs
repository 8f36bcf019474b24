// In the process of backend-wasm's tests: backends call kernels through a switch, which counts the calls of each test and lets a test run with the
// kernels of a mutant. Used by repeating-runner.mjs.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { inflateSync } from 'node:zlib';
import { builds } from '../../packages/backend-wasm/scripts/build-kernels.mjs';
import { mutantCompiler } from './c-mutants.mjs';

/** A backend's constants are the first block of its heap. */
const constantsBytes = 64;

const relaxedFlag = 'experimental-wasm-relaxed-simd';

/**
 * Replaces WebAssembly.compile and instantiate for the modules of the package.
 *
 * @param state of the runner: `currentTestId` while calls are counted, `activeMutant` while a mutant is tried
 * @param folder with `switch.json`, see backend-wasm.mjs
 */
export function install(state, folder) {
  const { kernels, mutants, sources, cache, heapBase } = JSON.parse(readFileSync(join(folder, 'switch.json'), 'utf8'));
  const compiler = mutantCompiler(sources, cache, mutants, heapBase);
  const names = Object.keys(kernels);
  const { compile, instantiate } = WebAssembly;
  const buildOf = new WeakMap();
  const byLength = new Map(Object.keys(builds).map((build) => [embedded(build).length, build]));
  const modules = new Map();
  /** The memories that the active mutant's kernels have run on: what is restored of it afterwards, and the mutant's instances by unit. */
  const touched = new Map();

  WebAssembly.compile = async (bytes) => {
    const module = await compile(bytes);
    const build = byLength.get(bytes.byteLength);
    if (build) buildOf.set(module, build);
    return module;
  };
  WebAssembly.instantiate = async (module, imports) => {
    const instance = await instantiate(module, imports);
    const build = buildOf.get(module);
    return build ? { exports: switched(instance.exports, imports.env.memory, build) } : instance;
  };

  function switched(exports, memory, build) {
    if (exports.__heap_base.value > compiler.begin) throw new Error(`the ${build} build has more data than expected`);
    // Threads have instances of their own, of the unchanged kernels.
    const isShared = !(memory.buffer instanceof ArrayBuffer);
    const entries = Object.entries(exports).map(([name, kernel]) => {
      if (typeof kernel !== 'function') return [name, kernel];
      const id = numberOf(build, name);
      const call = (...args) => {
        if (state.currentTestId !== undefined) count(isShared ? -1 : id);
        const own = state.activeMutant === undefined || isShared ? undefined : mutated(name, memory, build);
        return (own ?? kernel)(...args);
      };
      return [name, call];
    });
    return { ...Object.fromEntries(entries), __heap_base: new WebAssembly.Global({ value: 'i32' }, compiler.end) };
  }

  const numberOf = (build, name) => Object.keys(builds).indexOf(build) * names.length + names.indexOf(name);

  function count(id) {
    const { perTest } = state.mutantCoverage;
    perTest[state.currentTestId] ??= {};
    perTest[state.currentTestId][id] = (perTest[state.currentTestId][id] ?? 0) + 1;
  }

  /** A kernel of the active mutant, or undefined if the mutant does not change its unit. */
  function mutated(name, memory, build) {
    const { unit, bits } = kernels[name];
    const bytes = compiler.resultOf(state.activeMutant, unit, bits, build);
    if (typeof bytes === 'string') return undefined;
    if (!touched.has(memory)) {
      const contents = new Uint8Array(memory.buffer, 0, compiler.end + constantsBytes).slice();
      touched.set(memory, { contents, instances: new Map() });
    }
    const { instances } = touched.get(memory);
    const key = `${unit} ${bits}`;
    if (!instances.has(key)) instances.set(key, new WebAssembly.Instance(moduleOf(bytes), { env: { memory } }));
    return instances.get(key).exports[name];
  }

  function moduleOf(bytes) {
    if (!modules.has(bytes)) {
      setFlagsFromString(`--${relaxedFlag}`);
      modules.set(bytes, new WebAssembly.Module(bytes));
      setFlagsFromString(`--no-${relaxedFlag}`);
    }
    return modules.get(bytes);
  }

  return {
    /** How often a test calls what a mutant may change, from how often it calls each kernel. */
    hitsOf(calls) {
      // Results of several threads are compared with those of one: the unchanged kernels of the others would detect any change.
      if ((-1) in calls) return {};
      const called = [...new Set(Object.keys(calls).map((id) => kernels[names[id % names.length]]?.unit))];
      const reached = Object.keys(mutants).filter((id) => called.some((unit) => unit && compiler.reaches(id, unit)));
      return Object.fromEntries(reached.map((id) => [id, 1]));
    },
    /** Whether a mutant changes one of the kernels that a test calls: 'different', 'same', or 'error' if it does not compile. */
    effectOn(calls, mutant) {
      for (const id of Object.keys(calls)) {
        const { unit, bits } = kernels[names[id % names.length]];
        const result = compiler.resultOf(mutant, unit, bits, Object.keys(builds)[Math.floor(id / names.length)]);
        if (result !== 'same') return result === 'error' ? 'error' : 'different';
      }
      return 'same';
    },
    /** Discards the instances of a mutant, which may have written outside of its operands. */
    restore() {
      for (const [memory, { contents }] of touched) new Uint8Array(memory.buffer).set(contents);
      touched.clear();
    },
    forget() {},
  };
}

/** The module that the package embeds. */
function embedded(build) {
  const file = readdirSync('src').find((name) => name === `${build}.generated.ts`);
  const [, text] = /export const module =\s*'([^']*)'/.exec(readFileSync(join('src', file), 'utf8'));
  return inflateSync(Buffer.from(text, 'base64'));
}
