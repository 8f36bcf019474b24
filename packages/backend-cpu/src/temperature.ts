import type { FloatArray } from './storage.js';

/** 1 / T, clamped to finite values, because a probability of 0 times Infinity is NaN. */
export function inverseTemperature(temperature: number): number {
  return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, 1 / temperature));
}

/**
 * Whether 1 / T is a number. Derivatives in float64 at smaller temperatures are left to core, which divides in several steps; those in float32
 * are 0 or overflow.
 */
export function hasInverse(buffer: FloatArray, temperature: number): boolean {
  return Number.isFinite(1 / temperature) || !(buffer instanceof Float64Array);
}
