import { expect, test } from 'vitest';
import { calibrate, calibrateDevice, interleave, type Loop } from '../src/measure.js';

/** Loops that only record their index. */
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
  // No loop always follows the same one.
  const before = new Set(rounds.map((round) => round[round.indexOf(0) - 1]));
  expect(before.size).toBeGreaterThan(2);
  expect(times.map((of) => of.length)).toEqual([8, 8, 8, 8]);
});

test('a slow loop skips rounds, and shares the rounds it takes part in with all others', async () => {
  const { loops } = recording([1, 2, 4]);
  const times = await interleave(loops, 9, () => {});
  const takenIn = times.map((of) => of.flatMap((time, round) => (time === null ? [] : [round])));
  expect(takenIn).toEqual([
    [0, 1, 2, 3, 4, 5, 6, 7, 8],
    [0, 2, 4, 6, 8],
    [0, 4, 8],
  ]);
});

test('times are per call: a sample divided by its calls', async () => {
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

/** A batch with a clock that only its calls advance. */
function clocked(perCallMs: number) {
  let now = 0;
  const asked: number[] = [];
  const batch = (calls: number) => {
    asked.push(calls);
    now += calls * perCallMs;
    return undefined;
  };
  return { asked, batch, clock: () => now };
}

test('a batch is warmed up for five samples, with more calls until a sample is long enough', async () => {
  const { asked, batch, clock } = clocked(0.01);
  const { calls, stride, sample } = await calibrate(batch, 15, 1, clock);
  // At most 16 times as many calls as before; 1.2 times what 15 ms need once that is known.
  expect(asked.slice(0, 4)).toEqual([1, 16, 256, 1800]);
  // 18 ms each, until 5 × 15 ms have been spent: 2.73 ms before, then five times 18 ms.
  expect(asked.slice(4)).toEqual([1800, 1800, 1800, 1800]);
  expect({ calls, stride }).toEqual({ calls: 1800, stride: 1 });
  expect(await sample(100)).toBeCloseTo(1, 9);
});

test('if the clock does not advance in short samples, calls grow by factors of 16 and are reduced in the end', async () => {
  const { asked, batch, clock } = clocked(0.01);
  const { calls } = await calibrate(batch, 15, 1, () => 100 * Math.floor(clock() / 100));
  expect(asked).toEqual([1, 16, 256, 4096, 65536]);
  // The last sample took 600 ms: reduced to 1.2 × 15 ms.
  expect(calls).toBe(Math.ceil(18 / (600 / 65536)));
});

test('a call longer than a sample is a sample by itself, and not taken in every round', async () => {
  const { asked, batch, clock } = clocked(400);
  const { calls, stride } = await calibrate(batch, 15, 20, clock);
  expect(asked).toEqual([1]);
  expect({ calls, stride }).toEqual({ calls: 1, stride: 4 });
});

test("a device's clock determines the calls per sample, whatever the host's clock says", async () => {
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

test.each([
  ['twice the sample', [0, 30], 16],
  ['a little more than that', [0, 31], 10],
  ['less than the sample, for as long as the warm-up', [14], 4096],
])('the calls per sample if the last sample took %s', async (_, told, expected) => {
  const left = [...told];
  const { calls } = await calibrateDevice(async () => (left.length > 1 ? left.shift() : left[0]) ?? null, 15, 15);
  expect(calls).toBe(expected);
});

test('a slow loop takes part in every second, fourth or eighth round, but in at least five', async () => {
  const strideOf = async (ms: number, rounds: number) => (await calibrateDevice(async () => ms, 1, rounds)).stride;
  expect(await Promise.all([150, 151, 300, 301, 601, 10_000].map((ms) => strideOf(ms, 40)))).toEqual([
    1, 2, 2, 4, 8, 8,
  ]);
  expect(await Promise.all([5, 9, 10, 19, 20].map((rounds) => strideOf(10_000, rounds)))).toEqual([1, 1, 2, 2, 4]);
});

test.each([0, null])('the number of calls is limited if the device clock returns %s', async (told) => {
  const { calls } = await calibrateDevice(async () => told, 1, 15);
  expect(calls).toBe(4096);
});

test('a round in which the clock gave no time counts as skipped', async () => {
  const told = [4, null, 6];
  const loop: Loop = { stride: 1, calls: 2, sample: async () => told.shift() ?? null };
  expect(await interleave([loop], 3, () => {})).toEqual([[2, null, 3]]);
});
