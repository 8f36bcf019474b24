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
   * The worker of the threads, `@softgrad/backend-wasm/worker`, as a bundler or a server has it. By default it is found beside this
   * package's other files or, in Node and where that does not load, started from a string.
   */
  readonly worker?: WorkerSource | undefined;
  /**
   * The kernels, compiled: `@softgrad/backend-wasm/simd.wasm` or `relaxed.wasm`, or for several threads `simd-shared.wasm` or
   * `relaxed-shared.wasm`. For engines that refuse to compile WebAssembly at run time. Which build it is, `relaxedSimd` tells (default: not relaxed).
   */
  readonly module?: CompiledModule | undefined;
}
