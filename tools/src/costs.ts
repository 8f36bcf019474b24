import {
  type Batch,
  type Contender,
  type ContenderSource,
  calibrate,
  interleave,
  type Loop,
  pairedRatio,
  type Ratio,
  type Samples,
  type Workload,
  workloadInput,
  workloadName,
} from '@softgrad/bench';
import { SoftgradError } from '@softgrad/core';

/** Two workloads on one contender, timed in the same rounds. */
export interface CostPair {
  readonly of: Workload;
  readonly over: Workload;
}

/** The samples of a pair, each with a reused output. */
export interface Cost extends CostPair {
  readonly contender: string;
  readonly ofSamples: Samples;
  readonly overSamples: Samples;
}

/**
 * Times two workloads on the same contender: two ops at one shape, or one op in two dtypes. Both are sampled in
 * every round, so that drift of the machine affects both alike.
 */
export async function measureCosts(
  source: ContenderSource,
  pairs: readonly CostPair[],
  rounds: number,
  onProgress: (label: string) => void = () => {},
): Promise<readonly Cost[]> {
  const contender = await source.open();
  // An engine that cannot run here has no numbers; its targets are reported as not measured.
  if (typeof contender === 'string') return [];
  try {
    const costs: Cost[] = [];
    for (const { of, over } of pairs) {
      onProgress(`${contender.name}: ${workloadName(of)} compared with ${workloadName(over)}`);
      const jobs: Reusing[] = [];
      try {
        for (const workload of [of, over]) jobs.push(await reusing(contender, workload));
        const loops: Loop[] = [];
        for (const { batch } of jobs) loops.push(await calibrate(batch, 4, rounds));
        const [ofTimes = [], overTimes = []] = await interleave(loops, rounds, () => {});
        costs.push({ contender: contender.name, of, over, ofSamples: [ofTimes], overSamples: [overTimes] });
      } finally {
        for (const { dispose } of jobs) await dispose();
      }
    }
    return costs;
  } finally {
    await contender.close();
  }
}

/** The time relative to the other workload, over the rounds in which both were sampled. */
export function costRatio({ ofSamples, overSamples }: Cost): Ratio | null {
  return pairedRatio(ofSamples, overSamples);
}

interface Reusing {
  readonly batch: Batch;
  readonly dispose: () => void | Promise<void>;
}

async function reusing(contender: Contender, workload: Workload): Promise<Reusing> {
  const job = await contender.prepare(workload, workloadInput(workload));
  if (typeof job === 'string' || !job.reused) {
    const reason = typeof job === 'string' ? job : 'it has no reused output';
    throw new SoftgradError('ERR_VALUE', `${workloadName(workload)} on ${contender.name}: ${reason}`);
  }
  return { batch: job.reused, dispose: () => job.dispose() };
}
