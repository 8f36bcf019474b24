import { expect, test } from 'vitest';
import { calibrate, interleave, type Loop } from '../src/measure.js';

/** Loops that write their index down instead of doing anything. */
function recording(strides: readonly number[]): { readonly loops: readonly Loop[]; readonly log: number[] } {
  const log: number[] = [];
  return { log, loops: strides.map((stride, k) => ({ stride, calls: 1, batch: () => void log.push(k) })) };
}

test('every round has one sample of each loop, in an order that changes', async () => {
  const { loops, log } = recording([1, 1, 1, 1]);
  const times = await interleave(loops, 8, () => {});
  const rounds = Array.from({ length: 8 }, (_, round) => log.slice(4 * round, 4 * round + 4));
  for (const round of rounds) expect([...round].sort()).toEqual([0, 1, 2, 3]);
  expect(new Set(rounds.map(String)).size).toBeGreaterThan(3);
  // None always comes after the same other.
  const before = new Set(rounds.map((round) => round[round.indexOf(0) - 1]));
  expect(before.size).toBeGreaterThan(2);
  expect(times.map((of) => of.length)).toEqual([8, 8, 8, 8]);
});

test('a slow loop sits rounds out, and shares those it takes with all others', async () => {
  const { loops } = recording([1, 2, 4]);
  const times = await interleave(loops, 9, () => {});
  const takenIn = times.map((of) => of.flatMap((time, round) => (time === null ? [] : [round])));
  expect(takenIn).toEqual([
    [0, 1, 2, 3, 4, 5, 6, 7, 8],
    [0, 2, 4, 6, 8],
    [0, 4, 8],
  ]);
});

test('times are those of a call: a sample over its calls', async () => {
  const asked: number[] = [];
  const loop: Loop = { stride: 1, calls: 40, batch: (calls) => void asked.push(calls) };
  const [[time]] = await interleave([loop], 1, () => {});
  expect(asked).toEqual([40]);
  expect(time).toBeLessThan(1);
});

test('throwing from the step cancels', async () => {
  const { loops, log } = recording([1, 1]);
  const cancelled = interleave(loops, 100, (round) => {
    if (round === 3) throw new Error('enough');
  });
  await expect(cancelled).rejects.toThrow('enough');
  expect(log).toHaveLength(6);
});

test('a batch is warmed up, with more calls until a sample is long enough', async () => {
  const asked: number[] = [];
  const spin = (calls: number) => {
    asked.push(calls);
    const end = performance.now() + calls * 0.01;
    while (performance.now() < end);
  };
  const { calls, stride } = await calibrate(spin, 1, 15);
  expect(asked[0]).toBe(1);
  expect(asked.length).toBeGreaterThan(3);
  expect(calls).toBeGreaterThan(10);
  expect(stride).toBe(1);
});
