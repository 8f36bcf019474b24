import type { Correctness } from './check.js';
import type { Environment } from './environment.js';
import type { Bound } from './roofline.js';
import type { Ratio, Timing } from './statistics.js';
import type { Workload } from './workloads.js';

/** The three ways of calling that are timed apart. */
export type Mode = 'reused' | 'allocating' | 'endToEnd';

export const modes: readonly Mode[] = ['reused', 'allocating', 'endToEnd'];

/** What one contender did on one workload. */
export interface ContenderResult {
  readonly contender: string;
  readonly kind: 'backend' | 'peer';
  /** Why there are no numbers, or null. */
  readonly missing: string | null;
  readonly correctness: Correctness | null;
  /** First call to result, compilation and all, in ms. */
  readonly firstCallMs: number | null;
  readonly timings: Readonly<Partial<Record<Mode, Timing>>>;
  /** Its time as a multiple of the baseline's in the same mode; above 1 is slower. */
  readonly ratios: Readonly<Partial<Record<Mode, Ratio>>>;
  /** Time of the bound as a share of its time with a reused output (else allocating): 1 would be at the bound. */
  readonly shareOfBound: number | null;
}

export interface WorkloadResult {
  readonly workload: Workload;
  readonly baseline: string;
  readonly roofs: { readonly memcpyMs: number; readonly fillMs: number; readonly expMs: number | null };
  readonly bound: Bound;
  readonly boundMs: number;
  readonly results: readonly ContenderResult[];
}

/** A whole run: plain data, versioned, written by `--json` and read by `--compare` and the page. */
export interface BenchReport {
  readonly schema: 'softgrad-bench/1';
  readonly environment: Environment;
  readonly settings: { readonly rounds: number; readonly sampleMs: number };
  readonly contenders: readonly {
    readonly name: string;
    readonly kind: 'backend' | 'peer';
    readonly description: string;
  }[];
  readonly unavailable: readonly { readonly name: string; readonly reason: string }[];
  readonly workloads: readonly WorkloadResult[];
}
