import { checkOutput } from './check.js';
import type { Batch, Contender, ContenderSource, Job } from './contender.js';
import { environment } from './environment.js';
import { type Calibrated, calibrate, interleave, type Samples } from './measure.js';
import { type BenchReport, type ContenderResult, type Mode, modes, type WorkloadResult } from './report.js';
import { boundOf, expLoop, roofs } from './roofline.js';
import { pairedRatio, timing } from './statistics.js';
import { type Workload, type WorkloadInput, workloadInput, workloadName } from './workloads.js';

export interface BenchOptions {
  readonly workloads: readonly Workload[];
  /** Backends and peers; one that can't run is listed with its reason. */
  readonly contenders: readonly ContenderSource[];
  /** What the others are compared with: a contender's name. Default: 'naive', or else the first. */
  readonly baseline?: string | undefined;
  /** Rounds, each with one sample of every contender. Default 15. */
  readonly rounds?: number | undefined;
  /** How long a sample lasts at least. Default 4 ms. */
  readonly sampleMs?: number | undefined;
  /** Cancels: `runBench` rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What is going on: `done` of `total` samples, over all workloads. */
export interface BenchProgress {
  readonly done: number;
  readonly total: number;
  readonly label: string;
}

/**
 * Times every workload on every contender: correctness first, then rounds that interleave all contenders, so that drift of the
 * machine hits all alike.
 *
 * @example
 * const report = await runBench({
 *   workloads: [{ op: 'softmax', shape: [64, 10], dtype: 'float32' }],
 *   contenders: [backendSource('cpu'), naive],
 * });
 */
export async function runBench(
  options: BenchOptions,
  onProgress: (progress: BenchProgress) => void = () => {},
): Promise<BenchReport> {
  const { workloads, rounds = 15, sampleMs = 4, signal } = options;
  const contenders: Contender[] = [];
  const unavailable: { name: string; reason: string }[] = [];
  try {
    for (const source of options.contenders) {
      signal?.throwIfAborted();
      const opened = await source.open();
      if (typeof opened === 'string') unavailable.push({ name: source.name, reason: opened });
      else contenders.push(opened);
    }
    const results: WorkloadResult[] = [];
    for (const [index, workload] of workloads.entries()) {
      const report = (share: number, what: string) =>
        onProgress({ done: index + share, total: workloads.length, label: `${workloadName(workload)}: ${what}` });
      results.push(
        await runWorkload(workload, contenders, { rounds, sampleMs, signal, baseline: options.baseline }, report),
      );
    }
    onProgress({ done: workloads.length, total: workloads.length, label: 'done' });
    return {
      schema: 'softgrad-bench/1',
      environment: await environment(),
      settings: { rounds, sampleMs },
      contenders: contenders.map(({ name, kind, description }) => ({ name, kind, description })),
      unavailable,
      workloads: results,
    };
  } finally {
    for (const contender of contenders) await contender.close();
  }
}

interface Settings {
  readonly rounds: number;
  readonly sampleMs: number;
  readonly signal: AbortSignal | undefined;
  readonly baseline: string | undefined;
}

type Report = (share: number, what: string) => void;

/** A contender on its way through a workload. */
interface Entry {
  readonly contender: Contender;
  job: Job | null;
  missing: string | null;
  correctness: ContenderResult['correctness'];
  firstCallMs: number | null;
  readonly samples: Partial<Record<Mode, { readonly samples: Samples; readonly calls: number }>>;
}

async function runWorkload(
  workload: Workload,
  contenders: readonly Contender[],
  settings: Settings,
  report: Report,
): Promise<WorkloadResult> {
  const input = workloadInput(workload);
  const entries: Entry[] = [];
  try {
    for (const contender of contenders) {
      report(0, `${contender.name} gets ready`);
      settings.signal?.throwIfAborted();
      entries.push(await ready(contender, workload, input));
    }
    const roof = await measure(entries, workload, settings, report);
    return summarize(workload, entries, roof, settings.baseline);
  } finally {
    for (const { job } of entries) await job?.dispose();
  }
}

/** Makes a contender ready and checks its numbers; one that is wrong is reported and not timed. */
async function ready(contender: Contender, workload: Workload, input: WorkloadInput): Promise<Entry> {
  const entry: Entry = { contender, job: null, missing: null, correctness: null, firstCallMs: null, samples: {} };
  try {
    const job = await contender.prepare(workload, input);
    if (typeof job === 'string') return { ...entry, missing: job };
    entry.job = job;
    const start = performance.now();
    const output = await job.result();
    entry.firstCallMs = performance.now() - start;
    entry.correctness = checkOutput(contender, workload, input, output);
    if (!entry.correctness.ok) entry.missing = 'wrong result: not timed';
  } catch (error) {
    entry.missing = error instanceof Error ? error.message : String(error);
  }
  return entry;
}

interface RoofTimes {
  readonly memcpyMs: number;
  readonly fillMs: number;
  readonly expMs: number | null;
}

async function measure(
  entries: readonly Entry[],
  workload: Workload,
  { rounds, sampleMs, signal }: Settings,
  report: Report,
): Promise<RoofTimes> {
  const loops: { batch: Batch; keep: (samples: Samples, calls: number) => void }[] = [];
  for (const entry of entries) {
    if (entry.job === null || entry.missing !== null) continue;
    for (const mode of modes) {
      const batch = entry.job[mode];
      if (batch) loops.push({ batch, keep: (samples, calls) => (entry.samples[mode] = { samples, calls }) });
    }
  }
  const times: Record<string, number> = {};
  for (const { name, batch } of [...roofs(workload), ...expLoop(workload)]) {
    loops.push({ batch, keep: (samples) => (times[name] = timing(samples, 1).medianMs) });
  }
  const calibrated: Calibrated[] = [];
  for (const { batch } of loops) {
    signal?.throwIfAborted();
    calibrated.push(await calibrate(batch, sampleMs));
    report((0.3 * calibrated.length) / loops.length, 'warms up');
  }
  let taken = 0;
  const samples = await interleave(calibrated, rounds, async () => {
    signal?.throwIfAborted();
    if (taken % calibrated.length === 0) {
      report(0.3 + (0.7 * taken) / (rounds * calibrated.length), `round ${taken / calibrated.length + 1} of ${rounds}`);
      // Lets a page paint and a key press through, once a round.
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    taken++;
  });
  for (const [k, loop] of loops.entries()) loop.keep(samples[k], calibrated[k].calls);
  return { memcpyMs: times.memcpy, fillMs: times.fill, expMs: times.exp ?? null };
}

function summarize(
  workload: Workload,
  entries: readonly Entry[],
  roofTimes: RoofTimes,
  wanted: string | undefined,
): WorkloadResult {
  const timedEntries = entries.filter(({ samples }) => Object.keys(samples).length > 0);
  const base =
    timedEntries.find(({ contender }) => contender.name === (wanted ?? 'naive')) ??
    (timedEntries[0] as Entry | undefined);
  const { bound, boundMs } = boundOf(workload, roofTimes);
  return {
    workload,
    baseline: base?.contender.name ?? '',
    roofs: roofTimes,
    bound,
    boundMs,
    results: entries.map((entry) => {
      const timings: ContenderResult['timings'] = Object.fromEntries(
        modes.flatMap((mode) => {
          const taken = entry.samples[mode];
          return taken ? [[mode, timing(taken.samples, taken.calls)]] : [];
        }),
      );
      const ratios: ContenderResult['ratios'] = Object.fromEntries(
        modes.flatMap((mode) => {
          const [own, other] = [entry.samples[mode], base?.samples[mode]];
          return own && other && entry !== base ? [[mode, pairedRatio(own.samples, other.samples)]] : [];
        }),
      );
      const best = timings.reused ?? timings.allocating;
      return {
        contender: entry.contender.name,
        kind: entry.contender.kind,
        missing: entry.missing,
        correctness: entry.correctness,
        firstCallMs: entry.firstCallMs,
        timings,
        ratios,
        shareOfBound: best ? boundMs / best.medianMs : null,
      };
    }),
  };
}
