/** 1 / T, clamped to finite values, because a probability of 0 times Infinity is NaN. */
export function inverseTemperature(temperature: number): number {
  return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, 1 / temperature));
}
