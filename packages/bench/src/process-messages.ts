import type { RawWorkload } from './report.js';
import type { Runner, RunnerSettings } from './runner.js';
import type { Workload } from './workloads.js';

/** Which contenders a process opens: the arguments of `selectContenders`, which can be serialized. */
export interface ContenderNames {
  readonly backends: readonly string[];
  readonly peers: readonly string[];
  readonly composed: boolean;
}

/** A request to a measuring process. */
export type Request =
  | {
      readonly type: 'open';
      /** A module to import first, which registers the backends. */
      readonly setup: string | undefined;
      readonly contenders: ContenderNames;
      readonly settings: Omit<RunnerSettings, 'signal'>;
    }
  | { readonly type: 'run'; readonly workload: Workload };

/** Its answer: any number of progress messages, then one of the others. */
export type Answer =
  | { readonly type: 'progress'; readonly share: number; readonly what: string }
  | ({ readonly type: 'opened' } & Pick<Runner, 'contenders' | 'unavailable'>)
  | { readonly type: 'done'; readonly raw: RawWorkload }
  | { readonly type: 'failed'; readonly message: string };
