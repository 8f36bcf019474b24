/** A `WebAssembly.Module`, where the program has types of WebAssembly (TypeScript's DOM library has), else `unknown`. */
export type CompiledModule = typeof globalThis extends {
  readonly WebAssembly: { readonly Module: { readonly prototype: infer T } };
}
  ? T
  : unknown;

/** A worker of a browser, of Node or of another runtime. */
export interface WorkerLike {
  postMessage(message: unknown): void;
  terminate(): unknown;
}

/** Where the code of a thread is: a URL, a file's path in Node, or a function that starts a worker with it; it is called once for each thread. */
export type WorkerSource = string | { readonly href: string } | (() => WorkerLike | Promise<WorkerLike>);

/** Options of `wasm.open`. */
export interface WasmOptions {
  /**
   * Threads that compute, the calling one included: 1 unless given. More need `SharedArrayBuffer`, in browsers a cross-origin
   * isolated page; without it there is one, and `supports.device` says why. Results are the same bits whatever their number.
   */
  readonly threads?: number | undefined;
  /** Throw ERR_BACKEND_UNAVAILABLE where there are fewer threads than `threads`. Default: compute with one thread. */
  readonly required?: boolean | undefined;
  /**
   * Use relaxed SIMD if the engine has it with a fused multiply-add, unless `false`. Results differ in the last bits from those without. With `module` this is not
   * checked: on an engine without a fused multiply-add, pass a module without relaxed SIMD.
   */
  readonly relaxedSimd?: boolean | undefined;
  /**
   * Compute float64, too, unless `false`: float32's kernels alone are half of the download. `supports.dtypes` is then float32 alone, and a float64 tensor is an
   * ERR_DTYPE; results in float32 are the same bits. With `module` this has no effect, since what is in the module counts. The entries
   * `@softgrad/backend-wasm/simd` and `/relaxed` have the kernels of both dtypes, and `false` is an ERR_VALUE there.
   */
  readonly float64?: boolean | undefined;
  /**
   * The worker of the threads, `@softgrad/backend-wasm/worker`, as a bundler or a server has it. By default it is found beside this
   * package's other files or, in Node and where that does not load, started from a string.
   */
  readonly worker?: WorkerSource | undefined;
  /**
   * The kernels, compiled: `@softgrad/backend-wasm/simd.wasm` or `relaxed.wasm`, or for several threads `simd-shared.wasm` or
   * `relaxed-shared.wasm`; without float64, `simd-float32.wasm` and so on. For engines that refuse to compile WebAssembly at run time. Which build
   * it is, `relaxedSimd` tells (default: not relaxed).
   */
  readonly module?: CompiledModule | undefined;
}
