import type { Batch } from '../contender.js';
import type { FloatArray } from '../workloads.js';
import { relaxed, simd } from './module.generated.js';

/** An exp-only loop in WebAssembly, and what it computed. */
export interface SimdExpLoop {
  readonly name: string;
  readonly batch: Batch;
  result(): FloatArray;
}

const pageBytes = 65536;

/**
 * exp over `x` as fast as this engine's WebAssembly goes, with fixed-width SIMD and, where there is one, with relaxed SIMD: bare
 * polynomials, right for |x| < 80 only. None where WebAssembly or its SIMD is missing or forbidden.
 */
export function simdExpLoops(x: FloatArray): readonly SimdExpLoop[] {
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

function simdExpLoop(name: string, base64: string, x: FloatArray): SimdExpLoop | null {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  // The loop takes two vectors a turn.
  const paddedBytes = Math.ceil(x.byteLength / 32) * 32;
  const [from, to] = [pageBytes, pageBytes + paddedBytes];
  try {
    if (!WebAssembly.validate(bytes)) return null;
    const memory = new WebAssembly.Memory({ initial: 1 + Math.ceil((2 * paddedBytes) / pageBytes) });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
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
  } catch {
    // A page's policy may forbid to compile, and the memory may be more than there is.
    return null;
  }
}
