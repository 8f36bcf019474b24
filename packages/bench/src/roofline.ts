import type { Batch } from './contender.js';
import { type Samples, timing } from './statistics.js';
import { bytesMoved, outputBytes, type Workload } from './workloads.js';

/** A loop that does one part of a workload and nothing else, timed in the same rounds: a lower bound for the workload's time. */
export interface Roof {
  /** 'store' is a fill by vector stores in WebAssembly, which lacks the non-temporal stores that an engine's own fill may use. */
  readonly name: 'memcpy' | 'fill' | 'store' | 'exp';
  /** Origin of the loop: 'engine' for the JavaScript engine's memmove and memset, a contender, 'a SIMD loop', 'a relaxed SIMD loop' or 'a JavaScript loop'. */
  readonly from: string;
  readonly samples: Samples;
}

/** Kinds of bounds: memory traffic, exponentials, or the cost of a call. */
export type BoundName = 'memory' | 'exp' | 'call';

/** The least time that a workload can take, from the time of a loop that does one part of it. */
export interface Bound {
  readonly name: BoundName;
  /** The loop's time for this workload, in milliseconds. */
  readonly ms: number;
  /** Origin of the loop. */
  readonly from: string;
}

/** A copy and a fill of the output's bytes by the JavaScript engine. */
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
 * The bounds of a workload, the tightest first. Memory: its bytes at the speed of memcpy, which moves two bytes for each byte copied,
 * but at least the time of a fill of its output. exp: the fastest exp-only loop of the run. Its vectors are as wide as those of contenders on
 * WebAssembly, but native code may use wider vectors and exceed the bound unless it has its own exp loop.
 */
export function boundsOf(workload: Workload, roofs: readonly Roof[]): readonly Bound[] {
  const bounds: Bound[] = [];
  const shareOfCopy = bytesMoved(workload) / (2 * outputBytes(workload));
  for (const { name, from, samples } of roofs) {
    const ms = timing(samples)?.medianMs;
    // 'store' is a bound for WebAssembly only; the other roofs apply to all contenders.
    if (ms === undefined || name === 'store') continue;
    if (name === 'exp') bounds.push({ name: 'exp', ms, from });
    else bounds.push({ name: 'memory', ms: name === 'memcpy' ? ms * shareOfCopy : ms, from: name });
  }
  const memory = bounds.filter(({ name }) => name === 'memory').sort((a, b) => b.ms - a.ms);
  const exp = bounds.filter(({ name }) => name === 'exp').sort((a, b) => a.ms - b.ms);
  return [...memory.slice(0, 1), ...exp.slice(0, 1)].sort((a, b) => b.ms - a.ms);
}
