import type { Batch } from './contender.js';

/** Something to time: a batch function and how many calls one sample of it takes. */
export interface Calibrated {
  readonly batch: Batch;
  readonly calls: number;
}

/** Raw samples of one batch, milliseconds per call, in the order of the rounds. */
export type Samples = readonly number[];

export async function timed(batch: Batch, calls: number): Promise<number> {
  const start = performance.now();
  const done = batch(calls);
  if (done) await done;
  return performance.now() - start;
}

/** Warms a batch up and finds how many calls make a sample last at least `leastMs`. */
export async function calibrate(batch: Batch, leastMs: number): Promise<Calibrated> {
  let calls = 1;
  let elapsedMs = await timed(batch, calls);
  while (elapsedMs < leastMs && calls < 2 ** 24) {
    const aim = elapsedMs > 0 ? Math.ceil((1.3 * leastMs * calls) / elapsedMs) : calls * 16;
    calls = Math.min(Math.max(aim, calls * 2), calls * 16);
    elapsedMs = await timed(batch, calls);
  }
  return { batch, calls };
}

/**
 * Times all contenders round by round, each round in another order, so that drift of the machine hits all alike.
 *
 * @param step called before each sample; throwing from it cancels
 */
export async function interleave(
  contenders: readonly Calibrated[],
  rounds: number,
  step: () => void | Promise<void>,
): Promise<Samples[]> {
  const samples: number[][] = contenders.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const k = (turn + round) % contenders.length;
      await step();
      const { batch, calls } = contenders[k];
      samples[k][round] = (await timed(batch, calls)) / calls;
    }
  }
  return samples;
}
