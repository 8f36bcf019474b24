import type { Batch } from './contender.js';
import { type Samples, timing } from './statistics.js';
import { bytesMoved, outputBytes, type Workload } from './workloads.js';

/** A loop that a workload cannot be faster than, timed in the same rounds: what it does is all that it does. */
export interface Roof {
  /** 'store' is a fill by vector stores in WebAssembly, which has none that go past the caches as an engine's own fill may. */
  readonly name: 'memcpy' | 'fill' | 'store' | 'exp';
  /** Whose loop it is: 'engine' for JavaScript's own memmove and memset, a contender, or 'a SIMD loop'. */
  readonly from: string;
  readonly samples: Samples;
}

/** What bounds a result: bytes through memory, exponentials, or the cost of a call. */
export type BoundName = 'memory' | 'exp' | 'call';

export interface Bound {
  readonly name: BoundName;
  /** The loop's time for this workload. */
  readonly ms: number;
  /** Whose loop that is. */
  readonly from: string;
}

/** A copy and a fill of the output's bytes: as fast as this engine moves memory. */
export function memoryLoops(
  workload: Workload,
): readonly { readonly name: 'memcpy' | 'fill'; readonly batch: Batch }[] {
  const bytes = outputBytes(workload);
  const from = new Uint8Array(bytes).fill(1);
  const to = new Uint8Array(bytes);
  return [
    {
      name: 'memcpy',
      batch: (calls) => {
        for (let k = 0; k < calls; k++) to.set(from);
      },
    },
    {
      name: 'fill',
      batch: (calls) => {
        for (let k = 0; k < calls; k++) to.fill(k & 255);
      },
    },
  ];
}

/**
 * The bounds of a workload, the tightest first. Memory: its bytes at the speed of memcpy, which moves two for each byte copied,
 * and no less than a fill of its output. exp: the fastest exp-only loop of the run, which shares the vectors' width with contenders on
 * WebAssembly, but not with native code of wider ones unless that has a loop of its own.
 */
export function boundsOf(workload: Workload, roofs: readonly Roof[]): readonly Bound[] {
  const bounds: Bound[] = [];
  const shareOfCopy = bytesMoved(workload) / (2 * outputBytes(workload));
  for (const { name, from, samples } of roofs) {
    const ms = timing(samples)?.medianMs;
    // A store bounds WebAssembly alone, and the others bound it too.
    if (ms === undefined || name === 'store') continue;
    if (name === 'exp') bounds.push({ name: 'exp', ms, from });
    else bounds.push({ name: 'memory', ms: name === 'memcpy' ? ms * shareOfCopy : ms, from: name });
  }
  const memory = bounds.filter(({ name }) => name === 'memory').sort((a, b) => b.ms - a.ms);
  const exp = bounds.filter(({ name }) => name === 'exp').sort((a, b) => a.ms - b.ms);
  return [...memory.slice(0, 1), ...exp.slice(0, 1)].sort((a, b) => b.ms - a.ms);
}
