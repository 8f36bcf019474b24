import { checkOptions, describeOption, namesOf, SoftgradError } from '@softgrad/core';
import type { CompiledModule, WasmOptions, WorkerSource } from './options.js';

// What a caller passes to `open` may be anything: JavaScript has no types, and a bundler decides what the import of a .wasm file gives.

const modules = 'a WebAssembly.Module of @softgrad/backend-wasm/simd.wasm, relaxed.wasm or their -shared.wasm';

const known = namesOf<WasmOptions>({
  threads: true,
  required: true,
  relaxedSimd: true,
  float64: true,
  worker: true,
  module: true,
});

/** @throws ERR_VALUE unless it is an object with options of these names, and as `checkValues` */
export function checkedOptions(options: WasmOptions): WasmOptions {
  checkValues(checkOptions('wasm.open', options, known));
  return options;
}

/** The most threads: more have never paid, and a job has chunks for no more. */
const mostThreads = 64;

/** @throws ERR_VALUE unless `threads` is a number of threads, and the others are true, false or undefined: any other value would count as true */
function checkValues({ threads = 1, required, relaxedSimd, float64, worker }: WasmOptions): void {
  if (!Number.isInteger(threads) || threads < 1 || threads > mostThreads)
    throw refused('threads', threads, `an integer from 1 to ${mostThreads}`);
  for (const [name, value] of Object.entries({ required, relaxedSimd, float64 }))
    if (value !== undefined && typeof value !== 'boolean') throw refused(name, value, 'true or false');
  if (worker !== undefined) checkSource(worker);
}

function refused(name: string, value: unknown, expected: string): SoftgradError {
  return new SoftgradError('ERR_VALUE', `wasm: ${describeOption(name, value)}; expected ${expected}`);
}

/** @throws ERR_VALUE unless it is a module with the kernels, with what to pass instead */
export function checkedModule(module: CompiledModule): WebAssembly.Module {
  let exports: readonly WebAssembly.ModuleExportDescriptor[];
  try {
    // Unlike `instanceof`, this accepts modules from another realm.
    exports = WebAssembly.Module.exports(module);
  } catch {
    throw refused('module', module, modules + wayTo(module));
  }
  if (exports.some(({ name }) => name === 'softmax_f32')) return module;
  throw new SoftgradError('ERR_VALUE', `wasm: the module does not contain the kernels; expected ${modules}`);
}

/** @throws ERR_VALUE unless it is a URL, the text of one or a path, or a function. Not a Worker: it is one thread, and each thread needs its own */
function checkSource(source: WorkerSource): void {
  const given = typeof source === 'object' ? source?.href : source;
  if (typeof given === 'function' || typeof given === 'string') return;
  throw refused('worker', source, 'a URL, a path, or a function that starts a Worker');
}

/** How to get a module from a value that is none. */
function wayTo(value: unknown): string {
  // As in 'Uint8Array', 'URL', 'Module' for the namespace of a module: the same for values of another realm.
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  if (/Array|Buffer/.test(kind)) return ': await WebAssembly.compile(bytes)';
  if (/^(String|URL|Response)$/.test(kind)) return ': await WebAssembly.compileStreaming(fetch(url))';
  return 'default' in Object(value) ? ": pass its property 'default'" : '';
}
