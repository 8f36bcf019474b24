import type { Correctness } from './check.js';
import type { Environment } from './environment.js';
import type { Bound, Roof } from './roofline.js';
import type { Ratio, Samples, Timing } from './statistics.js';
import type { Workload } from './workloads.js';

/** The three ways of calling, which are timed separately. */
export type Mode = 'reused' | 'allocating' | 'endToEnd';

export const modes: readonly Mode[] = ['reused', 'allocating', 'endToEnd'];

/** Kinds of samples: a way of calling by the host's clock, or calls with a reused output by the device's clock. */
export type Timed = Mode | 'device';

export const timedKinds: readonly Timed[] = [...modes, 'device'];

/** A value for each kind that was timed. */
export type PerMode<T> = Readonly<Partial<Record<Timed, T>>>;

/** The samples of one contender on one workload. */
export interface RawResult {
  readonly contender: string;
  readonly kind: 'backend' | 'peer';
  /** Why there are no numbers, or null. */
  readonly missing: string | null;
  /** null if nothing could be computed. */
  readonly correctness: Correctness | null;
  /** From host data with nothing prepared to the first result on the host, including compilation, in ms. */
  readonly firstCallMs: number | null;
  readonly samples: PerMode<Samples>;
  /** Why a contender that supports device times gave none. */
  readonly noDeviceTime?: string | undefined;
  /** The same call on a single element, if calls are short enough for its cost to matter. */
  readonly emptyCall: Samples | null;
}

/** The samples of one workload, without any statistics. */
export interface RawWorkload {
  readonly workload: Workload;
  readonly results: readonly RawResult[];
  readonly roofs: readonly Roof[];
  /** The baseline, and the same loop timed again as if it were another contender, to measure the noise. */
  readonly baseline: string | null;
  readonly control: Samples | null;
}

/** The samples and statistics of one contender on one workload. */
export interface ContenderResult extends RawResult {
  readonly timings: PerMode<Timing>;
  /** Its time as a multiple of the baseline's in the same mode; above 1 is slower. */
  readonly ratios: PerMode<Ratio & { readonly significant: boolean }>;
  /** The bound on its time with a reused output (else allocating), and the bound's share of that time: 1 is at the bound. */
  readonly bound: (Bound & { readonly share: number }) | null;
}

/** The samples and statistics of all contenders on one workload. */
export interface WorkloadResult extends RawWorkload {
  readonly results: readonly ContenderResult[];
  /** The times that follow from `roofs` for this workload, the tightest first. */
  readonly bounds: readonly Bound[];
  /** The control's time over the baseline's: a ratio inside this interval is not a difference. */
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

/** A complete run as plain, versioned data: written by `--json`, read by `--compare` and by the playground. */
export interface BenchReport {
  readonly schema: 'softgrad-bench/1';
  readonly environment: Environment;
  readonly settings: { readonly rounds: number; readonly sampleMs: number; readonly processes: number };
  readonly contenders: readonly ContenderDescription[];
  readonly unavailable: readonly { readonly name: string; readonly reason: string }[];
  readonly workloads: readonly WorkloadResult[];
}
