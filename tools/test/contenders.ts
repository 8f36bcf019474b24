import { backendContender, type Contender, type ContenderSource, type Job, type Workload } from '@softgrad/bench';
import type { HostArray } from '@softgrad/core';
import { exact } from '@softgrad/core/conformance';

export const small: Workload = { op: 'softmax', shape: [3, 4], dtype: 'float32' };

/** The exact backend as a contender with this name, with its jobs changed by `change`; `log` records what happens to it. */
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

export const quick = { rounds: 3, sampleMs: 0.05 } as const;
