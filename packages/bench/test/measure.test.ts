import { expect, test } from 'vitest';
import { calibrate, calibrateDevice, interleave, type Loop } from '../src/measure.js';

/** Loops that write their index down instead of doing anything. */
function recording(strides: readonly number[]): { readonly loops: readonly Loop[]; readonly log: number[] } {
  const log: number[] = [];
  return { log, loops: strides.map((stride, k) => ({ stride, calls: 1, sample: async () => log.push(k) })) };
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
  const sample = async (calls: number) => {
    asked.push(calls);
    return 20;
  };
  const loop: Loop = { stride: 1, calls: 40, sample };
  expect(await interleave([loop], 1, () => {})).toEqual([[0.5]]);
  expect(asked).toEqual([40]);
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

test("a device's own clock says how many calls a sample takes, whatever the host's says", async () => {
  const asked: number[] = [];
  const { calls, sample } = await calibrateDevice(
    async (count) => {
      asked.push(count);
      return 0.01 * count;
    },
    1,
    15,
  );
  expect(calls).toBeGreaterThanOrEqual(100);
  expect(calls).toBeLessThanOrEqual(240);
  expect(await sample(7)).toBe(0.07);
  expect(asked.at(-1)).toBe(7);
});

test.each([0, null])('a device whose clock tells %s is not asked for ever more calls', async (told) => {
  const { calls } = await calibrateDevice(async () => told, 1, 15);
  expect(calls).toBe(4096);
});

test('a round in which a clock did not tell is one that the loop sat out', async () => {
  const told = [4, null, 6];
  const loop: Loop = { stride: 1, calls: 2, sample: async () => told.shift() ?? null };
  expect(await interleave([loop], 3, () => {})).toEqual([[2, null, 3]]);
});
