import { checkOptions, namesOf } from '@softgrad/core';
import type { ContenderSource } from './contender.js';
import { environment } from './environment.js';
import type { Signal } from './platform.js';
import type { BenchReport, WorkloadResult } from './report.js';
import { openRunner, type Runner } from './runner.js';
import { summarize } from './summary.js';
import { type Workload, workloadName } from './workloads.js';

/** How to measure; every option has a default. */
export interface Method {
  /** The contender that the others are compared with. Default: 'naive', or else the first. */
  readonly baseline?: string | undefined;
  /** Rounds, each with one sample of every contender in each mode. Default 15. */
  readonly rounds?: number | undefined;
  /** Minimum duration of a sample. Default 4 ms. */
  readonly sampleMs?: number | undefined;
  /** When aborted, everything that was opened is closed and the promise rejects with the signal's reason. */
  readonly signal?: Signal | undefined;
}

/** What `runBench` times, and how. */
export interface BenchOptions extends Method {
  readonly workloads: readonly Workload[];
  /** Backends and peers; one that cannot run is listed with the reason. */
  readonly contenders: readonly ContenderSource[];
}

/** For `checkOptions`. */
export const methodNames = { baseline: true, rounds: true, sampleMs: true, signal: true } as const;
const optionNames = namesOf<BenchOptions>({ ...methodNames, workloads: true, contenders: true });

/** Progress: `done` of `total` workloads; `done` includes the completed fraction of the current one. */
export interface BenchProgress {
  readonly done: number;
  readonly total: number;
  readonly label: string;
  /** The workload that was just completed. */
  readonly finished?: WorkloadResult;
}

export const defaultRounds = 15;
export const defaultSampleMs = 4;

/**
 * Times every workload on every contender, in Node or in a page: correctness first, then rounds that interleave all contenders.
 *
 * A contender that cannot run, and one with a wrong result, is in the report with the reason.
 *
 * @throws ERR_VALUE for an unknown option or baseline; the reason of the `signal` when it is aborted
 * @example
 * const report = await runBench({
 *   workloads: selectWorkloads({ ops: ['softmax'], shapes: ['64x10'] }),
 *   contenders: selectContenders(['cpu'], ['naive']),
 * });
 * const [table] = resultTables(report); // softmax 64×10 float32, speed-up over naive
 */
export async function runBench(
  options: BenchOptions,
  onProgress: (progress: BenchProgress) => void = () => {},
): Promise<BenchReport> {
  const { workloads, contenders, ...method } = checkOptions('runBench', options, optionNames);
  const { rounds = defaultRounds, sampleMs = defaultSampleMs, baseline, signal } = method;
  const runner = await openRunner(contenders, { rounds, sampleMs, baseline, signal });
  return runAll(runner, workloads, { rounds, sampleMs, processes: 1 }, onProgress);
}

/** Runs all workloads on a runner, and closes it. */
export async function runAll(
  runner: Runner,
  workloads: readonly Workload[],
  settings: BenchReport['settings'],
  onProgress: (progress: BenchProgress) => void,
): Promise<BenchReport> {
  try {
    const results: WorkloadResult[] = [];
    const total = workloads.length;
    // Without a contender there would be only bounds.
    for (const workload of runner.contenders.length > 0 ? workloads : []) {
      const name = workloadName(workload);
      const done = results.length;
      const raw = await runner.run(workload, (share, what) =>
        onProgress({ done: done + share, total, label: `${name}: ${what}` }),
      );
      const finished = summarize(raw);
      results.push(finished);
      onProgress({ done: results.length, total, label: name, finished });
    }
    const { contenders, unavailable } = runner;
    return {
      schema: 'softgrad-bench/1',
      environment: environment(),
      settings,
      contenders,
      unavailable,
      workloads: results,
    };
  } finally {
    await runner.close();
  }
}
