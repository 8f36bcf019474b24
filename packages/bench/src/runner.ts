import { SoftgradError, shortened } from '@softgrad/core';
import { type Candidate, candidatesOf, type Entry } from './candidates.js';
import { outputChecker } from './check.js';
import type { Contender, ContenderSource, DeviceBatch } from './contender.js';
import { calibrate, calibrateDevice, interleave, type Loop, type RoundTimes } from './measure.js';
import type { Signal } from './platform.js';
import { type ContenderDescription, type RawWorkload, timedKinds } from './report.js';
import { type WorkloadInput, workloadInput } from './workload-input.js';
import type { Workload } from './workloads.js';

/** Measures workloads one after the other, in this process or in several. */
export interface Runner {
  readonly contenders: readonly ContenderDescription[];
  readonly unavailable: readonly { readonly name: string; readonly reason: string }[];
  run(workload: Workload, report: Report): Promise<RawWorkload>;
  close(): Promise<void>;
}

/** Called with the completed share of the workload and what is happening now. */
export type Report = (share: number, what: string) => void;

export interface RunnerSettings {
  readonly rounds: number;
  readonly sampleMs: number;
  readonly baseline: string | undefined;
  readonly signal: Signal | undefined;
}

/** Opens contenders in this process or page. One that cannot be opened is listed with the reason. */
export async function openRunner(sources: readonly ContenderSource[], settings: RunnerSettings): Promise<Runner> {
  const { baseline } = settings;
  const names = sources.map(({ name }) => name);
  if (baseline !== undefined && !names.includes(baseline)) {
    throw new SoftgradError(
      'ERR_VALUE',
      `unknown baseline '${shortened(baseline)}'; expected one of ${names.join(', ')}`,
    );
  }
  const opened: { readonly contender: Contender; readonly openMs: number }[] = [];
  const unavailable: { name: string; reason: string }[] = [];
  const close = async () => {
    for (const { contender } of opened.splice(0)) await contender.close();
  };
  try {
    for (const source of sources) {
      settings.signal?.throwIfAborted();
      const start = performance.now();
      const contender = await source.open();
      if (typeof contender === 'string') unavailable.push({ name: source.name, reason: contender });
      else opened.push({ contender, openMs: performance.now() - start });
    }
    settings.signal?.throwIfAborted();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    contenders: opened.map(({ contender: { name, kind, description }, openMs }) => ({
      name,
      kind,
      description,
      openMs,
    })),
    unavailable,
    run: (workload, report) =>
      runWorkload(
        workload,
        opened.map(({ contender }) => contender),
        settings,
        report,
      ),
    close,
  };
}

async function runWorkload(
  workload: Workload,
  contenders: readonly Contender[],
  settings: RunnerSettings,
  report: Report,
): Promise<RawWorkload> {
  const input = workloadInput(workload);
  const check = outputChecker(workload, input);
  const entries: Entry[] = [];
  const dispose: (() => void | Promise<void>)[] = [];
  try {
    for (const contender of contenders) {
      report(0, `preparing ${contender.name}`);
      settings.signal?.throwIfAborted();
      const entry = await prepareEntry(contender, workload, input, check);
      entries.push(entry);
      const { job } = entry;
      if (job) dispose.push(() => job.dispose());
      await yieldToPage();
    }
    const timedEntries = entries.filter(({ job, missing }) => job !== null && missing === null);
    const baseline =
      timedEntries.find(({ contender }) => contender.name === (settings.baseline ?? 'naive')) ?? timedEntries.at(0);
    const candidates = await candidatesOf(timedEntries, baseline, workload, input, dispose);
    const failures = new Map<string, string>();
    const times = await measure(
      candidates.map((candidate) => tolerant(candidate, failures, settings.signal)),
      settings,
      report,
    );
    for (const entry of timedEntries) {
      const failure = failures.get(entry.contender.name);
      if (failure !== undefined) entry.missing = `failed while it was timed: ${failure}`;
    }
    return recordSamples(workload, entries, baseline, candidates, times);
  } finally {
    for (const free of dispose.reverse()) await free();
  }
}

/** Prepares a contender and checks its result; a wrong result is reported and not timed. */
async function prepareEntry(
  contender: Contender,
  workload: Workload,
  input: WorkloadInput,
  check: ReturnType<typeof outputChecker>,
): Promise<Entry> {
  const entry: Entry = {
    contender,
    job: null,
    missing: null,
    correctness: null,
    firstCallMs: null,
    noDeviceTime: undefined,
  };
  try {
    const start = performance.now();
    const job = await contender.prepare(workload, input);
    if (typeof job === 'string') return { ...entry, missing: job };
    entry.job = job;
    const output = await job.result();
    entry.firstCallMs = performance.now() - start;
    entry.correctness = check(contender, output);
    if (!entry.correctness.ok) entry.missing = `wrong: ${entry.correctness.problem}`;
    else if (job.device) entry.noDeviceTime = await deviceProblem(job.device);
  } catch (error) {
    entry.missing = error instanceof Error ? error.message : String(error);
  }
  return entry;
}

/** Why a device gives no time although its engine supports asking for it. */
async function deviceProblem(batch: DeviceBatch): Promise<string | undefined> {
  try {
    return (await batch(1)) === null ? 'its device has no clock' : undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The same loop, except that an error ends the run of this contender only. */
function tolerant(candidate: Candidate, failures: Map<string, string>, signal: RunnerSettings['signal']): Candidate {
  const { from } = candidate;
  const fail = (error: unknown) => {
    signal?.throwIfAborted();
    failures.set(from, error instanceof Error ? error.message : String(error));
    return null;
  };
  if ('device' in candidate) {
    const { device } = candidate;
    return { ...candidate, device: async (calls) => (failures.has(from) ? null : device(calls).catch(fail)) };
  }
  const { batch } = candidate;
  return {
    ...candidate,
    batch: (calls) => {
      if (failures.has(from)) return undefined;
      try {
        return batch(calls)?.catch((error: unknown) => void fail(error));
      } catch (error) {
        return void fail(error);
      }
    },
  };
}

async function measure(
  candidates: readonly Candidate[],
  { rounds, sampleMs, signal }: RunnerSettings,
  report: Report,
): Promise<readonly RoundTimes[]> {
  const warmUpShare = 0.3;
  const loops: Loop[] = [];
  for (const candidate of candidates) {
    signal?.throwIfAborted();
    report((warmUpShare * loops.length) / candidates.length, `warming up ${candidate.from}`);
    const loop =
      'device' in candidate
        ? calibrateDevice(candidate.device, sampleMs, rounds)
        : calibrate(candidate.batch, sampleMs, rounds);
    loops.push(await loop);
    await yieldToPage();
  }
  let taken = 0;
  return interleave(loops, rounds, async (round) => {
    signal?.throwIfAborted();
    const share = taken++ / (rounds * loops.length);
    report(warmUpShare + (1 - warmUpShare) * share, `round ${round + 1} of ${rounds}`);
    await yieldToPage();
  });
}

let lastYieldMs = 0;

/** Lets a page paint and handle a click on cancel, at most every 50 ms. */
async function yieldToPage(): Promise<void> {
  if (performance.now() - lastYieldMs < 50) return;
  await new Promise((resolve) => setTimeout(resolve, 0));
  lastYieldMs = performance.now();
}

function recordSamples(
  workload: Workload,
  entries: readonly Entry[],
  baseline: Entry | undefined,
  candidates: readonly Candidate[],
  times: readonly RoundTimes[],
): RawWorkload {
  const timed = candidates.map((candidate, k) => ({ ...candidate, samples: [(times[k] ?? []).map(sixDigits)] }));
  const samplesOf = (wanted: (candidate: Candidate) => boolean) => timed.find(wanted)?.samples ?? null;
  return {
    workload,
    baseline: baseline?.contender.name ?? null,
    control: baseline?.missing ? null : samplesOf((candidate) => candidate.of === 'control'),
    roofs: timed.flatMap(({ of, from, roof, samples }) =>
      of === 'roof' && roof ? [{ name: roof, from, samples }] : [],
    ),
    results: entries.map(({ contender: { name, kind }, missing, correctness, firstCallMs, noDeviceTime }) => ({
      contender: name,
      kind,
      missing,
      correctness,
      firstCallMs,
      samples: Object.fromEntries(
        timedKinds.flatMap((timed) => {
          const samples =
            missing === null
              ? samplesOf((candidate) => candidate.of === 'mode' && candidate.from === name && candidate.kind === timed)
              : null;
          return samples ? [[timed, samples]] : [];
        }),
      ),
      ...(noDeviceTime === undefined ? {} : { noDeviceTime }),
      emptyCall: samplesOf((candidate) => candidate.of === 'emptyCall' && candidate.from === name),
    })),
  };
}

/** Clocks are no more precise; further digits would only make reports longer. */
function sixDigits(time: number | null): number | null {
  return time === null ? null : Number(time.toPrecision(6));
}
