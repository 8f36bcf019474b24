/** The signature of a kernel: numbers and addresses, no result. */
export type Kernel = (...args: readonly number[]) => void;

/** The exports of an instance. */
export interface Exports {
  readonly [kernel: string]: Kernel;
}

/** The kernel with this name. @throws Error if the module does not have it */
export function kernelOf(exports: Exports, name: string): Kernel {
  const kernel = exports[name];
  if (kernel === undefined) throw new RangeError('unknown kernel');
  return kernel;
}

/** A build of the kernels, as src/simd.generated.ts and src/relaxed.generated.ts have it. */
export interface Build {
  /** The module, deflated, in base64. */
  readonly module: string;
  /** Offset of the flags of the imported memory. */
  readonly memoryFlags: number;
}

// A module with one function, which engines without SIMD refuse: () → v128, splat of 0.
const simdProbe = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11];
// A module that engines without relaxed SIMD refuse. Its functions are a · a − c by relaxed_madd, where c is a · a rounded:
// `f` in float32, a = 1 + 2⁻¹², and `d` in float64, a = 1 + 2⁻²⁹.
const fusedProbe = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 9, 2, 96, 0, 1, 125, 96, 0, 1, 124, 3, 3, 2, 0, 1, 7, 9, 2, 1, 102, 0, 0, 1, 100, 0,
  1, 10, 73, 2, 29, 0, 67, 0, 8, 128, 63, 253, 19, 67, 0, 8, 128, 63, 253, 19, 67, 0, 16, 128, 191, 253, 19, 253, 133,
  2, 253, 31, 0, 11, 41, 0, 68, 0, 0, 128, 0, 0, 0, 240, 63, 253, 20, 68, 0, 0, 128, 0, 0, 0, 240, 63, 253, 20, 68, 0,
  0, 0, 1, 0, 0, 240, 191, 253, 20, 253, 135, 2, 253, 33, 0, 11,
];

/**
 * Whether the kernels' build with relaxed SIMD runs here: its relaxed_madd must round once, as a fused multiply-add does. The standard allows an engine to round
 * the product first, as JavaScriptCore does.
 */
export function hasFusedMultiplyAdd(): boolean {
  const bytes = new Uint8Array(fusedProbe);
  if (!WebAssembly.validate(bytes)) return false;
  const { f, d } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as Record<'f' | 'd', () => number>;
  return f() === 2 ** -24 && d() === 2 ** -58;
}

/** Why no kernels can run here, compiled beforehand or not, or null. */
export function missingEngine(): string | null {
  if (typeof WebAssembly !== 'undefined') return null;
  return 'this engine has no WebAssembly; Node 20 and every current browser have it';
}

/** Why WebAssembly SIMD can't run here, or null. */
export function missing(): string | null {
  const engine = missingEngine();
  if (engine !== null) return engine;
  if (!WebAssembly.validate(new Uint8Array(simdProbe)))
    return 'this engine has no WebAssembly SIMD; Node 20 and every current browser have it';
  const inflating = ['DecompressionStream', 'Blob'].filter((name) => !(name in globalThis));
  if (inflating.length > 0)
    return `this engine has no ${inflating.join(', ')}; Node 20 and every current browser have it (Safari from 16.4 on)`;
  try {
    new WebAssembly.Module(new Uint8Array(simdProbe));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return `this engine refuses to compile WebAssembly (${message}): a Content-Security-Policy must have 'wasm-unsafe-eval' in its script-src; elsewhere open it with \`module\`, compiled beforehand`;
  }
  return null;
}

/** Compiles a build, importing a memory that is shared or not. */
export async function compile({ module, memoryFlags }: Build, shared: boolean): Promise<WebAssembly.Module> {
  const bytes = await inflate(module);
  // The two kinds of memory differ in one bit of the import: 1 says that there is a maximum, 3 that it is shared too.
  if (shared) bytes[memoryFlags] = 3;
  return WebAssembly.compile(bytes);
}

/** Instantiates the kernels over a memory. */
export async function instantiate(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): Promise<WebAssembly.Exports> {
  return (await WebAssembly.instantiate(module, { env: { memory } })).exports;
}

/** The bytes of a module. Deflating them makes an application's download less than half as large. */
async function inflate(base64: string): Promise<Uint8Array<ArrayBuffer>> {
  const text = atob(base64);
  const deflated = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) deflated[i] = text.charCodeAt(i);
  const inflated = new Blob([deflated]).stream().pipeThrough(new DecompressionStream('deflate')).getReader();
  const parts: BlobPart[] = [];
  for (let next = await inflated.read(); !next.done; next = await inflated.read()) parts.push(next.value);
  // Not `new Response(stream)`: in Node it loads the whole of fetch, which takes as long as everything else here.
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
