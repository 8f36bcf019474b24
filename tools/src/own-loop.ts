import { timing, type WorkloadResult } from '@softgrad/bench';
import { plainWasm, shownName } from './names.js';
import { find } from './targets.js';

/** An exp-only loop with the instructions that a contender has, where the fastest loop of a run has others. */
export interface OwnLoop {
  readonly from: string;
  /** The instructions, in words. */
  readonly name: string;
}

const ownLoops = new Map<string, OwnLoop>([
  ['cpu', { from: 'a JavaScript loop', name: 'JavaScript' }],
  [plainWasm, { from: 'a SIMD loop', name: 'SIMD' }],
]);

/** The loop of a contender; its name may be that of the page. */
export function ownLoop(contender: string): OwnLoop | null {
  for (const [name, loop] of ownLoops) if (contender === name || contender === shownName(name)) return loop;
  return null;
}

/**
 * The share of a contender's time, with a reused output or else an allocated one, that its own loop takes: plain JavaScript has no vectors, and plain
 * SIMD no fused multiply-add, so that the fastest loop of the run is out of reach for them. null if one of them was not measured.
 */
export function shareOfOwnLoop(result: WorkloadResult, contender: string): number | null {
  const own = ownLoop(contender);
  const roof = result.roofs.find(({ from, name }) => name === 'exp' && from === own?.from);
  const bound = timing(roof?.samples ?? [])?.medianMs;
  const timings = find(result, contender)?.timings;
  const ms = (timings?.reused ?? timings?.allocating)?.medianMs;
  return bound === undefined || ms === undefined ? null : bound / ms;
}
