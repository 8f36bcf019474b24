import type { Batch } from '../contender.js';
import type { FloatArray } from '../workloads.js';
import type { ExpOnlyLoop } from './exp-only-loop.js';
import { relaxed, simd } from './module.generated.js';

const pageBytes = 65536;

/**
 * exp over `x` as fast as this engine's WebAssembly allows, with fixed-width SIMD and, where available, with relaxed SIMD: bare
 * polynomials, valid for |x| < 80 only. Empty if WebAssembly or its SIMD is missing or forbidden.
 */
export function simdExpLoops(x: FloatArray): readonly ExpOnlyLoop[] {
  return (
    [
      ['a SIMD loop', simd],
      ['a relaxed SIMD loop', relaxed],
    ] as const
  ).flatMap(([name, module]) => {
    const loop = simdExpLoop(name, module, x);
    return loop ? [loop] : [];
  });
}

/** Fills WebAssembly memory by vector stores; null if there is no WebAssembly SIMD, or not enough memory. */
export function simdFillLoop(bytes: number): Batch | null {
  const paddedBytes = Math.ceil(bytes / 64) * 64;
  const exports = instantiate(simd, paddedBytes)?.exports;
  if (!exports) return null;
  const fill = exports.fill as (out: number, bytes: number) => void;
  return (calls) => {
    for (let k = 0; k < calls; k++) fill(pageBytes, paddedBytes);
  };
}

function simdExpLoop(name: string, base64: string, x: FloatArray): ExpOnlyLoop | null {
  // The loop processes two vectors per iteration.
  const paddedBytes = Math.ceil(x.byteLength / 32) * 32;
  const [from, to] = [pageBytes, pageBytes + paddedBytes];
  const instance = instantiate(base64, 2 * paddedBytes);
  if (!instance) return null;
  const { exports, memory } = instance;
  const kernel = exports[x instanceof Float64Array ? 'float64' : 'float32'] as (
    out: number,
    x: number,
    bytes: number,
  ) => void;
  const view = (at: number) =>
    x instanceof Float64Array
      ? new Float64Array(memory.buffer, at, x.length)
      : new Float32Array(memory.buffer, at, x.length);
  view(from).set(x);
  return {
    name,
    batch: (calls) => {
      for (let k = 0; k < calls; k++) kernel(to, from, paddedBytes);
    },
    result: () => view(to),
  };
}

/** Instantiates the loops with a memory of one page plus `roomBytes`. */
function instantiate(
  base64: string,
  roomBytes: number,
): { readonly exports: WebAssembly.Exports; readonly memory: WebAssembly.Memory } | null {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  try {
    const memory = new WebAssembly.Memory({ initial: 1 + Math.ceil(roomBytes / pageBytes) });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
    return { exports, memory };
  } catch {
    // There may be no WebAssembly SIMD, a Content-Security-Policy may forbid compilation, and the memory may exceed what is available.
    return null;
  }
}
