import { timing, type WorkloadResult } from '@softgrad/bench';
import { find } from './targets.js';

/**
 * The share of a contender's time, with a reused output or else an allocated one, that an exp-only loop in plain JavaScript takes; null if
 * one of them was not measured. WebAssembly's vectors are out of reach for an engine in JavaScript: this is the bound that it can attain.
 */
export function shareOfJavaScript(result: WorkloadResult, name: string): number | null {
  const loop = result.roofs.find(({ from }) => from === 'a JavaScript loop');
  const bound = timing(loop?.samples ?? [])?.medianMs;
  const timings = find(result, name)?.timings;
  const ms = (timings?.reused ?? timings?.allocating)?.medianMs;
  return bound === undefined || ms === undefined ? null : bound / ms;
}
