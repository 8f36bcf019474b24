import type { Batch, DeviceBatch } from './contender.js';
import { uniform } from './random.js';

/** Makes calls and resolves to the milliseconds that they took, or null if the clock gave no time. */
export type Sample = (calls: number) => Promise<number | null>;

/** A loop to time: the number of calls per sample, and the rounds in which it takes part. */
export interface Loop {
  readonly sample: Sample;
  readonly calls: number;
  /** It is timed every `stride` rounds, starting with the first. A power of 2, so that any two loops share rounds. */
  readonly stride: number;
}

/** Milliseconds per call by round; null if the loop skipped the round or its clock gave no time. */
export type RoundTimes = readonly (number | null)[];

/** Longer samples are not taken in every round. */
const longSampleMs = 150;
/** A slow loop still gets at least this many samples. */
const fewestSamples = 5;

/** Limits of the calls in a sample. The limit for a device is lower, because all its dispatches are queued before they are submitted. */
const mostCalls = 2 ** 24;
const mostDeviceCalls = 2 ** 12;

/** Milliseconds since an arbitrary origin. */
export type Clock = () => number;

/** Milliseconds that `calls` calls take. */
async function timed(batch: Batch, calls: number, clock: Clock): Promise<number> {
  const start = clock();
  const done = batch(calls);
  if (done) await done;
  return clock() - start;
}

/**
 * Warms a batch up for long enough that optimising compilers have finished (5 `leastMs`), and finds how many calls make a sample last
 * at least `leastMs`, up to 2²⁴.
 *
 * @param leastMs the least duration of a sample, in milliseconds
 * @param rounds of `interleave`: a loop whose samples last longer than 150 ms takes part in fewer of them, but in at least 5
 * @param clock in milliseconds; default: `performance.now`
 * @example
 * const logits = new Float64Array(1000);
 * const repeat = (calls: number) => {
 *   for (let k = 0; k < calls; k++) logits.map(Math.exp);
 * };
 * const loop = await calibrate(repeat, 4, 15); // loop.calls of them take at least 4 ms
 */
export async function calibrate(
  batch: Batch,
  leastMs: number,
  rounds: number,
  clock: Clock = () => performance.now(),
): Promise<Loop> {
  return calibrated((calls) => timed(batch, calls, clock), mostCalls, leastMs, rounds);
}

/** The same for a batch that reports its own time. */
export async function calibrateDevice(batch: DeviceBatch, leastMs: number, rounds: number): Promise<Loop> {
  return calibrated(batch, mostDeviceCalls, leastMs, rounds);
}

async function calibrated(sample: Sample, most: number, leastMs: number, rounds: number): Promise<Loop> {
  const warmUpMs = 5 * leastMs;
  let calls = 1;
  let elapsedMs = (await sample(calls)) ?? 0;
  let spentMs = elapsedMs;
  while ((elapsedMs < leastMs || spentMs < warmUpMs) && calls < most) {
    if (elapsedMs < leastMs) {
      const aim = elapsedMs > 0 ? Math.ceil((1.2 * leastMs * calls) / elapsedMs) : calls * 16;
      calls = Math.min(Math.max(aim, calls + 1), calls * 16, most);
    }
    elapsedMs = (await sample(calls)) ?? 0;
    spentMs += elapsedMs;
  }
  // A count found while the code was cold can make samples longer than necessary.
  const perCallMs = elapsedMs / calls;
  if (elapsedMs > 2 * leastMs) calls = Math.max(1, Math.ceil((1.2 * leastMs) / perCallMs));
  return { sample, calls, stride: strideOf(perCallMs * calls, rounds) };
}

function strideOf(sampleMs: number, rounds: number): number {
  let stride = 1;
  while (stride * longSampleMs < sampleMs && rounds / (stride * 2) >= fewestSamples) stride *= 2;
  return stride;
}

/**
 * Times all loops round by round. The order changes with each round, so that drift of the machine affects all alike and no loop
 * always follows the same one.
 *
 * @param step called before each sample; throwing from it cancels
 * @returns for each loop, in their order, the milliseconds per call of each round
 * @example
 * const loops = [await calibrate(batchOfA, 4, 15), await calibrate(batchOfB, 4, 15)];
 * const [a, b] = await interleave(loops, 15, () => {});
 * const ratio = pairedRatio([a], [b]);
 * @example
 * const [times] = await interleave([{ sample: async (calls) => 0.5 * calls, calls: 10, stride: 2 }], 3, () => {});
 * times; // [0.5, null, 0.5]
 */
export async function interleave(
  loops: readonly Loop[],
  rounds: number,
  step: (round: number) => void | Promise<void>,
): Promise<RoundTimes[]> {
  const random = uniform(0x0dde5);
  const recorded = loops.map((loop) => ({ ...loop, times: Array<number | null>(rounds).fill(null) }));
  for (let round = 0; round < rounds; round++) {
    const takingPart = recorded.filter(({ stride }) => round % stride === 0);
    for (const { sample, calls, times } of shuffled(takingPart, random)) {
      await step(round);
      const elapsedMs = await sample(calls);
      times[round] = elapsedMs === null ? null : elapsedMs / calls;
    }
  }
  return recorded.map(({ times }) => times);
}

/** The same items in a random order: sorted by random keys. */
function shuffled<T>(items: readonly T[], random: () => number): readonly T[] {
  return items
    .map((item) => ({ item, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
