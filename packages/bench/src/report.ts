import type { Correctness } from './check.js';
import type { Environment } from './environment.js';
import type { Bound, Roof } from './roofline.js';
import type { Ratio, Samples, Timing } from './statistics.js';
import type { Workload } from './workloads.js';

/** The three ways of calling that are timed apart. */
export type Mode = 'reused' | 'allocating' | 'endToEnd';

export const modes: readonly Mode[] = ['reused', 'allocating', 'endToEnd'];

/** What samples are of: a way of calling by the host's clock, or the calls with a reused output by the device's own. */
export type Timed = Mode | 'device';

export const timedKinds: readonly Timed[] = [...modes, 'device'];

/** Something for each kind that was timed. */
export type PerMode<T> = Readonly<Partial<Record<Timed, T>>>;

/** What was taken down of one contender on one workload. */
export interface RawResult {
  readonly contender: string;
  readonly kind: 'backend' | 'peer';
  /** Why there are no numbers, or null. */
  readonly missing: string | null;
  /** null where nothing could be computed. */
  readonly correctness: Correctness | null;
  /** From host data with nothing prepared to the first result on the host, compilation and all, in ms. */
  readonly firstCallMs: number | null;
  readonly samples: PerMode<Samples>;
  /** Why there is no time by the device's clock, of a contender that can be asked for one. */
  readonly noDeviceTime?: string | undefined;
  /** The same call on a single element, where calls are short enough for that to matter. */
  readonly emptyCall: Samples | null;
}

/** What was taken down of one workload, without any judgement. */
export interface RawWorkload {
  readonly workload: Workload;
  readonly results: readonly RawResult[];
  readonly roofs: readonly Roof[];
  /** The baseline and the same loop once more, timed as if it were another contender: what noise looks like. */
  readonly baseline: string | null;
  readonly control: Samples | null;
}

/** What one contender did on one workload. */
export interface ContenderResult extends RawResult {
  readonly timings: PerMode<Timing>;
  /** Its time as a multiple of the baseline's in the same mode; above 1 is slower. */
  readonly ratios: PerMode<Ratio & { readonly significant: boolean }>;
  /** What its time with a reused output (else allocating) is bounded by, and the bound's share of that time: 1 is at the bound. */
  readonly bound: (Bound & { readonly share: number }) | null;
}

export interface WorkloadResult extends RawWorkload {
  readonly results: readonly ContenderResult[];
  /** The loops of `roofs` as times for this workload, the tightest first. */
  readonly bounds: readonly Bound[];
  /** The control's time over the baseline's: a ratio inside this interval is no difference. */
  readonly noise: Ratio | null;
}

/** A contender that ran. */
export interface ContenderDescription {
  readonly name: string;
  readonly kind: 'backend' | 'peer';
  readonly description: string;
  /** Loading and opening it, in ms. */
  readonly openMs: number;
}

/** A whole run: plain data, versioned, written by `--json` and read by `--compare` and the page. */
export interface BenchReport {
  readonly schema: 'softgrad-bench/1';
  readonly environment: Environment;
  readonly settings: { readonly rounds: number; readonly sampleMs: number; readonly processes: number };
  readonly contenders: readonly ContenderDescription[];
  readonly unavailable: readonly { readonly name: string; readonly reason: string }[];
  readonly workloads: readonly WorkloadResult[];
}
