import type { HostArray } from '@softgrad/core';
import { exact } from '@softgrad/core/conformance';
import { backendContender } from '../src/backend-contender.js';
import type { Contender, ContenderSource, Job } from '../src/contender.js';
import type { BenchReport } from '../src/report.js';
import type { Workload } from '../src/workloads.js';

export const small: Workload = { op: 'softmax', shape: [3, 4], dtype: 'float32' };

/** The conformance suite's exact backend as a contender of that name, its jobs changed by `change`; its calls are written to `log`. */
export function source(name: string, { change = (job: Job) => job, log = [] as string[] } = {}): ContenderSource {
  return {
    name,
    kind: 'backend',
    async open() {
      const backend = await exact.open();
      log.push(`${name} opened`);
      const contender: Contender = backendContender(name, backend);
      return {
        ...contender,
        async prepare(workload, input) {
          const job = await contender.prepare(workload, input);
          return typeof job === 'string' ? job : change(job);
        },
        async close() {
          await contender.close();
          log.push(`${name} closed`);
        },
      };
    },
  };
}

/** A job whose results are changed after they are read. */
export const withResult =
  (edit: (result: HostArray) => void) =>
  (job: Job): Job => ({
    ...job,
    async result() {
      const result = await job.result();
      edit(result);
      return result;
    },
  });

/** A value with its numbers, strings and booleans, which differ from run to run, replaced by their types. */
export function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(shapeOf);
  if (value === null) return null;
  if (typeof value !== 'object') return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, shapeOf(one)]));
}

export const quick = { rounds: 3, sampleMs: 0.05 } as const;

/** Changes all times of a contender in a report by a factor. */
export function slowed(report: BenchReport, contender: string, factor: number): BenchReport {
  const copy: BenchReport = structuredClone(report);
  return {
    ...copy,
    workloads: copy.workloads.map((workload) => ({
      ...workload,
      results: workload.results.map((result) => {
        if (result.contender !== contender) return result;
        const samples = Object.fromEntries(
          Object.entries(result.samples).map(([mode, processes]) => [
            mode,
            processes.map((rounds) => rounds.map((ms) => (ms === null ? null : ms * factor))),
          ]),
        );
        return { ...result, samples };
      }),
    })),
  };
}
