import { memoryFlags, relaxed, simd } from './module.generated.js';

/** What a kernel is called as: numbers and addresses in, nothing out. */
export type Kernel = (...args: readonly number[]) => void;

/** The exports of an instance. */
export interface Exports {
  readonly [kernel: string]: Kernel;
}

/** The compiled kernels, and which build of them it is. */
export interface KernelModule {
  readonly module: WebAssembly.Module;
  readonly isRelaxed: boolean;
}

/** Whether this engine compiles the kernels' build with relaxed SIMD (fused multiply-add). */
export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(decode(relaxed));
}

/** Why WebAssembly SIMD can't run here, or null. */
export function missing(): string | null {
  if (typeof WebAssembly === 'undefined')
    return 'this engine has no WebAssembly; Node 20 and every current browser have it';
  if (!WebAssembly.validate(decode(simd)))
    return 'this engine has no WebAssembly SIMD; Node 20 and every current browser have it';
  return null;
}

/** Compiles the kernels, with relaxed SIMD or without, importing a memory that is shared or not. */
export async function compile(isRelaxed: boolean, shared: boolean): Promise<KernelModule> {
  const bytes = decode(isRelaxed ? relaxed : simd);
  // The two kinds of memory differ in one bit of the import: 1 says that there is a maximum, 3 that it is shared too.
  if (shared) bytes[memoryFlags] = 3;
  return { module: await WebAssembly.compile(bytes), isRelaxed };
}

/** Instantiates the kernels over a memory. */
export async function instantiate(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): Promise<WebAssembly.Exports> {
  return (await WebAssembly.instantiate(module, { env: { memory } })).exports;
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
